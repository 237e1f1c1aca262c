package provision

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/misuse"
)

// A Run is one call of Provisioner.Run, as a function in Provisioner.Do sees it. Each field is
// set by one step and read by the steps that need it. Results of an earlier run
// are loaded from the state before such a step reads them. A field is nil if its
// step is neither taken nor needed.
type Run struct {
	// Provisioner is a copy of the caller's in which nil and empty fields have
	// their defaults. It must not be changed.
	Provisioner *Provisioner

	// State is what the run has reached. Only Commit may change it.
	State *State

	Profile *autopilot.Profile // by StepProfile

	EK      *attest.EK          // by StepEK
	EKChain []*x509.Certificate // by StepEK; the certificate of EK first, then its issuers

	AIK      *attest.Key         // by StepAIK
	AIKChain []*x509.Certificate // by StepAIK; the certificate of AIK first, then its issuers

	Discovery *drs.Discovery   // by StepDiscover
	Token     *drs.DeviceToken // by StepToken

	DeviceKey    *attest.Key // by StepKeys; RSA-2048, signs
	TransportKey *attest.Key // by StepKeys; RSA-2048, decrypts

	UserDeviceKey    *attest.Key  // by StepRejoin, as DeviceKey
	UserTransportKey *attest.Key  // by StepRejoin, as TransportKey
	Session          *drs.Session // by StepSignIn

	mu       sync.Mutex             // guards State, marks and warnings, and calls of Observe
	stages   []stage                // the stages that are taken, in order
	marks    map[Step]chan struct{} // closed when the step has been reached
	warnings map[Step][]string      // since the step's last event

	early    chan services               // has the management server's services once they are known; nil if StepEnroll asks for them
	nonce    *earlyNonce                 // of the management token, requested while the device joins; nil if StepEnroll requests it
	managing *earlyKey                   // made while the device joins; nil if StepEnroll makes it
	beside   func(func(context.Context)) // runs a function beside the steps, until they end
	document []byte                      // the provisioning document, if this run enrolled the device
	managed  *attest.Key                 // the key of its management certificate, if this run enrolled the device

	assumed bool // EK is that of a certificate, and no step has shown yet that the TPM has it

	proof  sync.Mutex // guards proven, and is held while the TPM is asked
	proven bool       // whether the state is known to belong to this TPM
}

// Commit calls change with the state, and saves it. Calls do not overlap. The
// error is that of Store.Save; the state keeps the change even so.
func (r *Run) Commit(ctx context.Context, change func(*State)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.State)
	if r.Provisioner.Store == nil {
		return nil
	}
	return misuse.Of("Store.Save", r.Provisioner.Store.Save(ctx, r.State))
}

// Warn adds a warning to the event that ends the present attempt of the step of
// ctx. Arguments are as for [fmt.Sprintf].
func (r *Run) Warn(ctx context.Context, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	step := StepOf(ctx)
	r.warnings[step] = append(r.warnings[step], fmt.Sprintf(format, args...))
}

// lock keeps other runs from using the Store, if the Store has a method Lock.
func (r *Run) lock(ctx context.Context) (unlock func() error, err error) {
	if l, ok := r.Provisioner.Store.(interface {
		Lock(ctx context.Context) (unlock func() error, err error)
	}); ok {
		unlock, err := l.Lock(ctx)
		if err == nil && unlock == nil {
			err = misuse.Neither("Store.Lock", "a function that unlocks")
		}
		return unlock, misuse.Of("Store.Lock", err)
	}
	return func() error { return nil }, nil
}

// load reads the stored state, or starts a new one.
func (r *Run) load(ctx context.Context) error {
	p := r.Provisioner
	r.State = &State{Version: stateVersion, Tenant: p.Tenant}
	if p.Store == nil {
		return nil
	}
	state, err := p.Store.Load(ctx)
	if errors.Is(err, ErrNoState) {
		return nil
	}
	if err == nil && state == nil {
		err = misuse.Neither("Store.Load", "a state")
	}
	if err != nil {
		return misuse.Of("Store.Load", err)
	}
	if err := state.check(p); err != nil {
		return err
	}
	r.State = state
	if p.Tenant == "" {
		p.Tenant = state.Tenant // which the profile gave
	}
	return nil
}

// reach marks a step as reached, so that the steps that wait for it go on. It
// may be called more than once for a step.
func (r *Run) reach(step Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if mark := r.marks[step]; mark != nil {
		select {
		case <-mark:
		default:
			close(mark)
		}
	}
}

// await waits until those of the listed steps that are taken have been reached.
// The error is that of ctx.
func (r *Run) await(ctx context.Context, lists ...[]Step) error {
	for _, step := range slices.Concat(lists...) {
		mark := r.marks[step]
		if mark == nil {
			continue
		}
		select {
		case <-mark:
			continue
		default:
		}
		select {
		case <-mark:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// errStopped is the cause of a context that ends because another step failed. It wraps
// context.Canceled, because net/http may return the cause in place of that.
var errStopped = fmt.Errorf("another step failed: %w", context.Canceled)

// steps takes all stages, each as soon as the steps before it have been reached,
// and returns the error that came first.
func (r *Run) steps(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	r.beside = func(f func(context.Context)) { all.Go(func() { f(ctx) }) }
	errs := make(chan error, len(r.stages)) // in the order in which they came up
	if r.takes(StepEnroll) && r.Provisioner.Do[StepEnroll] == nil {
		early := make(chan services, 1)
		r.early = early
		all.Go(func() { r.discoverEarly(ctx, early) })
	}
	for _, s := range r.stages {
		all.Go(func() {
			if err := r.await(ctx, s.needs, s.after); err != nil {
				return
			}
			if err := r.try(context.WithValue(ctx, stepKey{}, s.step), s); err != nil {
				errs <- &Error{Step: s.step, Err: err}
				stop(errStopped)
				return
			}
			r.reach(s.step)
			if s.step == StepToken || s.step == StepAIK && r.marks[StepToken] == nil {
				r.reach(tpmFree)
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	if err := r.await(ctx, r.taken()); err != nil {
		return &Error{Err: err} // ctx ended between two steps
	}
	return nil
}

// taken returns the steps of the stages that are taken.
func (r *Run) taken() []Step {
	list := make([]Step, len(r.stages))
	for i, s := range r.stages {
		list[i] = s.step
	}
	return list
}

func (r *Run) debug(msg string, args ...any) {
	if l := r.Provisioner.Logger; l != nil {
		l.Debug(msg, args...)
	}
}
