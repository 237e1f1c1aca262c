package omadm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// MarshalJSON implements [json.Marshaler]. It writes an object with the values
// of the tree by LocURI, and with the format "node" for each interior node that
// has no node below it. Handlers and the user context are not in it. A server
// may have written secrets into the values.
//
// The JSON has at most 16 MiB. [json.Marshal] escapes the characters <, > and &
// in it once more, which may take three times as much, so a caller that has a
// limit should call MarshalJSON itself. Values that are not UTF-8 are changed as
// [json.Marshal] does. The error is always nil.
func (t *Tree) MarshalJSON() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	values := make(map[string]Value)
	t.root.collect(nil, values)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(values); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// collect adds the values at and below n, whose path is names, to values.
func (n *node) collect(names []string, values map[string]Value) {
	switch {
	case n.value != nil:
		values[joinPath(names)] = *n.value
	case len(n.children) == 0 && len(names) > 0:
		values[joinPath(names)] = Value{Format: formatNode}
	}
	for name, child := range n.children {
		child.collect(append(slices.Clip(names), name), values)
	}
}

// UnmarshalJSON implements [json.Unmarshaler]. It stores the values that
// MarshalJSON wrote, as [Tree.Set] does; other nodes and handlers stay. What
// MarshalJSON wrote always fits into an empty tree. The error is that of
// [json.Unmarshal], or one of no exported type if a name in the object is not a
// LocURI or the tree has no room. Some of the values may be stored then.
func (t *Tree) UnmarshalJSON(text []byte) error {
	var values map[string]Value
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	for uri, v := range values {
		if there, ok := t.Get(uri); ok && v.Format == formatNode && there.Format == formatNode {
			continue // with what is below it
		}
		if !t.Set(uri, v) {
			return fmt.Errorf("omadm: %.200q is not a LocURI, or the tree has no room for it", uri)
		}
	}
	return nil
}
