package omadm

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/syncml"
)

// formatNode is the format of an interior node.
const formatNode = "node"

// maxNames bounds the answer to a Get of an interior node, in bytes.
const maxNames = 256 << 10

// An undo takes a change of the tree back. Its caller holds the tree's lock.
type undo func()

// serve carries out a server's command about one node. It returns the status
// and, if it has changed the tree, how to take that back. If a Get has status
// 200, op.Value is the answer; if the names of the nodes below an interior node
// have more than most bytes, the status is 413.
func (t *Tree) serve(ctx context.Context, op *Operation, most int) (int, undo) {
	names, ok := splitPath(op.URI)
	switch {
	case strings.Contains(op.URI, "?"):
		return syncml.StatusOptional, nil // ?prop, ?list
	case !ok, strings.HasPrefix(op.URI, "/"):
		return syncml.StatusBadRequest, nil
	}
	op.URI = joinPath(names)
	if len(names) > 0 && names[0] == rootUser && !t.UserContext() {
		return syncml.StatusNotAllowed, nil
	}
	if h := t.handler(names); h != nil {
		if status := h(ctx, op); status != 0 {
			return status, nil
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch op.Command {
	case syncml.Get:
		return t.serveGet(names, op, most), nil
	case syncml.Add, syncml.Replace:
		return t.serveWrite(names, op)
	case syncml.Delete:
		return t.serveDelete(names)
	}
	if t.find(names) == nil { // an Exec that nobody handles
		return syncml.StatusNotFound, nil
	}
	return syncml.StatusNotAllowed, nil
}

// serveGet sets op.Value to the value of a leaf, or to the names of the nodes
// below an interior node, if they have at most most bytes.
func (t *Tree) serveGet(names []string, op *Operation, most int) int {
	n := t.find(names)
	switch {
	case n == nil:
		return syncml.StatusNotFound
	case n.value != nil:
		op.Value = *n.value
		return syncml.StatusOK
	}
	switch {
	case n.names > maxNames:
		return syncml.StatusFailed
	case n.names > most:
		return syncml.StatusTooLarge
	}
	below := make([]string, 0, len(n.children))
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		below = append(below, url.PathEscape(name))
	}
	op.Value = Value{Format: formatNode, Data: strings.Join(below, "/")}
	return syncml.StatusOK
}

// serveWrite adds or replaces a node. A Replace of a node that does not exist
// adds it, because servers set policies so.
func (t *Tree) serveWrite(names []string, op *Operation) (int, undo) {
	fixed := len(names) < 2 && (len(names) == 0 || names[0] == rootDevice || names[0] == rootUser)
	at, depth := t.deepest(names)
	var old *node
	if depth == len(names) {
		old = at
	}
	switch {
	case fixed:
		return syncml.StatusNotAllowed, nil
	case old != nil && op.Command == syncml.Add:
		return syncml.StatusExists, nil
	case old != nil && old.value == nil && (op.Value.Format == formatNode || len(old.children) > 0):
		return syncml.StatusNotAllowed, nil // an interior node has no value to replace
	case old == nil && at.value != nil:
		return syncml.StatusNotAllowed, nil // a leaf cannot have nodes
	}
	var value *Value
	if op.Value.Format != formatNode {
		v := op.Value
		value = &v
	}
	n := newNode(names, value)
	if !t.room(names, n) {
		return syncml.StatusFull, nil
	}
	t.put(names, n)
	if old == nil {
		return syncml.StatusOK, func() { t.put(names[:depth+1], nil) } // the highest new node
	}
	return syncml.StatusOK, func() { t.put(names, old) }
}

// serveDelete deletes a node. The nodes at the top are permanent.
func (t *Tree) serveDelete(names []string) (int, undo) {
	switch {
	case t.find(names) == nil:
		return syncml.StatusNotFound, nil
	case len(names) < 2 || len(names) < 4 && names[1] == "Vendor":
		return syncml.StatusNotAllowed, nil // a permanent node
	}
	old := t.put(names, nil)
	return syncml.StatusOK, func() { t.put(names, old) }
}

// rollBack takes changes back, the last one first.
func (t *Tree) rollBack(changes []undo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, change := range slices.Backward(changes) {
		change()
	}
}
