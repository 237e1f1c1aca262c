package roca

import (
	"slices"
	"testing"
)

// The powers of 65537 form subgroups of these sizes.
func TestSubgroupSizes(t *testing.T) {
	var sizes []int
	for _, found := range powers() {
		sizes = append(sizes, len(found))
	}
	if want := []int{2, 6, 8, 9, 3, 26, 20, 35, 24, 13, 6, 51, 53, 54, 42, 50, 78}; !slices.Equal(sizes, want) {
		t.Errorf("subgroups of the sizes %d, want %d", sizes, want)
	}
}
