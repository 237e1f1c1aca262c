package mock

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Fault is a way in which a party goes wrong, for somebody who wants to
// rehearse a failing site.
type Fault struct {
	Step string // whose requests: ek, aik, discover, token, join or enroll
	Kind string // see Kinds
	Left int    // how many requests are still to go wrong; below 0: all
}

// Kinds are the kinds of faults besides HTTP status codes such as "503".
var Kinds = map[string]string{
	"429":      "answered 429 with a Retry-After of one second",
	"timeout":  "not answered",
	"cut":      "cut off before the answer",
	"truncate": "answered by the first half of the answer",
	"garbage":  "answered by bytes without meaning",
	"slow":     "answered in drops, a second in all",
	"lost":     "carried out, then cut off before the answer",
	"nonce":    "answered with another nonce",
}

// paths say which step a request belongs to.
var paths = []struct {
	step string
	path *regexp.Regexp
}{
	{"ek", regexp.MustCompile(`^/ek/`)},
	{"aik", regexp.MustCompile(`^/aik/`)},
	{"discover", regexp.MustCompile(`(?i)/Discover$`)},
	{"token", regexp.MustCompile(`/tpmchallenge/|/oauth2/token$`)},
	{"join", regexp.MustCompile(`/EnrollmentServer/device`)},
	{"enroll", regexp.MustCompile(`^/mdm/`)},
}

// ParseFault reads STEP:KIND[:N]. Without N one request goes wrong, with "all"
// every one.
func ParseFault(text string) (*Fault, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, fmt.Errorf("fault %q: want STEP:KIND[:N]", text)
	}
	f := &Fault{Step: parts[0], Kind: parts[1], Left: 1}
	known := false
	for _, p := range paths {
		known = known || p.step == f.Step
	}
	if !known {
		return nil, fmt.Errorf("fault %q: no requests belong to a step %q", text, f.Step)
	}
	if _, ok := Kinds[f.Kind]; !ok {
		if code, err := strconv.Atoi(f.Kind); err != nil || code < 400 || code > 599 {
			return nil, fmt.Errorf("fault %q: no kind %q", text, f.Kind)
		}
	}
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		switch {
		case parts[2] == "all":
			n = -1
		case err != nil || n < 1:
			return nil, fmt.Errorf("fault %q: %q is no number of requests", text, parts[2])
		}
		f.Left = n
	}
	return f, nil
}

// faulty is a handler whose answers go wrong as the faults say.
type faulty struct {
	http.Handler
	mu     sync.Mutex
	faults []*Fault
}

// take returns the fault that a request meets, or nil. The probe of the
// management server is left alone: clients go on without its answer.
func (h *faulty) take(method, path string) *Fault {
	if method == http.MethodGet && path == DiscoveryPath {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.faults {
		for _, p := range paths {
			if f.Left != 0 && p.step == f.Step && p.path.MatchString(path) {
				if f.Left > 0 {
					f.Left--
				}
				return f
			}
		}
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (h *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := h.take(r.Method, r.URL.Path)
	if f == nil {
		h.Handler.ServeHTTP(w, r)
		return
	}
	if code, err := strconv.Atoi(f.Kind); err == nil {
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, "this fault was asked for", code)
		return
	}
	switch f.Kind {
	case "timeout":
		<-r.Context().Done()
	case "cut":
		abort()
	case "garbage":
		w.Write(bytes.Repeat([]byte{0xDE, 0xAD, '{', '<', 0x30, 0x80}, 40))
	default:
		h.spoil(w, r, f.Kind)
	}
}

// spoil carries a request out and spoils its answer.
func (h *faulty) spoil(w http.ResponseWriter, r *http.Request, kind string) {
	real := httptest.NewRecorder()
	h.Handler.ServeHTTP(real, r)
	if kind == "lost" {
		abort()
	}
	body := real.Body.Bytes()
	for name, values := range real.Header() {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length")
	switch kind {
	case "nonce":
		body = nonce.ReplaceAll(body, []byte(`$1"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`))
	case "truncate":
		body = body[:len(body)/2]
	}
	w.WriteHeader(real.Code)
	if kind != "slow" {
		w.Write(body)
		return
	}
	const drops = 10
	for i := range drops {
		w.Write(body[len(body)*i/drops : len(body)*(i+1)/drops])
		_ = http.NewResponseController(w).Flush()
		time.Sleep(time.Second / drops)
	}
}

// nonce is a nonce in a JSON answer.
var nonce = regexp.MustCompile(`("(?:Server)?Nonce":\s*)"[^"]*"`)

// abort ends the connection without an answer, in the way that net/http has for
// it.
func abort() { panic(http.ErrAbortHandler) }
