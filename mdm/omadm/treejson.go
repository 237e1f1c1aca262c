package omadm

import (
	"encoding/json"
	"fmt"
	"slices"
)

// MarshalJSON implements [json.Marshaler]. It writes an object with the values
// of the tree by LocURI; interior nodes without a value below them, handlers
// and the user context are not in it. A server may have written secrets into
// the values. The error is always nil.
func (t *Tree) MarshalJSON() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	values := make(map[string]Value)
	if t.root != nil {
		t.root.collect(nil, values)
	}
	return json.Marshal(values)
}

// collect adds the values at and below n, whose path is names, to values.
func (n *node) collect(names []string, values map[string]Value) {
	if n.value != nil {
		values[joinPath(names)] = *n.value
	}
	for name, child := range n.children {
		child.collect(append(slices.Clip(names), name), values)
	}
}

// UnmarshalJSON implements [json.Unmarshaler]. It stores the values that
// MarshalJSON wrote, as [Tree.Set] does; other nodes and handlers stay. The
// error is that of [json.Unmarshal], or one of no exported type if a name in
// the object is not a LocURI or the tree has no room. Some of the values may be
// stored then.
func (t *Tree) UnmarshalJSON(text []byte) error {
	var values map[string]Value
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	for uri, v := range values {
		if !t.Set(uri, v) {
			return fmt.Errorf("omadm: %.200q is not a LocURI, or the tree has no room for it", uri)
		}
	}
	return nil
}
