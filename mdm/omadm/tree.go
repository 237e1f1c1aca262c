package omadm

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Limits of a tree.
const (
	maxNodes     = 50000
	maxNodeDepth = 32
	maxNodeName  = 1024     // bytes of one name
	maxTreeData  = 16 << 20 // bytes of all values
)

// A Tree is a device's management tree: nodes with a value, or with nodes
// below them. It keeps what a server writes, so that the server can read it
// back; what a write or an Exec shall do to the device is for handlers. Its
// zero value is empty and ready. It is safe for concurrent use.
//
// Nodes are named by LocURIs. "./Vendor" is the same as "./Device/Vendor".
// Nodes below "./User" are for servers only once [Tree.SetUserContext] says
// that there is a user.
type Tree struct {
	mu       sync.Mutex
	root     *node
	count    int // nodes
	size     int // bytes of values
	user     bool
	handlers []handling
}

// A Value is what a leaf of a tree holds. The zero Format means "chr".
type Value struct {
	Format string // "chr", "int", "bool", "b64", "bin", "xml", "float", "date", "time", "null", "node"
	Type   string // media type; may be empty
	Data   string
}

// A node has children, or a value; without both it is an interior node that is
// empty.
type node struct {
	value    *Value
	children map[string]*node
}

// A Handler acts on a server's command about a node, and returns a SyncML
// status such as 200, or 0 to have the tree do what it does without a handler.
// It may use the tree. A handler within an Atomic whose later command fails is
// not undone, but what the tree stored is.
type Handler func(ctx context.Context, op *Operation) int

// An Operation is a server's command about one node.
type Operation struct {
	Command string // "Add", "Replace", "Get", "Delete" or "Exec"
	URI     string // in full: begins with "./Device", "./User", "./DevInfo" or "./DevDetail"
	Value   Value  // as sent; on Get, what a handler that returns 200 answers
}

type handling struct {
	pattern []string
	handle  Handler
}

// Handle has h asked for commands about the node at a LocURI and all below it.
// In the LocURI a "*" stands for any one name. Of several handlers that fit
// only the one with the most names is asked, and of those the newest.
func (t *Tree) Handle(uri string, h Handler) {
	pattern, ok := splitPath(uri)
	if !ok || h == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handlers = append(t.handlers, handling{pattern, h})
}

// handler returns the handler for a node, or nil.
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

// SetUserContext says whether there is a user whose nodes a server may touch.
// Until then all commands about "./User" get status 405, as on Windows.
func (t *Tree) SetUserContext(there bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.user = there
}

// UserContext reports whether there is a user, as [Tree.SetUserContext] said.
func (t *Tree) UserContext() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.user
}

// Set stores a value on the device's own behalf: no handler is asked and
// nothing is read-only. Nodes above it are made; nodes below it are lost. It
// reports whether the LocURI is one and the tree has room.
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

// Get returns the value of a node as it is stored, and whether the node is
// there. One with nodes below has the format "node" and no data.
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

// Children returns the names of the nodes below a node, sorted.
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

// Delete removes a node and all below it, and reports whether it was there.
func (t *Tree) Delete(uri string) bool {
	names, ok := splitPath(uri)
	if !ok || len(names) == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.put(names, nil) != nil
}

// find returns a node, or nil. The caller holds the lock.
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

// room reports whether the tree has room for n at names. The caller holds the
// lock.
func (t *Tree) room(names []string, n *node) bool {
	count, size := n.weigh()
	oldCount, oldSize := t.find(names).weigh()
	return t.count+count-oldCount+len(names) <= maxNodes && t.size+size-oldSize <= maxTreeData
}

// put sets the node at names to n, or removes it if n is nil, and returns the
// one that was there. A leaf on the way becomes an interior node. The caller
// holds the lock.
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

// weigh counts the nodes and bytes of n and all below.
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
