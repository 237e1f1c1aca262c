package provisiontest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/provision"
)

// StepTLS is the Step of faults that spoil connections instead of requests: the
// listener shows a certificate that has expired or is not valid yet. Connections
// that are open stay open.
const StepTLS provision.Step = "tls"

// A Fault is a way in which requests of a step go wrong, to rehearse a failing
// site. See [Server.SetFaults].
type Fault struct {
	// Step is the step whose requests go wrong, one of [FaultSteps].
	Step provision.Step

	// Kind says how they go wrong: an HTTP status from "400" to "599", or one of
	// [FaultKinds].
	Kind string

	// Requests is how many requests go wrong, beginning with the next one. If
	// 0, one does; if negative, all do.
	Requests int
}

// kinds describes the kinds of faults besides HTTP statuses.
var kinds = map[string]string{
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

// FaultKinds returns the kinds of faults besides HTTP statuses such as "503", and
// how a request goes wrong with each.
func FaultKinds() map[string]string { return maps.Clone(kinds) }

// Valid reports whether the fault is possible. The step must be one of
// [FaultSteps] and the kind be known. In StepTLS only "expired" and "skew" are
// possible. "nonce" is possible only in the step token, because other answers
// with nonces are signed.
func (f Fault) Valid() bool {
	_, known := kinds[f.Kind]
	switch {
	case !known && f.status() == 0 || !slices.Contains(FaultSteps(), f.Step):
		return false
	case f.Step == StepTLS:
		return offs[f.Kind] != 0
	}
	return f.Kind != "nonce" || f.Step == provision.StepToken
}

// ParseFault parses STEP:KIND[:N], such as "join:503" or "token:cut:2". N is the
// number of requests that go wrong, 1 if it is left out, or "all".
//
// The error says what is wrong with text: its form, a number below 1, or a fault
// that is not Valid.
func ParseFault(text string) (Fault, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return Fault{}, fmt.Errorf("fault %q: want STEP:KIND[:N]", text)
	}
	f := Fault{Step: provision.Step(parts[0]), Kind: parts[1], Requests: 1}
	switch {
	case !slices.Contains(FaultSteps(), f.Step):
		return Fault{}, fmt.Errorf("fault %q: no requests belong to a step %q: want one of %s", text, f.Step, list(FaultSteps()))
	case !f.Valid():
		return Fault{}, fmt.Errorf("fault %q: %s", text, f.unfit())
	case len(parts) == 2:
		return f, nil
	case parts[2] == "all":
		f.Requests = -1
		return f, nil
	}
	n, err := strconv.Atoi(parts[2])
	if err != nil || n < 1 {
		return Fault{}, fmt.Errorf("fault %q: %q is no number of requests", text, parts[2])
	}
	f.Requests = n
	return f, nil
}

// unfit says why f is not Valid, if its Step is one of [FaultSteps].
func (f Fault) unfit() string {
	switch {
	case f.Step == StepTLS:
		return "the step tls takes expired and skew only"
	case f.Kind == "nonce":
		return "nonce goes only with the step token"
	}
	fit := slices.DeleteFunc(slices.Sorted(maps.Keys(kinds)), func(kind string) bool { return !Fault{Step: f.Step, Kind: kind}.Valid() })
	return fmt.Sprintf("there is no kind %q: want an HTTP status from 400 to 599, or one of %s", f.Kind, list(fit))
}

// list returns names separated by commas.
func list[T ~string](names []T) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(name))
	}
	return b.String()
}

// String returns the fault in the form that [ParseFault] reads.
func (f Fault) String() string {
	text := string(f.Step) + ":" + f.Kind
	switch {
	case f.Requests < 0:
		return text + ":all"
	case f.Requests > 1:
		return text + ":" + strconv.Itoa(f.Requests)
	}
	return text
}

// status returns the HTTP status that f answers, or 0.
func (f Fault) status() int {
	code, err := strconv.Atoi(f.Kind)
	if err != nil || len(f.Kind) != 3 || code < 400 || code > 599 {
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
