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

// Times of the page.
const (
	attestationTime     = 7 * time.Minute
	defaultProviderTime = 15 * time.Minute
	defaultPageMinutes  = 60
	maxPageMinutes      = 1440
)

// A Page follows the enrollment status page: from the nodes that a server
// writes into a tree it tells what Windows would show, and when the page is
// over it writes the outcome into the tree for the server. Tree and Provider
// are required. It is safe for concurrent use.
//
// The page of a scope is over when the server has said that it has finished,
// and the items it named are there; or when something failed, or a deadline has
// passed. Sources: the DMClient, EnrollmentStatusTracking and DevicePreparation
// configuration service providers. How they act together is not documented, nor
// are the words of the page: they are those that Windows 11 shows in English.
type Page struct {
	Tree     *omadm.Tree
	Provider string // Account.ProviderID
	User     bool   // account setup is part of the page; not in pre-provisioning

	Now func() time.Time // if nil, time.Now

	mu       sync.Mutex
	steps    map[string]*toldStep
	first    time.Time            // when the page began
	seen     map[string]time.Time // when each policy provider was seen first
	outcomes map[string]outcome
}

// A toldStep is a step that the caller tells of.
type toldStep struct {
	state State
	began time.Time
	code  uint32
}

// An outcome is what a scope has come to, once and for all.
type outcome struct {
	state State
	code  uint32
}

// Watch guards the nodes of the page that a server may only read, or only set
// to true. It is to be called once, before the first session.
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

// oneWay keeps a node that is true from becoming anything else.
func (p *Page) oneWay(_ context.Context, op *omadm.Operation) int {
	v, _ := p.Tree.Get(op.URI)
	if op.Command != syncml.Get && isTrue(v.Data) && !isTrue(op.Value.Data) {
		return syncml.StatusNotAllowed
	}
	return 0
}

// Begin says that a step of device preparation has begun: [Attestation],
// [Join] or [Enrollment].
func (p *Page) Begin(step string) { p.step(step, InProgress, 0) }

// End says that a step is over, and failed if err is not nil. The code of an
// error that has a method HRESULT() uint32 is shown.
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

// begin sets when the page began.
func (p *Page) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first.IsZero() {
		p.first = p.now()
	}
}

// Report returns the page as it is now. The first report that finds a scope
// over writes IsSyncDone and WasDeviceSuccessfullyProvisioned there; after that
// its state stays.
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

// settle decides whether a scope is over, writes that into the tree once, and
// returns the state of the scope.
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
		return state, code // a page may still come
	}
	if p.outcomes == nil {
		p.outcomes = make(map[string]outcome)
	}
	p.outcomes[scope] = outcome{state, code}
	p.write(scope, state)
	return state, code
}

func firstCode(c Category) uint32 {
	for _, s := range c.Steps {
		if s.State == Failed {
			return s.Code
		}
	}
	return 0
}

// write tells the server how a scope ended.
func (p *Page) write(scope string, state State) {
	status, won := p.firstSync(scope), "0"
	if state == Succeeded {
		won = "1"
	}
	p.Tree.Set(status+"/IsSyncDone", omadm.Value{Format: "bool", Data: "true"})
	p.Tree.Set(status+"/WasDeviceSuccessfullyProvisioned", omadm.Value{Format: "int", Data: won})
	p.Tree.Set(scope+"/Vendor/MSFT/EnrollmentStatusTracking/Setup/HasProvisioningCompleted", omadm.Value{Format: "bool", Data: "true"})
}

// firstSync is the LocURI of the page's settings in a scope.
func (p *Page) firstSync(scope string) string {
	return scope + "/Vendor/MSFT/DMClient/Provider/" + url.PathEscape(p.Provider) + "/FirstSyncStatus"
}
