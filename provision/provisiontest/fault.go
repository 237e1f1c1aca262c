package provisiontest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Fault is a way in which a party goes wrong, for somebody who wants to
// rehearse a failing site.
type Fault struct {
	Step string // whose requests; one of Steps
	Kind string // see Kinds
	Left int    // how many requests are still to go wrong; below 0: all
}

// Kinds are the kinds of faults besides HTTP status codes such as "503". The
// last two are of time: see Fits for what they are of TLS.
var Kinds = map[string]string{
	"429":      "answered 429 with a Retry-After of one second",
	"timeout":  "not answered",
	"cut":      "cut off before the answer",
	"truncate": "answered by the first half of the answer",
	"garbage":  "answered by bytes without meaning",
	"slow":     "answered in drops, a second in all",
	"lost":     "carried out, then cut off before the answer",
	"nonce":    "answered with another nonce, where the answer has one",
	"expired":  "carried out by a party whose clock is two years slow: what it issues for less has expired, and what it is shown is not valid yet",
	"skew":     "carried out by a party whose clock is a day fast: what it issues is not valid yet, and what it is shown for less has expired",
}

// offs are how far clocks are off, by the kind of fault.
var offs = map[string]time.Duration{"expired": -2 * year, "skew": 24 * time.Hour}

const year = 365 * 24 * time.Hour

// stepTLS stands for connections in place of requests.
const stepTLS = "tls"

// Fits reports whether there are faults of a kind in a step. Only answers in
// the step token have nonces that can be another: those over SCEP are signed.
// And of connections (tls) only the time can be wrong: a certificate that the
// clock of the fault would have made is shown, which has expired or is not
// valid yet. Connections that are there already stay.
func Fits(step, kind string) bool {
	_, known := Kinds[kind]
	if code, err := strconv.Atoi(kind); err == nil && code >= 400 && code <= 599 {
		known = true
	}
	switch {
	case !known || !slices.Contains(Steps(), step):
		return false
	case step == stepTLS:
		return offs[kind] != 0
	}
	return kind != "nonce" || step == "token"
}

// ParseFault reads STEP:KIND[:N]. Without N one request goes wrong, with "all"
// every one.
func ParseFault(text string) (*Fault, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, fmt.Errorf("fault %q: want STEP:KIND[:N]", text)
	}
	f := &Fault{Step: parts[0], Kind: parts[1], Left: 1}
	switch {
	case !slices.Contains(Steps(), f.Step):
		return nil, fmt.Errorf("fault %q: no requests belong to a step %q", text, f.Step)
	case !Fits(f.Step, f.Kind):
		return nil, fmt.Errorf("fault %q: no kind %q in this step", text, f.Kind)
	case len(parts) == 2:
		return f, nil
	case parts[2] == "all":
		f.Left = -1
		return f, nil
	}
	n, err := strconv.Atoi(parts[2])
	if err != nil || n < 1 {
		return nil, fmt.Errorf("fault %q: %q is no number of requests", text, parts[2])
	}
	f.Left = n
	return f, nil
}

// status returns the HTTP status that f answers, or 0.
func (f *Fault) status() int {
	code, err := strconv.Atoi(f.Kind)
	if err != nil {
		return 0
	}
	return code
}

// answer answers with an HTTP status in a party's place.
func answer(w http.ResponseWriter, code int) {
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, "this fault was asked for", code)
}
