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

// A TPM is a TPM 2.0. Only Transport is required. The fields must not be changed
// while a method runs.
//
// Its methods may be called by several goroutines at once. They run one after the
// other, in the order of the calls. A command that the TPM answers with
// TPM_RC_RETRY, TPM_RC_YIELDED or TPM_RC_TESTING is repeated, with pauses of up to
// a quarter of a second, until the TPM runs it, two minutes have passed or ctx ends.
// Methods leave no object and no session loaded when they return, unless the caller
// holds [TPM.Keep]. If the TPM has lost what was kept, as after a reset, the method
// starts over once.
//
// If ctx ends, no further command is sent but those that flush what is loaded. A command
// that the TPM is running then may take a little longer, because what it makes could not
// be flushed otherwise: up to 15 seconds since it was sent if it makes a key or a
// session, and 5 seconds if it does not, but at least one second after ctx has ended. A
// command that flushes has up to 11 seconds.
//
// If the TPM has not answered by then, or within six minutes if ctx does not end, the TPM
// is given up: the error wraps [ErrNoAnswer], and the methods send no command any more.
// The TPM may still run the last one. What is loaded stays so until the connection is
// closed or, without a resource manager such as that of the kernel or TBS, until the TPM
// starts again. Close the TPM then, and open it again to go on.
type TPM struct {
	// Transport sends the commands, one at a time. If it has a method
	//
	//	SendContext(ctx context.Context, command []byte) ([]byte, error)
	//
	// that is called instead of Send. Its ctx is that of the method for which the
	// command is sent, so the transport can read values from it or give up when
	// it ends. A transport that gives up should first cancel the command in the
	// TPM. Otherwise the TPM may finish the command, and the object or session
	// that it makes stays loaded.
	//
	// Each command is sent by a goroutine of its own. When a TPM is given up because it
	// does not answer, that goroutine runs until the transport returns; the transport
	// gets no further command then, but Close may be called meanwhile.
	//
	// Objects and sessions are flushed even if the ctx of the method has ended:
	// the ctx of these commands keeps its values, but not its end, and lasts ten
	// seconds. Close flushes under the background context.
	Transport transport.TPM

	// EndorsementAuth and OwnerAuth are the authorization values of the
	// endorsement and the owner hierarchy; nil is the empty value. The owner's
	// is usually empty, and so is the endorsement hierarchy's except on Windows.
	// They never cross the bus: they go into the HMAC of salted sessions, so
	// that an eavesdropper cannot try values either.
	EndorsementAuth []byte
	OwnerAuth       []byte

	// StorageKey is the persistent handle of the storage key under which new keys
	// are made. If it is 0, [TPM.CreateKey] chooses. Key files name their own. An
	// endorsement key and what is not fixed to the TPM are refused.
	StorageKey uint32

	// StorageAuth is the authorization value of the persistent storage keys; nil
	// is the empty value. Like the values above, it never crosses the bus.
	StorageAuth []byte

	// Logger gets the name, the response code and the duration of each command
	// at level Debug. If it is nil, nothing is logged.
	Logger *slog.Logger

	once           sync.Once
	turn           chan struct{}    // full while a method runs: see lock
	keeps          int              // calls of Keep that are not released
	session        *session         // kept session, or nil
	parents        []*object        // storage keys seen, persistent or loaded
	storage        *object          // the one of parents under which new keys are made
	loaded         []*object        // transient objects, least recently used first
	persisted      []*object        // keys at the caller's persistent handles: see PersistKey
	usedPersisted  bool             // one of them was used during this method
	stray          []tpm2.TPMHandle // to be flushed when the method returns
	reopened       bool             // the transport lost all of it during this method: see forget
	silence        *silence         // not nil if the TPM has been given up because it does not answer
	noCreateLoaded bool             // the TPM does not have TPM2_CreateLoaded
	noRSASalt      bool             // the TPM refuses sessions salted to its RSA storage key
}

// Close flushes what is loaded, and closes the Transport if it is an io.Closer.
// It waits for methods that are running. The error joins those of both; it wraps
// an [*Error] if flushing fails. Closing a TPM without a Transport does nothing. If the
// TPM has been given up because it does not answer, Close flushes nothing, and waits no
// longer than three seconds for the Transport.
func (t *TPM) Close() error {
	if t == nil {
		return nil
	}
	_ = t.lock(context.Background())
	defer t.unlock()
	if t.Transport == nil {
		return nil
	}
	t.keeps = 0
	err := ignoreGone(t.drop(context.Background()))
	c, ok := t.Transport.(io.Closer)
	switch {
	case !ok:
	case t.silence != nil:
		err = errors.Join(err, closeSilent(c))
	default:
		err = errors.Join(err, c.Close())
	}
	return err
}

// Keep lets the methods leave the session, the storage key and the keys used last
// loaded until release is called. A run of several calls then needs about half
// the commands.
//
// At most three transient objects are loaded, because a chip has slots for three,
// or two if the storage key is persistent, because it takes a slot while it is
// used. If another slot is needed, the endorsement key is flushed first, then the
// other keys, least recently used first, then attestation keys. The storage key in
// use stays. See also [TPM.GiveUpSlot].
//
// Calls of Keep nest: after the last release nothing is loaded. A release may be
// called more than once; later calls do nothing and return nil. It flushes even if
// its ctx has ended. Its error wraps an [*Error].
func (t *TPM) Keep() (release func(ctx context.Context) error) {
	if t == nil {
		return func(context.Context) error { return nil }
	}
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

// ignoreGone returns nil if err says that the TPM no longer has a flushed object,
// as after a reset, else err.
func ignoreGone(err error) error {
	if hasRC(err, tpm2.TPMRCHandle) {
		return nil
	}
	return err
}

// lock waits until no other method runs. It uses a full channel, not a
// sync.Mutex, because goroutines that wait on a channel are served in the order of
// arrival, and can give up.
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

// do runs op while no other method runs, and then leaves loaded only what Keep
// allows. If the TPM has lost what was kept, as after a reset, op runs once more
// with nothing loaded.
func (t *TPM) do(ctx context.Context, op func() error) error {
	if t == nil {
		return &Error{Op: "TPM", Err: errNoTransport}
	}
	if err := t.lock(ctx); err != nil {
		return &Error{Op: "TPM", Err: err}
	}
	defer t.unlock()
	if t.Transport == nil {
		return &Error{Op: "TPM", Err: errNoTransport}
	}
	if t.silence != nil {
		return &Error{Op: "TPM", Err: t.silence.again()}
	}
	kept := t.session != nil || len(t.loaded) > 0
	t.reopened, t.usedPersisted = false, false
	err := op()
	if t.usedPersisted && hasRC(err, tpm2.TPMRCHandle) { // somebody has removed it
		t.persisted, kept = nil, true
		_ = t.drop(ctx)
		err = op()
	}
	if kept && isLost(err) || t.reopened && err != nil {
		t.reopened = false
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

// isLost reports whether the TPM said that it does not know a handle that it gave
// out before (TPM_RC_REFERENCE_H0 to S6), or TBS did (TPM_E_INVALID_HANDLE).
func isLost(err error) bool {
	var rc tpm2.TPMRC
	return tbsCode(err) == tbsInvalidHandle || errors.As(err, &rc) && rc&^0xF == tpm2.TPMRCReferenceH0
}

// simplify returns the only error in a join of one, else err.
func simplify(err error) error {
	if j, ok := err.(interface{ Unwrap() []error }); ok && len(j.Unwrap()) == 1 {
		return j.Unwrap()[0]
	}
	return err
}
