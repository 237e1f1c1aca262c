package graph_test

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
)

// key returns an RSA public key that nobody has the private key of.
func key(seed byte) *rsa.PublicKey {
	var modulus []byte
	for i := range byte(8) {
		sum := sha256.Sum256([]byte{i, seed})
		modulus = append(modulus, sum[:]...)
	}
	modulus[0], modulus[255] = modulus[0]|0x80, modulus[255]|1
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
}

// device returns a made-up device with a TPM and a serial number.
func device(serial string) autopilottest.Device {
	return autopilottest.Device{Serial: serial, EK: key(serial[len(serial)-1])}
}

// row returns a device as a row of a file.
func row(serial string) autopilot.Row {
	return autopilot.Row{Serial: serial, Hash: device(serial).Text()}
}

func token(context.Context) (string, error) { return "secret-token", nil }

// start starts a service, and returns a client of it.
func start(t testing.TB, s *autopilottest.Server) *graph.Client {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &graph.Client{BaseURL: h.URL, Token: token, HTTPClient: h.Client()}
}

// quick is a pause for a service that is a thousand times faster.
func quick(graph.Stage, int) time.Duration { return 15 * time.Millisecond }

// A clock is that of a service, which moves on by a pause at each pause of its client,
// so that no state passes unseen on a busy machine.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pause(s graph.Stage, n int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(quick(s, n))
	return time.Microsecond
}

// events keeps what a Registration said.
type events struct {
	mu  sync.Mutex
	all []graph.Event
}

func (e *events) observe(ev graph.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// stages returns the stages of a row, each once.
func (e *events) stages(row int) []graph.Stage {
	var out []graph.Stage
	for _, ev := range e.all {
		if ev.Row == row && !slices.Contains(out, ev.Stage) {
			out = append(out, ev.Stage)
		}
	}
	return out
}

// code returns the deployment service's code in an error.
func code(err error) int {
	var e *graph.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return -1
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
