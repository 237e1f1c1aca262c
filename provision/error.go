package provision

import (
	"errors"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// An Error says why a run failed. [errors.As] finds the error of the step's
// package in it, such as a *drs.Error.
type Error struct {
	Step Step  // the step that failed; empty if none did
	Err  error // what failed; never nil
}

// Error returns "provision: step: what happened", without the step if there is
// none.
func (e *Error) Error() string {
	if e.Step == "" {
		return "provision: " + plain.Text(e.Err)
	}
	// The error of a package with the step's name begins with that, and that of an
	// operation with the step's name has it after the name of its package.
	step := string(e.Step) + ": "
	text := strings.TrimPrefix(plain.Text(e.Err), step)
	if name, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(rest, step) {
		text = name + ": " + strings.TrimPrefix(rest, step)
	}
	return "provision: " + step + text
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// StepName returns the name of the step that failed, or "".
func (e *Error) StepName() string { return string(e.Step) }

// ErrNotDone is wrapped by the error of Run if a step needs the results of
// another step, which is not among Provisioner.Steps and has not been done by an
// earlier run. Error.Step is the step that has not been done, the first of them if
// there are several; the text names all.
var ErrNotDone = errors.New("this step has not been done")

// ErrNoJoinToken is wrapped by the error of Run if a device without a user is to join
// a directory that has no TPM challenges, as Microsoft's public service, and
// Provisioner.JoinToken is nil. For the public service Run returns it before anything
// is sent.
var ErrNoJoinToken = errors.New("this directory cannot check a TPM, so the join needs a token from elsewhere: set Provisioner.JoinToken, such as to a *drs.DeviceToken with a device ticket")

// HRESULT returns the code that Windows has for the failure: that of the first
// error in the chain that knows one, ERROR_INVALID_DATA for [ErrState], or 0.
func (e *Error) HRESULT() uint32 {
	var coded interface {
		error
		HRESULT() uint32
	}
	if errors.As(e.Err, &coded) {
		return coded.HRESULT()
	}
	if errors.Is(e.Err, ErrState) {
		return hresult.InvalidData
	}
	return 0
}

// Retryable reports whether the same run may succeed later, as the first error
// in the chain judges that knows. It is false if none does.
func (e *Error) Retryable() bool {
	var judged interface {
		error
		Retryable() bool
	}
	return errors.As(e.Err, &judged) && judged.Retryable()
}

// Remedy returns what a technician can do, in whole sentences, or "" if nothing
// is known.
func (e *Error) Remedy() string {
	var own *advisedError
	switch {
	case errors.As(e.Err, &own):
		return own.Remedy()
	case errors.Is(e.Err, ErrState):
		return "If it is the state of this device, remove it to provision the device again. If not, give the right one."
	case errors.Is(e.Err, ErrLocked):
		return "Wait until the other run with this state has ended, or end it."
	case errors.Is(e.Err, ErrNotDone):
		return "Add what is missing to the steps of the run (in the programs: -steps), or continue from the state of the run that did it (-state)."
	}
	if errors.Is(e.Err, ErrNoJoinToken) {
		return "Give the program a device ticket or the token of a bulk enrollment, or join the device as a user. How Windows gets such a ticket is not public."
	}
	var advised interface {
		error
		Remedy() string
	}
	if errors.As(e.Err, &advised) {
		return advised.Remedy()
	}
	return ""
}
