package provision

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
)

// A Run is one call of Provisioner.Run, for those who do a step. Each of its
// fields is set by one step, and read by those that need it. What an earlier run won is
// taken from the state before they read it.
type Run struct {
	// Provisioner has what was nil or empty replaced by its default. It is not
	// to be changed.
	Provisioner *Provisioner

	// State is to be changed by Commit alone.
	State *State

	EK      *attest.EK          // by StepEK
	EKChain []*x509.Certificate // its certificate first

	AIK      *attest.Key         // by StepAIK
	AIKChain []*x509.Certificate // its certificate first

	Discovery *drs.Discovery   // by StepDiscover
	Token     *drs.DeviceToken // by StepToken

	DeviceKey    *attest.Key // by StepKeys; signs
	TransportKey *attest.Key // by StepKeys; decrypts

	UserDeviceKey    *attest.Key  // by StepRejoin, as DeviceKey
	UserTransportKey *attest.Key  // by StepRejoin, as TransportKey
	Session          *drs.Session // by StepSignIn

	mu       sync.Mutex // for State, marks and warnings, and one Observe at a time
	stages   []stage    // that are taken
	marks    map[Step]chan struct{}
	warnings map[Step][]string
}

// Commit changes the state by change, and saves it.
func (r *Run) Commit(ctx context.Context, change func(*State)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.State)
	if r.Provisioner.Store == nil {
		return nil
	}
	return r.Provisioner.Store.Save(ctx, r.State)
}

// Warn has the event that ends a step, the one of ctx, say what is not as it
// should be.
func (r *Run) Warn(ctx context.Context, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	step := StepOf(ctx)
	r.warnings[step] = append(r.warnings[step], fmt.Sprintf(format, args...))
}

// lock keeps other runs from the Store, if it can.
func (r *Run) lock(ctx context.Context) (unlock func() error, err error) {
	if l, ok := r.Provisioner.Store.(Locker); ok {
		return l.Lock(ctx)
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
	if err != nil {
		return err
	}
	if err := state.check(p); err != nil {
		return err
	}
	r.State = state
	return nil
}

// reach lets those go on that wait for a step, which may be reached before.
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

// await waits until all steps that are taken have been reached, or returns
// ctx's error.
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

// errStopped is why steps are stopped when another has failed.
var errStopped = errors.New("another step failed")

// steps takes all stages, each as soon as it can be, and returns the first
// error.
func (r *Run) steps(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	errs := make(chan error, len(r.stages)) // in the order in which they came
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
		return &Error{Err: err} // ended between two steps
	}
	return nil
}

// taken returns the steps that are taken.
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
