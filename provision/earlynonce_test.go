package provision_test

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/provision"
)

// A nonceWatch sees the requests for the nonce of the management token, and may change the
// first answer.
type nonceWatch struct {
	http.RoundTripper
	change func(answer []byte) []byte // may be nil

	mu    sync.Mutex
	count int
	seen  chan struct{} // closed when the first one is there
}

func (n *nonceWatch) RoundTrip(req *http.Request) (*http.Response, error) {
	if provision.StepOf(req.Context()) != provision.StepEnroll || req.Body == nil {
		return n.RoundTripper.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	if !strings.Contains(string(body), "srv_challenge") {
		return n.RoundTripper.RoundTrip(req)
	}
	n.mu.Lock()
	n.count++
	first := n.count == 1
	n.mu.Unlock()
	if first {
		close(n.seen)
	}
	res, err := n.RoundTripper.RoundTrip(req)
	if err != nil || !first || n.change == nil {
		return res, err
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	answer = n.change(answer)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(answer)), int64(len(answer))
	res.Header.Del("Content-Length")
	return res, nil
}

// The nonce of the management token is requested while the directory is at work on the
// join: here that answers only when it has been asked. A nonce that cannot be used is
// requested again.
func TestNonceBesideJoin(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]byte) []byte
		want   int
	}{
		"used":     {nil, 1},
		"refused":  {func([]byte) []byte { return []byte(`{"Nonce":"AwABAAEAAAACAOz"}`) }, 2},
		"none":     {func([]byte) []byte { return []byte(`{}`) }, 2},
		"no JSON":  {func([]byte) []byte { return []byte(`<html>`) }, 2},
		"an error": {func([]byte) []byte { return []byte(`{"error":"invalid_request"}`) }, 2},
	} {
		w := newWorld(t, nil)
		tpm, _ := newTPM(t, attesttest.Config{})
		w.admit(t, tpm)
		watch := &nonceWatch{RoundTripper: w.Client().Transport, change: c.change, seen: make(chan struct{})}
		p := w.provisioner(tpm)
		p.Store = provision.FileStore(filepath.Join(t.TempDir(), "state"))
		p.HTTPClient = &http.Client{Transport: &gate{
			RoundTripper: watch, part: "/EnrollmentServer/device/", opened: watch.seen, passed: make(chan struct{}),
		}, Timeout: 30 * time.Second}
		got := events(p)
		state, err := p.Run(t.Context())
		if err != nil {
			t.Errorf("%s: %v\nrefused: %q", name, err, w.Refusals())
			continue
		}
		checkEnrolled(t, w, state)
		if watch.count != c.want || strings.Contains(strings.Join(*got, " "), "retrying") {
			t.Errorf("%s: %d nonces; events %q", name, watch.count, *got)
		}
	}
}
