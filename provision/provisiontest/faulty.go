package provisiontest

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/provision"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 4 << 20

// SetFaults replaces the faults, and sets the count of [Server.Met] to 0. Without
// arguments nothing goes wrong any more. A request meets the first fault of its
// step that is not used up, so several faults of one step are met one after the
// other. SetFaults panics if a fault is not [Fault.Valid].
func (s *Server) SetFaults(faults ...Fault) {
	for _, f := range faults {
		if !f.Valid() {
			panic(fmt.Sprintf("provisiontest: fault %s is not possible", f))
		}
	}
	s.faults.set(faults)
}

// Met returns how many requests and connections have gone wrong since faults were
// set. A test that expects a run to overcome a fault should check it.
func (s *Server) Met() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.met
}

// A faulty is a handler that answers wrongly, as its faults say.
type faulty struct {
	http.Handler
	logger  *slog.Logger
	closing chan struct{} // closed by Server.Close

	mu     sync.Mutex
	faults []*armed
	met    int
}

// An armed fault is one that requests may meet. The fault itself does not change,
// and may be read without the lock.
type armed struct {
	Fault
	left int // requests that will meet it; below 0: all
}

// set replaces the faults.
func (h *faulty) set(faults []Fault) {
	own := make([]*armed, len(faults))
	for i, f := range faults {
		own[i] = &armed{Fault: f, left: cmp.Or(f.Requests, 1)}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults, h.met = own, 0
}

// take returns the fault that a request of a step meets, or nil.
func (h *faulty) take(step provision.Step) *armed {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.faults {
		if f.Step == step && f.left != 0 {
			h.count(f, 1)
			if h.logger != nil {
				h.logger.Info("fault", "step", f.Step, "kind", f.Kind)
			}
			return f
		}
	}
	return nil
}

// giveBack undoes take: the fault had nothing to spoil.
func (h *faulty) giveBack(f *armed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Contains(h.faults, f) {
		h.count(f, -1)
	}
}

// count counts a fault. The caller locks.
func (h *faulty) count(f *armed, n int) {
	h.met += n
	if f.left >= 0 {
		f.left -= n
	}
}

// ServeHTTP implements http.Handler.
func (h *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f := h.take(request{r, body}.step())
	switch {
	case f == nil:
		h.Handler.ServeHTTP(w, r)
	case f.status() != 0:
		answer(w, f.status())
	case offs[f.Kind] != 0:
		w.Header().Set("Date", time.Now().Add(offs[f.Kind]).UTC().Format(http.TimeFormat))
		h.Handler.ServeHTTP(w, withOff(r, offs[f.Kind]))
	case f.Kind == "timeout":
		select {
		case <-r.Context().Done():
		case <-h.closing:
		}
		abort()
	case f.Kind == "cut":
		abort()
	case f.Kind == "garbage":
		w.Write(bytes.Repeat([]byte{0xDE, 0xAD, '{', '<', 0x30, 0x80}, 40))
	default:
		h.spoil(w, r, f)
	}
}

// spoil has the party carry a request out and spoils its answer.
func (h *faulty) spoil(w http.ResponseWriter, r *http.Request, f *armed) {
	real := httptest.NewRecorder()
	h.Handler.ServeHTTP(real, r)
	body := real.Body.Bytes()
	switch f.Kind {
	case "lost":
		abort()
	case "nonce":
		body = nonce.ReplaceAll(body, []byte(`$1"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`))
	case "truncate":
		body = body[:len(body)/2]
	}
	if f.Kind != "slow" && bytes.Equal(body, real.Body.Bytes()) {
		h.giveBack(f)
	}
	maps.Copy(w.Header(), real.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(real.Code)
	drops := 1
	if f.Kind == "slow" {
		drops = 10
	}
	for i := range drops {
		w.Write(body[len(body)*i/drops : len(body)*(i+1)/drops])
		if drops > 1 {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Second / 10)
		}
	}
}

// nonce matches a nonce in a JSON answer.
var nonce = regexp.MustCompile(`("(?:Server)?Nonce":\s*)"[^"]*"`)

// abort ends a request without an answer, in the way that net/http offers.
func abort() { panic(http.ErrAbortHandler) }
