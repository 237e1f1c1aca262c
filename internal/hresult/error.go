package hresult

import (
	"errors"
	"fmt"
)

// A codedError is an error with an HRESULT.
type codedError struct {
	code uint32
	err  error
}

// NewError returns an error with a text and a method HRESULT that returns code. Each
// call returns a different error, as with [errors.New].
func NewError(code uint32, text string) error { return &codedError{code, errors.New(text)} }

// Errorf returns an error that is formatted and wraps as by [fmt.Errorf], with a
// method HRESULT that returns code.
func Errorf(code uint32, format string, args ...any) error {
	return &codedError{code, fmt.Errorf(format, args...)}
}

// Error returns the text.
func (e *codedError) Error() string { return e.err.Error() }

// Unwrap returns the error without its code.
func (e *codedError) Unwrap() error { return e.err }

// HRESULT returns the code.
func (e *codedError) HRESULT() uint32 { return e.code }

// Coded returns the code of the first error in the chain of err that [NewError] or
// [Errorf] made. ok reports whether there is one; its code may be 0.
func Coded(err error) (code uint32, ok bool) {
	var coded *codedError
	if !errors.As(err, &coded) {
		return 0, false
	}
	return coded.code, true
}

// Of returns the code of the first error in the chain of err that has a method
// HRESULT() uint32. It returns [Fail] if there is none, or its code is 0.
func Of(err error) uint32 {
	var coded interface{ HRESULT() uint32 }
	if errors.As(err, &coded) && coded.HRESULT() != 0 {
		return coded.HRESULT()
	}
	return Fail
}
