package attest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// A TPM is a TPM 2.0. Only Transport is required.
//
// Its methods may be called by several goroutines; they run one after the
// other, in the order of the calls. They repeat a command that the TPM answers with TPM_RC_RETRY,
// TPM_RC_YIELDED or TPM_RC_TESTING until it is done or ctx is; ctx is looked at
// between commands, and during one only by the transport. They leave no object
// and no session loaded when they return, unless [TPM.Keep] says so.
type TPM struct {
	// Transport sends the commands, one at a time. If it has a method
	//
	//	SendContext(ctx context.Context, command []byte) ([]byte, error)
	//
	// that is called instead of Send, with the ctx of the method on whose behalf
	// the command is sent, so that a transport can tell who that is, or give up.
	// What a command makes that the TPM runs to its end all the same stays
	// loaded then, so one should cancel it there first. Where objects are
	// flushed, that is not canceled when the method's ctx is, but has ten
	// seconds; and Close, which has no ctx, flushes under the background's.
	Transport transport.TPM

	// Authorization values of hierarchies. They go into the HMAC of salted
	// sessions and so cannot be guessed from what crosses the bus.
	EndorsementAuth []byte // usually empty, but not on Windows
	OwnerAuth       []byte // usually empty

	Logger *slog.Logger // gets each command's name, result and time at level Debug; if nil, nothing is logged

	once           sync.Once
	turn           chan struct{}    // full while a method runs: see lock
	keeps          int              // how many Keep are not released
	session        *session         // kept session, or nil
	parents        []*object        // storage keys seen, persistent or loaded
	storage        *object          // the one of parents that new keys get
	loaded         []*object        // transient objects, least recently used first
	stray          []tpm2.TPMHandle // to be flushed when the method returns
	noCreateLoaded bool             // the TPM does not have TPM2_CreateLoaded
}

// Close drops what is loaded, and closes the transport if it has a Close
// method.
func (t *TPM) Close() error {
	_ = t.lock(context.Background())
	defer t.unlock()
	if t.Transport == nil {
		return nil
	}
	t.keeps = 0
	err := ignoreGone(t.drop(context.Background()))
	if c, ok := t.Transport.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return err
}

// Keep lets the methods keep the session, the storage key and the keys used
// last loaded, until release is called: a run then needs about half the
// commands. At most three transient objects are loaded, what a chip has slots
// for, or two if the storage key is persistent, which takes a slot only while
// it is used. The endorsement key goes first, then the keys not used for
// longest, then attestation keys, and the storage key in use never. After the
// last release nothing is loaded. Calls nest; release may be called more than
// once.
func (t *TPM) Keep() (release func(ctx context.Context) error) {
	_ = t.lock(context.Background())
	defer t.unlock()
	t.keeps++
	var once sync.Once
	return func(ctx context.Context) (err error) {
		once.Do(func() { err = t.release(ctx) })
		return err
	}
}

func (t *TPM) release(ctx context.Context) error {
	_ = t.lock(context.Background()) // what is loaded goes even if ctx is done
	defer t.unlock()
	if t.keeps == 0 { // closed before
		return nil
	}
	if t.keeps--; t.keeps > 0 {
		return nil
	}
	return ignoreGone(t.drop(ctx))
}

// ignoreGone drops the error of flushing what was not there any more, as after
// a reset.
func ignoreGone(err error) error {
	if hasRC(err, tpm2.TPMRCHandle) {
		return nil
	}
	return err
}

// lock waits for its turn. Who waits on a full channel is served in the order
// of arrival, which a sync.Mutex does not promise, and can give up.
func (t *TPM) lock(ctx context.Context) error {
	t.once.Do(func() { t.turn = make(chan struct{}, 1) })
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *TPM) unlock() { <-t.turn }

// do runs op alone, and leaves loaded afterwards what Keep allows. If the TPM
// has lost what was kept, as after a reset, op runs once more from scratch.
func (t *TPM) do(ctx context.Context, op func() error) error {
	if err := t.lock(ctx); err != nil {
		return &Error{Op: "TPM", Err: err}
	}
	defer t.unlock()
	if t.Transport == nil {
		return &Error{Op: "TPM", Err: ErrNoTPM}
	}
	kept := t.session != nil || len(t.loaded) > 0
	err := op()
	if kept && isLost(err) {
		_ = t.drop(ctx) // most of it is gone already
		err = op()
	}
	err = t.lockedOut(ctx, err)
	if t.keeps == 0 {
		err = errors.Join(err, t.drop(ctx))
	} else {
		err = errors.Join(err, t.sweep(ctx))
	}
	return simplify(err)
}

// isLost reports whether the TPM said that it does not know a handle that we
// had from it (TPM_RC_REFERENCE_H0 to S6).
func isLost(err error) bool {
	var rc tpm2.TPMRC
	return errors.As(err, &rc) && rc&^0xF == tpm2.TPMRCReferenceH0
}

// simplify takes the one error out of a join of one.
func simplify(err error) error {
	if j, ok := err.(interface{ Unwrap() []error }); ok && len(j.Unwrap()) == 1 {
		return j.Unwrap()[0]
	}
	return err
}
