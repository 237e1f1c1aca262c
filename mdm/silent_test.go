package mdm_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
)

// The error of a deadline says how far the first request came, which the limit ended, and not
// that the next one was not sent.
func TestSilentTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond)
	defer cancel()
	_, err = new(mdm.Client).Discover(ctx, "https://"+l.Addr().String()+"/x", "")
	var e *mdm.Error
	if !errors.As(err, &e) || e.Op != "Discover" || e.URL == "" || !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "connected, but no TLS answer for ") || !strings.HasPrefix(e.Remedy(), "Check that the port is one of TLS") {
		t.Errorf("%v: %+v", err, e)
	}
}
