package whiteglove

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/mdm"
)

// A Provisioner takes a device from a bare TPM to an enrolled one. TPM, Tenant
// and Management are required; a nil client means one with its defaults.
// Run must not be called twice at the same time.
type Provisioner struct {
	// TPM holds every secret of the run.
	TPM *attest.TPM

	// Tenant is the tenant's domain name or identifier.
	Tenant string

	// Management is the URL of the management server's discovery service.
	Management string

	// Device describes the device to the tenant and to management.
	Device Device

	// SelectEK reports whether an endorsement key may be used. If nil, any
	// may; the first that has a certificate is taken.
	SelectEK func(*attest.EK) bool

	// EnrollEK has the endorsement key certified by the maker's CA over SCEP
	// (EKCert.SCEPURL) even if the TPM holds a certificate. Without it, that is done
	// only if the TPM holds none; and without a CA, EKCert asks the maker's service.
	EnrollEK bool

	// Seal has the device leave the tenant at the end, as pre-provisioning
	// does before a device goes to its user: the directory keeps the device's
	// object, reset, and management keeps the device.
	Seal bool

	// Clients of the single steps. Set one to change an endpoint, the trust
	// roots or a timeout of its step. A client without an HTTPClient uses
	// that of the Provisioner.
	EKCert *ekcert.Client // its Roots are required
	AIK    *aik.Client
	DRS    *drs.Client
	Token  *mdm.TokenClient // an empty Endpoint is the one the tenant names
	MDM    *mdm.Client

	// HTTPClient is used by the clients above that name none.
	// If it is nil too, http.DefaultClient is used.
	HTTPClient *http.Client

	// Store keeps the state between runs. If nil, a run starts afresh.
	Store Store

	// Backoff says whether and when a step is tried again. If nil, it is
	// DefaultBackoff. No other part of this module retries.
	Backoff Backoff

	// Observe, if set, is called at each change of a step, from the
	// goroutine that called Run.
	Observe func(Event)

	// Now returns the time. If nil, it is time.Now.
	Now func() time.Time

	// Logger receives debug records. If nil, nothing is logged.
	Logger *slog.Logger
}

// A Device is what a device says of itself.
type Device struct {
	Name      string // display name; if empty, "whiteglove"
	Type      string // if empty, "Windows"
	OSVersion string // four numbers; if empty, "10.0.26100.1"
}

// A Step is one step of a run.
type Step string

// The steps, in order.
const (
	StepEK       Step = "ek"       // find and check the endorsement key's certificate
	StepAIK      Step = "aik"      // have an attestation key certified
	StepDiscover Step = "discover" // find the tenant's services
	StepToken    Step = "token"    // prove the endorsement key to the tenant
	StepKeys     Step = "keys"     // make the device and transport keys
	StepJoin     Step = "join"     // join the tenant
	StepEnroll   Step = "enroll"   // enroll in management
	StepSeal     Step = "seal"     // leave the tenant, still managed; only with Provisioner.Seal
)

// steps are all steps with what they do, in order. A step reports whether an
// earlier run had done it.
var steps = []struct {
	step Step
	do   func(*run, context.Context) (resumed bool, err error)
}{
	{StepEK, (*run).findEK},
	{StepAIK, (*run).certifyAIK},
	{StepDiscover, (*run).discover},
	{StepToken, (*run).authenticate},
	{StepKeys, (*run).makeKeys},
	{StepJoin, (*run).join},
	{StepEnroll, (*run).enroll},
	{StepSeal, (*run).seal},
}

// An Event is a change of a step.
type Event struct {
	Time    time.Time
	Step    Step
	Status  Status
	Attempt int           // 1 at the first try
	Elapsed time.Duration // of this try; 0 if Status is Started
	Wait    time.Duration // before the next try, if Status is Retrying
	Err     error         // if Status is Retrying or Failed
}

// A Status is what became of a step.
type Status string

// The statuses of a step.
const (
	Started Status = "started"
	Done    Status = "done"
	Resumed Status = "resumed" // done in an earlier run, and still good
	Failed  Status = "failed"

	Retrying Status = "retrying" // failed, and will be tried again after Wait
)

// Run runs every step that the stored state does not show as done, and
// returns the state it reached, also with an error. The error is an [*Error].
//
// The state is saved whenever something was won that a later run can use. A
// run that was cut off is continued by the next one; a stored state of another
// TPM or tenant is refused with [ErrState]. Nothing is left loaded in the TPM.
func (p *Provisioner) Run(ctx context.Context) (*State, error) {
	if p.TPM == nil || p.Tenant == "" || p.Management == "" {
		return nil, &Error{Err: errors.New("a Provisioner needs a TPM, a Tenant and a Management URL")}
	}
	r := &run{Provisioner: p.withDefaults()}
	unlock, err := r.lock(ctx)
	if err != nil {
		return nil, &Error{Err: err}
	}
	defer unlock()
	if err := r.load(ctx); err != nil {
		return nil, &Error{Err: err}
	}
	release := p.TPM.Keep()
	err = r.steps(ctx)
	if rerr := release(context.WithoutCancel(ctx)); err == nil && rerr != nil {
		err = &Error{Err: rerr}
	}
	return r.state, err
}

// lock keeps other runs from the Store, if it can.
func (r *run) lock(ctx context.Context) (unlock func() error, err error) {
	if l, ok := r.Store.(Locker); ok {
		return l.Lock(ctx)
	}
	return func() error { return nil }, nil
}

func (r *run) steps(ctx context.Context) error {
	for _, s := range steps {
		if s.step == StepSeal && !r.Seal {
			continue
		}
		_, err := r.try(ctx, s.step, func(ctx context.Context) (bool, error) { return s.do(r, ctx) })
		if err != nil {
			return &Error{Step: s.step, Err: err}
		}
	}
	return nil
}

func (r *run) debug(msg string, args ...any) {
	if r.Logger != nil {
		r.Logger.Debug(msg, args...)
	}
}

func (r *run) observe(ev Event) {
	r.debug("step", "step", ev.Step, "status", ev.Status, "elapsed", ev.Elapsed, "err", ev.Err)
	if r.Observe != nil {
		r.Observe(ev)
	}
}

// load reads the stored state, or starts a new one.
func (r *run) load(ctx context.Context) error {
	r.state = &State{Version: stateVersion, Tenant: r.Tenant}
	if r.Store == nil {
		return nil
	}
	state, err := r.Store.Load(ctx)
	if errors.Is(err, ErrNoState) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := state.check(r.Tenant); err != nil {
		return err
	}
	r.state = state
	return nil
}

func (r *run) save(ctx context.Context) error {
	if r.Store == nil {
		return nil
	}
	return r.Store.Save(ctx, r.state)
}

// A run is one call of Run: the state it works on and what it holds besides.
type run struct {
	*Provisioner
	state *State

	ek        *attest.EK
	ekChain   []*x509.Certificate
	aik       *attest.Key
	aikChain  []*x509.Certificate
	discovery *drs.Discovery
	token     *drs.DeviceToken
	device    *attest.Key
	transport *attest.Key
}
