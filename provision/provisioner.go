package provision

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A Provisioner takes a device from a bare TPM to an enrolled device, and hands
// it to its user. TPM, Tenant and Management are required, and so are the roots
// in EKCert and AIK that the device's makers need. A nil client stands for the
// zero value of its type. Fields must not be changed while Run runs, and Run must
// not be called twice at the same time.
type Provisioner struct {
	// TPM makes and keeps the keys of the device.
	TPM *attest.TPM

	// Tenant is a domain name of the tenant, such as "contoso.com", or its
	// identifier, a GUID. It may be empty if Profile is set.
	Tenant string

	// Management is the https URL of the management server's discovery service
	// ([MS-MDE2] section 3.1).
	Management string

	// Device describes the device to the tenant and to the management server.
	Device Device

	// Steps are the steps to take, in any order. If nil, they are those that the
	// profile asks for, and without a profile those from StepEK to StepEnroll. See
	// also [Technician] and [UserPhase].
	//
	// A step may need results of a step that is not listed. They come from the
	// stored state; the tenant's services and the device token, which are never
	// stored, are fetched again. If the state does not have them, Run fails
	// with [ErrNotDone] before it does anything.
	Steps []Step

	// Do holds functions that take the place of steps. Use it for a service
	// that no client of this module speaks to, or for a step of which the
	// protocol is not public, such as StepOwner.
	//
	// A function sets the fields of r that belong to the step, and by r.Commit
	// those of the State, as the comments of Run and State say. The fields of steps
	// that come before are set; Discovery and Token may be nil in a run that needs
	// no service of the tenant any more, as the state tells. The function returns
	// resumed if it found everything done by an earlier run. Steps that do not need
	// each other run at the same time, each in a goroutine of its own. An error that
	// has a method "Retryable() bool" which returns true leads to another attempt, as
	// Backoff says. Run fails with every other error.
	Do map[Step]func(ctx context.Context, r *Run) (resumed bool, err error)

	// Hash is the hardware hash with which the device was registered, or one that
	// was taken just now. It is optional. If it is set, StepProfile compares it
	// with the TPM's RSA endorsement keys before anything is sent, and fails if it
	// belongs to another mainboard; if that cannot be told, the step's event has a
	// warning.
	Hash *autopilot.Hash

	// Profile downloads the deployment profile in StepProfile, for which it needs
	// Hash. It is optional. The profile gives what the Provisioner leaves open: the
	// Tenant; the steps if Steps is nil, which are those of the technician's phase,
	// and with a User those of the user's, or for self-deploying mode those from
	// StepEK to StepSession; and the name of the device. A profile that has the
	// device join Active Directory is refused unless Do has a function for
	// StepJoin. See [Provisioner.Apply] for a profile from a file.
	Profile *autopilot.ProfileClient

	// SelectEK reports whether an endorsement key may be used. If it is nil,
	// every key may be. Of these the run takes the first that has a certificate.
	SelectEK func(*attest.EK) bool

	// EnrollEK requests a certificate for the endorsement key from the maker's
	// CA over SCEP (EKCert.SCEPURL) even if the TPM holds one. If it is false,
	// the run does so only if the TPM holds none; and if EKCert.SCEPURL is
	// empty, it asks the maker's certificate service instead.
	EnrollEK bool

	// AIKHandle is the persistent handle at which the attestation key is kept in the
	// TPM, from 0x81020000 to 0x817FFFFF; see [attest.TPM.PersistKey] for what
	// that costs. It pays where a resource manager, such as that of Linux, would load
	// and save the key around every command. [attest.TPM.RemoveKey] removes it. If
	// AIKHandle is 0, nothing is made persistent.
	AIKHandle uint32

	// Clients of the single steps. Set one to change the endpoints or the trust
	// roots of its step. A client without an HTTPClient uses that of the
	// Provisioner. Run works on copies.
	EKCert *ekcert.Client   // for StepEK; its Roots are required
	AIK    *aik.Client      // for StepAIK
	DRS    *drs.Client      // for the steps at the tenant
	Token  *mdm.TokenClient // for StepEnroll; if its Endpoint is empty, the tenant names it
	MDM    *mdm.Client      // for StepEnroll and StepSession; with a RequestVersion of 6.0 or more the server may ask for Azure Attestation

	// JoinToken returns the token that authorizes the join of a device without a
	// user, such as a device ticket from elsewhere: a [*drs.DeviceToken]. Against
	// Microsoft's public service it is required: how that service has a device
	// prove its TPM is not public, so a run without JoinToken ends at once, with
	// [ErrNoJoinToken]. For other services it may be nil. The run then proves the
	// endorsement key to the tenant by the profile ek-jwt-v1 of this module.
	//
	// StepRejoin asks it for a ticket, too, by which the directory finds the
	// device's object again.
	JoinToken drs.TokenSource

	// Attestation is the form in which joins send the attestation key's statements
	// about the keys of the device. The zero value sends them only to a directory
	// whose discovery names TPM challenges. The public service does not, and no
	// open client sends it any.
	Attestation drs.AttestationForm

	// Setup configures the management sessions of StepSession.
	Setup Setup

	// SealEarly has the device leave the tenant as soon as it is enrolled: StepSeal
	// then comes before StepSession, whose sessions need the management certificate
	// alone. If it is false, StepSeal comes after the sessions. Windows has been seen
	// to leave right after the enrollment, but no specification tells when.
	SealEarly bool

	// User is the user who gets the device. It is required for the user's phase
	// and not used before.
	User *User

	// HTTPClient is used by the clients above that have none. If it is nil,
	// they use [http.DefaultClient].
	HTTPClient *http.Client

	// MutualTLS returns the transport of requests in which the device shows a
	// certificate of its own: those of StepSeal and StepSession. If it is nil,
	// the transport is a copy of the HTTP client's, which then must be an
	// [*http.Transport] or nil.
	MutualTLS func(*tls.Config) http.RoundTripper

	// Store keeps the state between runs. If it is nil, every run starts from
	// the beginning.
	Store Store

	// Backoff returns the pause before the n-th retry of a step that failed
	// with err, or 0 to give up. It is asked only about errors that say that
	// they are retryable. n starts at 1. Steps that run side by side may ask at
	// the same time. If it is nil, it is [DefaultBackoff]. Nothing else in this
	// module retries a request.
	Backoff func(step Step, n int, err error) time.Duration

	// Observe, if not nil, is called at each change of a step. Calls do not
	// overlap, and the run waits for each to return.
	Observe func(Event)

	// Now returns the current time. If it is nil, it is [time.Now].
	Now func() time.Time

	// Logger receives debug records. If it is nil, nothing is logged.
	Logger *slog.Logger
}

// A Device is how a device describes itself to the tenant and to the management
// server.
type Device struct {
	Name      string // display name; if empty, "whiteglove"
	Type      string // kind of operating system; if empty, "Windows"
	OSVersion string // four numbers separated by dots; if empty, "10.0.26100.1"
}

// A Setup configures how the management server sets the device up. The zero
// value is ready to use.
type Setup struct {
	// Tree holds the nodes that the server reads and writes, and the handlers
	// that carry its commands out. If it is nil, the run uses a new tree, whose
	// commands change nothing but the tree. Nodes that earlier runs stored are
	// put back into it.
	Tree *omadm.Tree

	// Progress, if not nil, is called with the enrollment status page after each
	// session.
	Progress func(*esp.Report)

	// Pause is the time between two sessions. If it is 0, it is a minute.
	// Sessions follow one another until the page reports success or failure.
	Pause time.Duration
}

// A User is the user who gets the device.
type User struct {
	// Name is the user principal name, such as "ada@contoso.com".
	Name string

	// JoinToken returns a token with which the user may join devices, such as
	// one from a sign-in page for the resource d.JoinResource. StepRejoin calls
	// it when it needs the token, which is not stored.
	JoinToken func(ctx context.Context, d *drs.Discovery) (drs.Token, error)

	// SignIn holds the user's credential for StepSignIn in one of the fields
	// Password, RefreshToken and UserKey. The run sets the certificate, the
	// keys and the name.
	SignIn drs.SignIn
}

// Run takes the steps that the stored state does not show as done. It returns
// the state that it has reached, also with an error; the state is nil if a field
// is missing or the stored state cannot be used.
//
// Steps run side by side where they can: discovery beside the TPM's work, and
// the making of the device's keys while the attestation CA prepares its
// challenge. If one fails, Run stops the others. The management server's discovery
// service is asked as soon as the attestation key is certified, so it also hears of
// devices, though not which they are, that the tenant then does not let join.
//
// Run saves the state whenever it has something that a later run can use. If a
// run is cut off, the next one goes on where it stopped. When Run returns, it
// has left nothing loaded in the TPM.
//
// The error is an [*Error], which names the step and wraps the error of the
// step's package. It wraps [ErrLocked] if another run uses the Store,
// [ErrState] if the stored state is damaged or belongs to another TPM, tenant or
// user, [ErrNotDone] if a step needs one that has not been done, [ErrNoJoinToken] if
// the directory needs a token for the join that only the caller can get, and the error
// of ctx if that ended first.
func (p *Provisioner) Run(ctx context.Context) (*State, error) {
	if err := p.check(); err != nil {
		return nil, &Error{Err: err}
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
	release := p.TPM.Keep()
	err = r.takeProfile(ctx)
	if err == nil {
		err = r.plan()
	}
	if err == nil {
		err = r.steps(ctx)
	}
	if rerr := release(context.WithoutCancel(ctx)); err == nil && rerr != nil {
		err = &Error{Err: rerr}
	}
	return r.State, err
}
