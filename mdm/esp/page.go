package esp

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/syncml"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// Deadlines of the page. That of attestation is Windows' own; the others are
// the defaults and the limit of nodes that a server may set.
const (
	attestationTime     = 7 * time.Minute
	defaultProviderTime = 15 * time.Minute
	defaultPageMinutes  = 60
	maxPageMinutes      = 1440
)

// A Page follows the enrollment status page of one enrollment. It reads the
// nodes that the server writes into a tree, tells what Windows would show, and
// writes the outcome into the tree, where the server reads it. Tree and
// Provider are required. A Page is safe for concurrent use as long as its
// fields do not change.
type Page struct {
	// Tree is the tree of the management sessions.
	Tree *omadm.Tree

	// Provider is the name of the management provider, as in mdm.Account.
	Provider string

	// User makes account setup a part of the page. Pre-provisioning leaves it
	// out.
	User bool

	// Now returns the current time, by which deadlines pass. If it is nil, it
	// is [time.Now].
	Now func() time.Time

	mu       sync.Mutex
	steps    map[string]*toldStep // by name
	first    time.Time            // when the page began
	seen     map[string]time.Time // when each policy provider was first seen
	outcomes map[string]outcome   // by scope
}

// A toldStep is a step that the caller told of by Begin or End.
type toldStep struct {
	state State
	began time.Time
	code  uint32
}

// An outcome is the final state of a scope.
type outcome struct {
	state State
	code  uint32
}

// Watch adds handlers to p.Tree for the nodes of the page that a server may
// only read, or may only set to true, and starts the page's time. Call it once,
// before the first session.
func (p *Page) Watch() {
	for _, scope := range []string{"./Device", "./User"} {
		status := p.firstSync(scope)
		p.Tree.Handle(status+"/IsSyncDone", omadm.ReadOnly)
		p.Tree.Handle(status+"/WasDeviceSuccessfullyProvisioned", omadm.ReadOnly)
		p.Tree.Handle(status+"/ServerHasFinishedProvisioning", p.oneWay)
		p.Tree.Handle(scope+"/Vendor/MSFT/EnrollmentStatusTracking/Setup/HasProvisioningCompleted", omadm.ReadOnly)
	}
	p.begin()
}

// oneWay is a handler that lets a server set a node to true and not back.
func (p *Page) oneWay(_ context.Context, op *omadm.Operation) int {
	v, _ := p.Tree.Get(op.URI)
	if op.Command != syncml.Get && isTrue(v.Data) && !isTrue(op.Value.Data) {
		return syncml.StatusNotAllowed
	}
	return 0
}

// Begin tells the page that a step of device preparation has begun:
// [Attestation], [Join] or [Enrollment]. The page shows only steps that it was
// told of.
func (p *Page) Begin(step string) { p.step(step, InProgress, 0) }

// End tells the page that a step of device preparation is over, and that it
// failed if err is not nil. The page then shows the code of err: 0x800705B4 for
// [context.DeadlineExceeded], that of a method HRESULT() uint32 if err has one,
// or else 0x80004005.
func (p *Page) End(step string, err error) {
	switch {
	case err == nil:
		p.step(step, Succeeded, 0)
	case errors.Is(err, context.DeadlineExceeded):
		p.step(step, Failed, hresult.Timeout)
	default:
		p.step(step, Failed, hresult.Of(err))
	}
}

// step sets the state of a step that the caller tells of.
func (p *Page) step(name string, state State, code uint32) {
	p.begin()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.steps == nil {
		p.steps = make(map[string]*toldStep)
	}
	p.steps[name] = &toldStep{state: state, began: p.now(), code: code}
}

func (p *Page) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// begin starts the time of the page, unless it has been started.
func (p *Page) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first.IsZero() {
		p.first = p.now()
	}
}

// Report returns the page as it is now. The report is the caller's to keep and
// to change. The first report that finds the page of a scope over writes the
// outcome into the tree: IsSyncDone and WasDeviceSuccessfullyProvisioned below
// FirstSyncStatus, and HasProvisioningCompleted below EnrollmentStatusTracking.
// From then on the state of that scope does not change.
func (p *Page) Report() *Report {
	p.begin()
	p.mu.Lock()
	defer p.mu.Unlock()
	device := p.read("./Device")
	user := p.read("./User")
	r := &Report{
		Skipped: !device.there || device.skip, Message: device.words,
		MayReset: device.block&1 != 0, MayRetry: device.block&2 != 0, MayContinue: device.block == 0 || device.block&4 != 0,
		Preparation: p.devicePreparation(),
	}
	if device.there {
		r.Deadline = p.first.Add(device.limit)
	}
	preparation := p.preparation()
	setup := p.setup("DeviceSetup", "Device setup", device, preparation.State == Succeeded)
	r.Categories = []Category{preparation, setup}
	r.State, r.Code = p.settle("./Device", device, r.Categories)
	if p.User && !user.skip && r.State == Succeeded {
		account := []Category{p.setup("AccountSetup", "Account setup", user, user.up)}
		r.State, r.Code = p.settle("./User", user, account)
		r.Categories = append(r.Categories, account...)
	} else if p.User && !user.skip {
		account := p.setup("AccountSetup", "Account setup", user, false)
		r.Categories = append(r.Categories, account)
	}
	return r
}

// settle returns the state and the code of a scope, and writes them into the
// tree when the scope is over. The caller holds p.mu.
func (p *Page) settle(scope string, set settings, categories []Category) (State, uint32) {
	if o, ok := p.outcomes[scope]; ok {
		return o.state, o.code
	}
	state, code := Succeeded, uint32(0)
	for _, c := range categories {
		switch {
		case c.State == Failed:
			state = Failed
			code = firstCode(c)
		case c.State != Succeeded && state == Succeeded:
			state = InProgress
		}
		if state == Failed {
			break
		}
	}
	if state == Succeeded && set.there && !set.finished || scope == "./User" && !set.up {
		state = InProgress
	}
	if state == InProgress && set.there && !p.now().Before(p.first.Add(set.limit)) {
		state, code = Failed, hresult.Timeout
	}
	if state == InProgress {
		return state, 0
	}
	if !set.there {
		return state, code // not final: the server may still set up a page
	}
	if p.outcomes == nil {
		p.outcomes = make(map[string]outcome)
	}
	p.outcomes[scope] = outcome{state, code}
	p.write(scope, state)
	return state, code
}

// firstCode returns the code of the first failed step.
func firstCode(c Category) uint32 {
	for _, s := range c.Steps {
		if s.State == Failed {
			return s.Code
		}
	}
	return 0
}

// write writes the outcome of a scope into the tree.
func (p *Page) write(scope string, state State) {
	status, won := p.firstSync(scope), "0"
	if state == Succeeded {
		won = "1"
	}
	p.Tree.Set(status+"/IsSyncDone", omadm.Value{Format: "bool", Data: "true"})
	p.Tree.Set(status+"/WasDeviceSuccessfullyProvisioned", omadm.Value{Format: "int", Data: won})
	p.Tree.Set(scope+"/Vendor/MSFT/EnrollmentStatusTracking/Setup/HasProvisioningCompleted", omadm.Value{Format: "bool", Data: "true"})
}

// firstSync returns the LocURI of the page's settings in a scope, "./Device" or
// "./User".
func (p *Page) firstSync(scope string) string {
	return scope + "/Vendor/MSFT/DMClient/Provider/" + url.PathEscape(p.Provider) + "/FirstSyncStatus"
}
