package provision

import (
	"context"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/mdm"
)

// services is the answer of the management server's discovery service.
type services struct {
	at  *mdm.Discovery
	err error
}

// discoverEarly asks the management server for its services while the device proves its
// TPM to the directory and joins, because that needs nothing of a join. It starts when
// StepToken can: a device whose attestation key nobody certifies asks nobody. The request
// tells nothing of the device that its enrollment does not, and it is StepEnroll that
// reports a failure.
func (r *Run) discoverEarly(ctx context.Context, answer chan<- services) {
	if err := r.await(ctx, stageOf(StepToken).needs); err != nil {
		return
	}
	at, err := r.Provisioner.MDM.Discover(context.WithValue(ctx, stepKey{}, StepEnroll), r.Provisioner.Management, "")
	answer <- services{at, err}
}

// services returns the services of the management server. The first call takes the
// answer of discoverEarly, and later ones, after a failure, ask again.
func (r *Run) services(ctx context.Context, c *mdm.Client) (*mdm.Discovery, error) {
	early := r.early
	if r.early = nil; early == nil {
		return c.Discover(ctx, r.Provisioner.Management, "")
	}
	select {
	case s := <-early:
		return s.at, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// An earlyKey is the key of the management certificate, which is made while StepJoin waits
// for the directory.
type earlyKey struct {
	done chan struct{} // closed when it is made or has failed
	key  *attest.Key   // nil if it could not be made
}

// makeKeyEarly makes the management key beside the request of a join. StepJoin calls it
// when the TPM has signed all of that request. Before the management server's policy
// is known, the key has 2048 bits, as nearly all servers want; StepEnroll makes another if
// that is too short. A failure is left to StepEnroll, too, which makes the key then.
func (r *Run) makeKeyEarly() {
	if r.beside == nil || r.managing != nil || !r.takes(StepEnroll) || r.Provisioner.Do[StepEnroll] != nil || r.State.enrolled() {
		return
	}
	e := &earlyKey{done: make(chan struct{})}
	r.managing = e
	r.beside(func(ctx context.Context) {
		defer close(e.done)
		key, err := r.smallKey(context.WithValue(ctx, stepKey{}, StepEnroll))
		if err != nil {
			r.debug("management key beside the join", "err", err)
			return
		}
		e.key = key
	})
}

// keyMadeEarly returns the key of makeKeyEarly, or nil if there is none.
func (r *Run) keyMadeEarly(ctx context.Context) (*attest.Key, error) {
	if r.managing == nil {
		return nil, nil
	}
	select {
	case <-r.managing.done:
		return r.managing.key, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// An earlyNonce is the nonce of the management token, which is requested while StepJoin
// waits for the directory.
type earlyNonce struct {
	done  chan struct{} // closed when it is there or has failed
	nonce string        // empty if it could not be had
	asked time.Time     // when it was asked for
}

// nonceTime is how long a nonce is used. Directories accept one for some minutes.
const nonceTime = time.Minute

// fetchNonceEarly requests the nonce of the management token beside the request of a join,
// because it needs nothing of that. A failure is left to StepEnroll, which asks again.
func (r *Run) fetchNonceEarly() {
	if r.beside == nil || r.nonce != nil || !r.takes(StepEnroll) || r.Provisioner.Do[StepEnroll] != nil || r.State.enrolled() {
		return
	}
	n := &earlyNonce{done: make(chan struct{}), asked: time.Now()}
	r.nonce = n
	client := r.tokenClient()
	r.beside(func(ctx context.Context) {
		defer close(n.done)
		nonce, err := client.Nonce(context.WithValue(ctx, stepKey{}, StepEnroll))
		if err != nil {
			r.debug("nonce of the management token beside the join", "err", err)
		}
		n.nonce = nonce
	})
}

// takeNonce returns the nonce of fetchNonceEarly, once, or "" if there is none or it is too
// old.
func (r *Run) takeNonce(ctx context.Context) (string, error) {
	n := r.nonce
	if n == nil {
		return "", nil
	}
	select {
	case <-n.done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	nonce := n.nonce
	n.nonce = ""
	if time.Since(n.asked) > nonceTime {
		nonce = ""
	}
	return nonce, nil
}
