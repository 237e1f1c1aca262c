// Package downstream is a module of somebody else's that uses this one in a test.
package downstream

import (
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// Three devices are provisioned side by side.
func TestFleet(t *testing.T) {
	server := provisiontest.NewServer()
	defer server.Close()
	t.Run("devices", func(t *testing.T) {
		for range 3 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				device, err := server.NewDevice(t.Context(), attesttest.Config{})
				if err != nil {
					t.Fatal(err)
				}
				defer device.Close()
				if _, err := server.Provisioner(device).Run(t.Context()); err != nil {
					t.Errorf("%v\nrefused: %q", err, server.Refusals())
				}
			})
		}
	})
	if n := len(server.Management.Enrolled()); n != 3 {
		t.Errorf("%d devices are enrolled", n)
	}
}
