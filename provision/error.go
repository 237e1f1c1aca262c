package provision

import (
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// An Error is a run that failed. HRESULT, Retryable and Remedy are those of
// the first error in its chain that knows one; each package's Error does.
type Error struct {
	Step Step // empty if the run failed outside a step
	Err  error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Step == "" {
		return fmt.Sprintf("provision: %v", e.Err)
	}
	return fmt.Sprintf("provision: %s: %v", e.Step, e.Err)
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// StepName returns the name of the step that failed, or "".
func (e *Error) StepName() string { return string(e.Step) }

// ErrNotDone is wrapped when a step needs what another step has not done.
var ErrNotDone = errors.New("this step has not been done, and another needs it")

// HRESULT returns the code Windows has for e, or 0.
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

// Retryable reports whether the same run may succeed later.
func (e *Error) Retryable() bool {
	var judged interface {
		error
		Retryable() bool
	}
	return errors.As(e.Err, &judged) && judged.Retryable()
}

// Remedy returns what a technician can do, or "".
func (e *Error) Remedy() string {
	if errors.Is(e.Err, ErrState) {
		return "Remove the stored state to provision this device anew."
	}
	if errors.Is(e.Err, ErrNotDone) {
		return "Take this step first, or together with the others."
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
