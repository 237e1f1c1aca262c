package omadm

import (
	"encoding/json"
	"fmt"
	"slices"
)

// MarshalJSON encodes the nodes that have a value, by LocURI. A server may have
// written secrets into them. The error is always nil.
func (t *Tree) MarshalJSON() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	values := make(map[string]Value)
	if t.root != nil {
		t.root.collect(nil, values)
	}
	return json.Marshal(values)
}

// collect puts the values at and below n, whose path is names, into values.
func (n *node) collect(names []string, values map[string]Value) {
	if n.value != nil {
		values[joinPath(names)] = *n.value
	}
	for name, child := range n.children {
		child.collect(append(slices.Clip(names), name), values)
	}
}

// UnmarshalJSON puts nodes that MarshalJSON encoded into t, as [Tree.Set] does;
// other nodes and handlers stay. The error is that of [json.Unmarshal], or tells
// which node is no LocURI or finds no room; nodes before it are in t then.
func (t *Tree) UnmarshalJSON(text []byte) error {
	var values map[string]Value
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	for uri, v := range values {
		if !t.Set(uri, v) {
			return fmt.Errorf("omadm: no room for a node at %.200q, or no LocURI", uri)
		}
	}
	return nil
}
