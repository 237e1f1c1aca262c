package mdm

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/syncml"
)

// Times of the page.
const (
	attestationTime     = 7 * time.Minute
	defaultProviderTime = 15 * time.Minute
	defaultPageMinutes  = 60
	maxPageMinutes      = 1440
)

// An ESP follows the enrollment status page: from the nodes that a server
// writes into a tree it tells what Windows would show, and when the page is
// over it writes the outcome into the tree for the server. Tree and Provider
// are required. It is safe for concurrent use.
//
// The page of a scope is over when the server has said that it has finished,
// and the items it named are there; or when something failed, or a deadline has
// passed. Sources: the DMClient, EnrollmentStatusTracking and DevicePreparation
// configuration service providers. How they act together is not documented, nor
// are the words of the page: they are those that Windows 11 shows in English.
type ESP struct {
	Tree     *Tree
	Provider string // Account.ProviderID
	User     bool   // account setup is part of the page; not in pre-provisioning

	Now func() time.Time // if nil, time.Now

	mu       sync.Mutex
	steps    map[string]*espStep
	first    time.Time            // when the page began
	seen     map[string]time.Time // when each policy provider was seen first
	outcomes map[string]espOutcome
}

// An espStep is a step that the caller tells of.
type espStep struct {
	state ESPState
	began time.Time
	code  uint32
}

// An espOutcome is what a scope has come to, once and for all.
type espOutcome struct {
	state ESPState
	code  uint32
}

// Watch guards the nodes of the page that a server may only read, or only set
// to true. It is to be called once, before the first session.
func (e *ESP) Watch() {
	for _, scope := range []string{"./Device", "./User"} {
		status := e.firstSync(scope)
		e.Tree.Handle(status+"/IsSyncDone", readOnly)
		e.Tree.Handle(status+"/WasDeviceSuccessfullyProvisioned", readOnly)
		e.Tree.Handle(status+"/ServerHasFinishedProvisioning", e.oneWay)
		e.Tree.Handle(scope+"/Vendor/MSFT/EnrollmentStatusTracking/Setup/HasProvisioningCompleted", readOnly)
	}
	e.begin()
}

// oneWay keeps a node that is true from becoming anything else.
func (e *ESP) oneWay(_ context.Context, op *Operation) int {
	v, _ := e.Tree.Get(op.URI)
	if op.Command != syncml.Get && isTrue(v.Data) && !isTrue(op.Value.Data) {
		return statusNotAllowed
	}
	return 0
}

// Begin says that a step of device preparation has begun: [ESPAttestation],
// [ESPJoin] or [ESPEnrollment].
func (e *ESP) Begin(step string) { e.step(step, ESPInProgress, 0) }

// End says that a step is over, and failed if err is not nil. The code of an
// error that has a method HRESULT() uint32 is shown.
func (e *ESP) End(step string, err error) {
	switch {
	case err == nil:
		e.step(step, ESPSucceeded, 0)
	case errors.Is(err, context.DeadlineExceeded):
		e.step(step, ESPFailed, hresult.Timeout)
	default:
		e.step(step, ESPFailed, codeOf(err))
	}
}

func (e *ESP) step(name string, state ESPState, code uint32) {
	e.begin()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.steps == nil {
		e.steps = make(map[string]*espStep)
	}
	e.steps[name] = &espStep{state: state, began: now(e.Now), code: code}
}

// begin sets when the page began.
func (e *ESP) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.first.IsZero() {
		e.first = now(e.Now)
	}
}

// Report returns the page as it is now. The first report that finds a scope
// over writes IsSyncDone and WasDeviceSuccessfullyProvisioned there; after that
// its state stays.
func (e *ESP) Report() *ESPReport {
	e.begin()
	e.mu.Lock()
	defer e.mu.Unlock()
	device := e.read("./Device")
	user := e.read("./User")
	r := &ESPReport{
		Skipped: !device.there || device.skip, Message: device.words,
		MayReset: device.block&1 != 0, MayRetry: device.block&2 != 0, MayContinue: device.block == 0 || device.block&4 != 0,
	}
	r.Page = e.page()
	if device.there {
		r.Deadline = e.first.Add(device.limit)
	}
	preparation := e.preparation()
	setup := e.setup("DeviceSetup", "Device setup", device, preparation.State == ESPSucceeded)
	r.Categories = []ESPCategory{preparation, setup}
	r.State, r.Code = e.settle("./Device", device, r.Categories)
	if e.User && !user.skip && r.State == ESPSucceeded {
		account := []ESPCategory{e.setup("AccountSetup", "Account setup", user, user.up)}
		r.State, r.Code = e.settle("./User", user, account)
		r.Categories = append(r.Categories, account...)
	} else if e.User && !user.skip {
		account := e.setup("AccountSetup", "Account setup", user, false)
		r.Categories = append(r.Categories, account)
	}
	return r
}

// settle decides whether a scope is over, writes that into the tree once, and
// returns the state of the scope.
func (e *ESP) settle(scope string, p espPage, categories []ESPCategory) (ESPState, uint32) {
	if o, ok := e.outcomes[scope]; ok {
		return o.state, o.code
	}
	state, code := ESPSucceeded, uint32(0)
	for _, c := range categories {
		switch {
		case c.State == ESPFailed:
			state = ESPFailed
			code = firstCode(c)
		case c.State != ESPSucceeded && state == ESPSucceeded:
			state = ESPInProgress
		}
		if state == ESPFailed {
			break
		}
	}
	if state == ESPSucceeded && p.there && !p.finished || scope == "./User" && !p.up {
		state = ESPInProgress
	}
	if state == ESPInProgress && p.there && !now(e.Now).Before(e.first.Add(p.limit)) {
		state, code = ESPFailed, hresult.Timeout
	}
	if state == ESPInProgress {
		return state, 0
	}
	if !p.there {
		return state, code // a page may still come
	}
	if e.outcomes == nil {
		e.outcomes = make(map[string]espOutcome)
	}
	e.outcomes[scope] = espOutcome{state, code}
	e.write(scope, state)
	return state, code
}

func firstCode(c ESPCategory) uint32 {
	for _, s := range c.Steps {
		if s.State == ESPFailed {
			return s.Code
		}
	}
	return 0
}

// write tells the server how a scope ended.
func (e *ESP) write(scope string, state ESPState) {
	status, won := e.firstSync(scope), "0"
	if state == ESPSucceeded {
		won = "1"
	}
	e.Tree.Set(status+"/IsSyncDone", Value{Format: "bool", Data: "true"})
	e.Tree.Set(status+"/WasDeviceSuccessfullyProvisioned", Value{Format: "int", Data: won})
	e.Tree.Set(scope+"/Vendor/MSFT/EnrollmentStatusTracking/Setup/HasProvisioningCompleted", Value{Format: "bool", Data: "true"})
}

// firstSync is the LocURI of the page's settings in a scope.
func (e *ESP) firstSync(scope string) string {
	return joinPath([]string{strings.TrimPrefix(scope, "./"), "Vendor", "MSFT", "DMClient", "Provider", e.Provider, "FirstSyncStatus"})
}
