package wire_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// A connection that the server resets has the code of that, whatever the system's own
// number is, and may work later.
func TestReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1<<12))
			_ = conn.(*net.TCPConn).SetLinger(0) // so that Close resets it
			conn.Close()
		}
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	rsp, err := new(http.Client).Do(req)
	if err == nil {
		rsp.Body.Close()
	}
	if wire.HRESULT(err) != 0x80072EFF || !wire.Retryable(err) {
		t.Errorf("%v: %#x, retryable %t", err, wire.HRESULT(err), wire.Retryable(err))
	}
}
