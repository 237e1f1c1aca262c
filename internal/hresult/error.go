package hresult

import (
	"errors"
	"fmt"
)

// A codedError is an error that Windows has a code for.
type codedError struct {
	code uint32
	err  error
}

// NewError returns an error with a text and the code Windows has for it. Each
// call returns a distinct error, as errors.New does.
func NewError(code uint32, text string) error { return &codedError{code, errors.New(text)} }

// Errorf returns an error formatted and wrapping as by [fmt.Errorf], with the
// code Windows has for it.
func Errorf(code uint32, format string, args ...any) error {
	return &codedError{code, fmt.Errorf(format, args...)}
}

// Error implements error.
func (e *codedError) Error() string { return e.err.Error() }

// Unwrap returns the error without its code.
func (e *codedError) Unwrap() error { return e.err }

// HRESULT returns the code.
func (e *codedError) HRESULT() uint32 { return e.code }

// Coded returns the code with which [NewError] or [Errorf] made err, or the
// first error so made that err wraps. It reports whether there is one; the code
// may be 0.
func Coded(err error) (code uint32, ok bool) {
	var coded *codedError
	if !errors.As(err, &coded) {
		return 0, false
	}
	return coded.code, true
}

// Of returns the code of err, or of the first error that it wraps and that has a
// method HRESULT() uint32. It returns [Fail] if there is no such error, or its
// code is 0.
func Of(err error) uint32 {
	var coded interface{ HRESULT() uint32 }
	if errors.As(err, &coded) && coded.HRESULT() != 0 {
		return coded.HRESULT()
	}
	return Fail
}
