package omadm

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"sync"

	"github.com/whiteglove/whiteglove/internal/xmltree"
)

// Limits of a tree, so that a server cannot fill the memory, and so that every
// tree can be stored: its JSON has at most twice maxTreeData bytes.
const (
	maxNodes     = 50000   // nodes
	maxNodeDepth = 32      // names in a LocURI
	maxNodeName  = 1024    // bytes of one name
	maxTreeData  = 8 << 20 // bytes of all nodes, see node.weight
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
//
// A tree has room for 50000 nodes and for 8 MiB of values and names. The name of
// a node counts with the names of all nodes above it. As JSON, a tree takes at
// most 16 MiB, and a tree that MarshalJSON wrote is always read again.
type Tree struct {
	mu       sync.Mutex
	root     node
	user     bool // a user is signed in
	handlers []handling

	keeping bool   // an Atomic is under way, which may be taken back
	kept    weight // of the nodes that it has removed
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
	names    int    // bytes of the escaped names of children, with a slash each
	own      weight // of the node alone
	all      weight // of the node and the nodes below it
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
	//
	// Where the server sends XML elements as the value, as it does to install an
	// MSI package, Data is all that was between the tags of the Data element,
	// byte for byte: white space, comments, CDATA sections and an XML
	// declaration stay, and nothing is unescaped. Prefixes in it may be declared
	// outside, see [Operation.Namespace]. Any other value is the text that the
	// XML stands for.
	Value Value

	scope *xmltree.Scope
}

// Namespace returns the namespace that the server's message declares for a
// prefix around Value.Data, if that holds XML elements, or "" if there is none.
// The empty prefix stands for the default namespace, which is that of SyncML
// unless the elements in Data declare their own.
func (op *Operation) Namespace(prefix string) string { return op.scope.Namespace(prefix) }

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
	value := &v
	if v.Format == formatNode {
		value = nil
	}
	n := newNode(names, value)
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
	n, depth := t.deepest(names)
	if depth < len(names) {
		return nil
	}
	return n
}

// deepest returns the last node that exists on the way to names, and how many of
// the names lead to it. The caller holds the lock.
func (t *Tree) deepest(names []string) (*node, int) {
	n := &t.root
	for i, name := range names {
		next := n.children[name]
		if next == nil {
			return n, i
		}
		n = next
	}
	return n, len(names)
}

// newNode returns a node that has a value, or an interior node if v is nil, for
// the place at names.
func newNode(names []string, v *Value) *node {
	n := &node{value: v, own: weightOf(names, v)}
	n.all = n.own
	return n
}

// room reports whether the tree has room for n in the place of the node at
// names and for the nodes above it that do not exist. The caller holds the lock.
func (t *Tree) room(names []string, n *node) bool {
	after := t.root.all.plus(t.kept).plus(n.all)
	at, depth := t.deepest(names)
	if depth == len(names) {
		after = after.minus(at.all)
	}
	for i := depth + 1; i < len(names); i++ {
		after = after.plus(weightOf(names[:i], nil))
	}
	return after.nodes <= maxNodes && after.bytes <= maxTreeData
}

// put sets the node at names to n, or removes it if n is nil, and returns the
// node that was there before. A leaf on the way becomes an interior node. The
// caller holds the lock.
func (t *Tree) put(names []string, n *node) *node {
	old := t.find(names)
	if n == nil && old == nil {
		return nil
	}
	before := t.root.all
	path := []*node{&t.root}
	for i, name := range names[:len(names)-1] {
		at := path[i]
		next := at.children[name]
		if next == nil {
			next = newNode(names[:i+1], nil)
			at.set(name, next)
			t.grow(path, next.all)
		}
		path = append(path, next)
		if next.value != nil {
			leaf := next.own
			next.value, next.own = nil, weightOf(names[:i+1], nil)
			t.grow(path, next.own.minus(leaf))
		}
	}
	path[len(path)-1].set(names[len(names)-1], n)
	var change weight
	if n != nil {
		change = n.all
	}
	if old != nil {
		change = change.minus(old.all)
	}
	t.grow(path, change)
	if lost := before.minus(t.root.all); t.keeping {
		t.kept = t.kept.plus(weight{max(lost.nodes, 0), max(lost.bytes, 0)})
	}
	return old
}

// grow adds a weight to that of nodes which have gained it below them.
func (t *Tree) grow(path []*node, by weight) {
	for _, n := range path {
		n.all = n.all.plus(by)
	}
}

// keep begins or ends an Atomic. While one is under way, the room of what it
// removes is kept, so that it can be taken back.
func (t *Tree) keep(begin bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keeping, t.kept = begin, weight{}
}

// set makes child the node of that name below n, or removes that if child is
// nil.
func (n *node) set(name string, child *node) {
	bytes := len("/") + len(url.PathEscape(name))
	if n.children[name] != nil {
		n.names -= bytes
	}
	if child == nil {
		delete(n.children, name)
		return
	}
	if n.children == nil {
		n.children = make(map[string]*node)
	}
	n.children[name] = child
	n.names += bytes
}
