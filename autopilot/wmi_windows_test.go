package autopilot

import (
	"context"
	"errors"
	"testing"
)

// What every Windows has can be asked.
func TestQueryWMI(t *testing.T) {
	s, err := queryWMI(t.Context(), `root\cimv2`, "SELECT Manufacturer FROM Win32_ComputerSystem", "Manufacturer")
	if err != nil || s == "" {
		t.Errorf("%q, %v", s, err)
	}
	for range 3 {
		if again, err := queryWMI(t.Context(), `root\cimv2`, "SELECT Manufacturer FROM Win32_ComputerSystem", "Manufacturer"); again != s || err != nil {
			t.Errorf("%q, %v", again, err)
		}
	}
	if _, err := queryWMI(t.Context(), `root\nothing`, "SELECT X FROM Y", "X"); err == nil {
		t.Error("a namespace that is not there was found")
	}
	if _, err := queryWMI(t.Context(), `root\cimv2`, "SELECT X FROM NothingAtAll", "X"); err == nil {
		t.Error("a class that is not there was found")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := queryWMI(ctx, `root\cimv2`, "SELECT Manufacturer FROM Win32_ComputerSystem", "Manufacturer"); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
