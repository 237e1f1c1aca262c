package command

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// What keeps a server from listening is said with what to do.
func TestNotListening(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for address, want := range map[string]string{
		l.Addr().String(): "-addr: another program listens at " + l.Addr().String(),
		"192.0.2.1:1":     "-addr: the host of 192.0.2.1:1 is no address of this machine",
	} {
		other, err := net.Listen("tcp", address)
		if err == nil {
			other.Close()
			t.Logf("%s: this system listens anywhere", address)
			continue
		}
		if got := NotListening("-addr", address, err).Error(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", address, got)
		}
	}
	if got := NotListening("-addr", "x", errors.New("other")).Error(); got != "-addr: other" {
		t.Error(got)
	}
}
