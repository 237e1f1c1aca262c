package provision

import (
	"context"
	"crypto/tls"
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

// A Provisioner takes a device from a bare TPM to an enrolled one, and hands it
// to its user. TPM, Tenant and Management are required; a nil client means one
// with its defaults. Run must not be called twice at the same time.
type Provisioner struct {
	// TPM holds every secret of the run.
	TPM *attest.TPM

	// Tenant is the tenant's domain name or identifier.
	Tenant string

	// Management is the URL of the management server's discovery service.
	Management string

	// Device describes the device to the tenant and to management.
	Device Device

	// Steps are the steps to take, in any order; if nil, those from StepEK to
	// StepEnroll. See also [Technician] and [UserPhase]. What they need of a
	// step that is not listed comes from the stored state; what is never
	// stored, the tenant's services and the device token, is got anew. If
	// neither can be, Run fails with [ErrNotDone] before anything is done.
	Steps []Step

	// Do has functions that stand in for steps: for a service that is none of
	// these, or to do something before or after a step.
	Do map[Step]StepFunc

	// SelectEK reports whether an endorsement key may be used. If nil, any
	// may; the first that has a certificate is taken.
	SelectEK func(*attest.EK) bool

	// EnrollEK has the endorsement key certified by the maker's CA over SCEP
	// (EKCert.SCEPURL) even if the TPM holds a certificate. Without it, that is done
	// only if the TPM holds none; and without a CA, EKCert asks the maker's service.
	EnrollEK bool

	// Clients of the single steps. Set one to change an endpoint, the trust
	// roots or a timeout of its step. A client without an HTTPClient uses
	// that of the Provisioner.
	EKCert *ekcert.Client // its Roots are required
	AIK    *aik.Client
	DRS    *drs.Client
	Token  *mdm.TokenClient // an empty Endpoint is the one the tenant names
	MDM    *mdm.Client

	// JoinToken authorizes the join, such as a static device ticket. If nil,
	// DRS has the endorsement key proven.
	JoinToken drs.TokenSource

	// Setup is about the management sessions of StepSession.
	Setup Setup

	// User gets the device; required for the user's phase.
	User *User

	// HTTPClient is used by the clients above that name none.
	// If it is nil too, http.DefaultClient is used.
	HTTPClient *http.Client

	// MutualTLS makes the transport of requests that show a certificate of the
	// device's: of StepSeal and StepSession. If nil, it is a copy of the
	// client's transport, which must be an [*http.Transport] then.
	MutualTLS func(*tls.Config) http.RoundTripper

	// Store keeps the state between runs. If nil, a run starts afresh.
	Store Store

	// Backoff says whether and when a step is tried again. If nil, it is
	// DefaultBackoff. No other part of this module retries.
	Backoff Backoff

	// Observe, if set, is called at each change of a step: not twice at the
	// same time, and the run waits for it.
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

// A Setup says how the management server sets the device up.
type Setup struct {
	// Tree is what the server reads and writes, with handlers for what its
	// commands do to the device and for its SCEP orders. If nil, it is a new
	// one, and commands change nothing else. Nodes of earlier runs are put back
	// into it.
	Tree *mdm.Tree

	// Progress, if set, gets the enrollment status page after each session.
	Progress func(*mdm.ESPReport)

	// Pause is between sessions; if 0, it is a minute. It ends with the
	// sessions, which go on until the page is over.
	Pause time.Duration
}

// A User is who gets the device.
type User struct {
	// Name is the user principal name.
	Name string

	// JoinToken returns a token of the user's for the registration service, as
	// a sign-in page gives it. It is asked for when it is needed, and not kept.
	JoinToken func(ctx context.Context, d *drs.Discovery) (drs.Token, error)

	// SignIn has the credential of the user's, for StepSignIn: one of Password,
	// RefreshToken and UserKey. What else it needs is filled in.
	SignIn drs.SignIn
}

// Run takes the steps that the stored state does not show as done, and returns
// the state it reached, also with an error. The error is an [*Error].
//
// Steps run side by side where they can: discovery beside the TPM's work, and
// the device's keys are made while the attestation CA makes up its challenge.
// If one fails the others are stopped.
//
// The state is saved whenever something was won that a later run can use. A
// run that was cut off is continued by the next one; a stored state of another
// TPM or tenant is refused with [ErrState]. Nothing is left loaded in the TPM.
func (p *Provisioner) Run(ctx context.Context) (*State, error) {
	if p.TPM == nil || p.Tenant == "" || p.Management == "" {
		return nil, &Error{Err: errors.New("a Provisioner needs a TPM, a Tenant and a Management URL")}
	}
	r := &Run{Provisioner: p.withDefaults()}
	unlock, err := r.lock(ctx)
	if err != nil {
		return nil, &Error{Err: err}
	}
	defer unlock()
	if err := r.load(ctx); err != nil {
		return nil, &Error{Err: err}
	}
	if err := r.plan(); err != nil {
		return r.State, err
	}
	release := p.TPM.Keep()
	err = r.steps(ctx)
	if rerr := release(context.WithoutCancel(ctx)); err == nil && rerr != nil {
		err = &Error{Err: rerr}
	}
	return r.State, err
}
