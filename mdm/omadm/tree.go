package omadm

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Limits of a tree, so that a server cannot fill the memory.
const (
	maxNodes     = 50000    // nodes
	maxNodeDepth = 32       // names in a LocURI
	maxNodeName  = 1024     // bytes of one name
	maxTreeData  = 16 << 20 // bytes of all values
)

// A Tree is the management tree of a device: nodes that have a value, and nodes
// that have nodes below them. It stores the values that a server writes, so
// that the server can read them back. What else a command does to the device is
// up to handlers. The zero value is empty and ready to use. A Tree is safe for
// concurrent use.
//
// A LocURI names a node, such as "./Device/Vendor/MSFT/Policy". Names in it may
// be escaped as in URLs, a slash at its end does not count, and "./Vendor"
// stands for "./Device/Vendor". A server may use nodes below "./User" only
// after [Tree.SetUserContext].
type Tree struct {
	mu       sync.Mutex
	root     *node
	count    int  // nodes
	size     int  // bytes of values
	user     bool // a user is signed in
	handlers []handling
}

// A Value is the value of a node.
type Value struct {
	// Format is "chr", "int", "bool", "b64", "bin", "xml", "float", "date",
	// "time" or "null", or "node" for an interior node, which has no value. If
	// it is empty, it is "chr".
	Format string

	// Type is a media type. It may be empty.
	Type string

	// Data is the value as text, in base64 if Format is "b64".
	Data string
}

// A node has children or a value. An interior node without children has
// neither.
type node struct {
	value    *Value
	children map[string]*node
}

// A Handler carries out a server's command about a node. It returns the status
// of the command ([MS-MDM] section 2.2.6.1), such as 200 for success, 202 if
// the command goes on after the session, or 405 if it is not allowed. If it
// returns 0, the tree carries the command out: it reads, stores or deletes the
// node, and refuses an Exec.
//
// A handler may use the tree. If a later command of the same Atomic fails, the
// tree takes back what it stored itself, but not what a handler did.
type Handler func(ctx context.Context, op *Operation) int

// An Operation is a server's command about one node.
type Operation struct {
	// Command is "Add", "Replace", "Get", "Delete" or "Exec".
	Command string

	// URI is the node's LocURI, complete and escaped: "./Vendor/MSFT/A B" is
	// "./Device/Vendor/MSFT/A%20B".
	URI string

	// Value is the value that the server sent. A handler that returns 200 to a
	// Get sets it to the answer.
	Value Value
}

// A handling is a handler and where it applies.
type handling struct {
	pattern []string
	handle  Handler
}

// Handle makes h the handler for the node at a LocURI and for all nodes below
// it. A "*" in the LocURI stands for any one name. Of several handlers for a
// node, the tree calls the one whose LocURI has the most names, and of those
// the one that was added last. Handle does nothing if uri is no LocURI or h is
// nil.
func (t *Tree) Handle(uri string, h Handler) {
	pattern, ok := splitPath(uri)
	if !ok || h == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handlers = append(t.handlers, handling{pattern, h})
}

// handler returns the handler for a node, or nil if there is none.
func (t *Tree) handler(names []string) Handler {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found *handling
	for i, h := range t.handlers {
		if matches(h.pattern, names) && (found == nil || len(h.pattern) >= len(found.pattern)) {
			found = &t.handlers[i]
		}
	}
	if found == nil {
		return nil
	}
	return found.handle
}

// SetUserContext tells the tree whether a user is signed in, whose nodes a
// server may use. While there is none, all commands about nodes below "./User"
// get status 405, as on Windows.
func (t *Tree) SetUserContext(there bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.user = there
}

// UserContext reports what [Tree.SetUserContext] set. It is false at first.
func (t *Tree) UserContext() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.user
}

// Set stores a value on behalf of the device: it calls no handler, and no node
// is read-only. It makes the nodes above the node and removes those below it. A
// Value with the format "node" makes an interior node. Set reports whether it
// stored the value: uri must be a LocURI, and the tree must have room.
func (t *Tree) Set(uri string, v Value) bool {
	names, ok := splitPath(uri)
	if !ok || len(names) == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &node{value: &v}
	if v.Format == formatNode {
		n.value = nil
	}
	if !t.room(names, n) {
		return false
	}
	t.put(names, n)
	return true
}

// Get returns the stored value of a node, and whether the node exists. It calls
// no handler. The value of an interior node has the format "node" and no data.
func (t *Tree) Get(uri string) (Value, bool) {
	names, ok := splitPath(uri)
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.find(names)
	if !ok || n == nil {
		return Value{}, false
	}
	if n.value == nil {
		return Value{Format: formatNode}, true
	}
	return *n.value, true
}

// Children returns the names of the nodes directly below a node, sorted and not
// escaped. It returns nil if there are none or the node does not exist.
func (t *Tree) Children(uri string) []string {
	names, ok := splitPath(uri)
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.find(names)
	if !ok || n == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(n.children))
}

// Delete removes a node and all nodes below it, and reports whether the node
// existed. It calls no handler.
func (t *Tree) Delete(uri string) bool {
	names, ok := splitPath(uri)
	if !ok || len(names) == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.put(names, nil) != nil
}

// find returns a node, or nil if it does not exist. The caller holds the lock.
func (t *Tree) find(names []string) *node {
	n := t.root
	for _, name := range names {
		if n == nil {
			return nil
		}
		n = n.children[name]
	}
	return n
}

// room reports whether the tree has room for n in the place of the node at
// names. The caller holds the lock.
func (t *Tree) room(names []string, n *node) bool {
	count, size := n.weigh()
	oldCount, oldSize := t.find(names).weigh()
	return t.count+count-oldCount+len(names) <= maxNodes && t.size+size-oldSize <= maxTreeData
}

// put sets the node at names to n, or removes it if n is nil, and returns the
// node that was there before. A leaf on the way becomes an interior node. The
// caller holds the lock.
func (t *Tree) put(names []string, n *node) *node {
	old := t.find(names)
	if n == nil && old == nil {
		return nil
	}
	if t.root == nil {
		t.root = new(node)
	}
	at := t.root
	for _, name := range names[:len(names)-1] {
		next := at.children[name]
		if next == nil {
			next = new(node)
			at.set(name, next)
			t.count++
		}
		if next.value != nil {
			t.size -= len(next.value.Data)
			next.value = nil
		}
		at = next
	}
	at.set(names[len(names)-1], n)
	count, size := n.weigh()
	oldCount, oldSize := old.weigh()
	t.count += count - oldCount
	t.size += size - oldSize
	return old
}

// set makes child the node of that name below n, or removes that if child is
// nil.
func (n *node) set(name string, child *node) {
	if child == nil {
		delete(n.children, name)
		return
	}
	if n.children == nil {
		n.children = make(map[string]*node)
	}
	n.children[name] = child
}

// weigh returns the number of nodes at and below n and the bytes of their
// values.
func (n *node) weigh() (count, size int) {
	if n == nil {
		return 0, 0
	}
	count = 1
	if n.value != nil {
		size = len(n.value.Data)
	}
	for _, c := range n.children {
		more, bytes := c.weigh()
		count, size = count+more, size+bytes
	}
	return count, size
}
