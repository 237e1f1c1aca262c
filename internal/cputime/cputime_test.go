package cputime_test

import (
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cputime"
)

func TestProcess(t *testing.T) {
	start := cputime.Process()
	if start == 0 {
		t.Skip("this system does not tell")
	}
	n := 0
	for end := time.Now().Add(30 * time.Second); cputime.Process()-start < 50*time.Millisecond; n++ {
		if time.Now().After(end) {
			t.Fatalf("%v after %d rounds of 30 s", cputime.Process()-start, n)
		}
	}
	if used := cputime.Process() - start; used > time.Minute {
		t.Error(used)
	}
}
