// Package misuse has the errors of programs that call this module wrongly, and names the
// functions of a caller that fail. Its tests call every client and are in internal/errtext,
// so that a module that imports a client does not need what the others require.
package misuse

import (
	"errors"
	"fmt"
	"net"
)

// InvalidParameter is ERROR_INVALID_PARAMETER, the code of a caller's mistake.
const InvalidParameter uint32 = 0x80070057

// What helps.
const (
	Remedy         = "The program that calls this has a mistake: correct it. Nothing was sent."
	remedyFunction = "Correct that function."
)

// A mistake is an error of the calling program.
type mistake struct {
	err    error
	remedy string
}

// Errorf returns an error that is formatted and wraps as by [fmt.Errorf], for what is
// found before anything is sent. It has the code [InvalidParameter] and the remedy
// [Remedy].
func Errorf(format string, args ...any) error { return &mistake{fmt.Errorf(format, args...), Remedy} }

// Returned returns the error of a caller's function that did not return what it must,
// such as "returned neither a token nor an error". function is its name, such as
// "Provisioner.JoinToken".
func Returned(function, what string) error {
	return &mistake{fmt.Errorf("%s returned %s", function, what), remedyFunction}
}

// Neither is Returned for a function that returned nil twice. what is such as "a token".
func Neither(function, what string) error {
	return Returned(function, "neither "+what+" nor an error")
}

// Error returns the text.
func (m *mistake) Error() string { return m.err.Error() }

// Unwrap returns the error without code and remedy.
func (m *mistake) Unwrap() error { return m.err }

// HRESULT returns [InvalidParameter].
func (m *mistake) HRESULT() uint32 { return InvalidParameter }

// Retryable returns false.
func (m *mistake) Retryable() bool { return false }

// Remedy returns what helps.
func (m *mistake) Remedy() string { return m.remedy }

// Is reports whether err has a mistake of the caller in its chain, and returns its remedy.
func Is(err error) (remedy string, ok bool) {
	if m := new(mistake); errors.As(err, &m) {
		return m.remedy, true
	}
	return "", false
}

// A foreign is the error of a caller's function.
type foreign struct {
	function string
	err      error
}

// Of returns the error of a caller's function with a remedy that names it, unless an error
// in its chain has a remedy or a code of its own, or is one of the network. The text is
// that of err. It returns nil if err is nil.
func Of(function string, err error) error {
	var advised interface {
		error
		Remedy() string
	}
	var coded interface {
		error
		HRESULT() uint32
	}
	switch {
	case err == nil, errors.As(err, &advised) && advised.Remedy() != "", errors.As(err, &coded) && coded.HRESULT() != 0, errors.As(err, new(net.Error)):
		return err
	}
	return &foreign{function, err}
}

// Error returns the text of the function's error.
func (f *foreign) Error() string { return f.err.Error() }

// Unwrap returns the function's error.
func (f *foreign) Unwrap() error { return f.err }

// Remedy says whose error it is.
func (f *foreign) Remedy() string {
	return "This is the error of " + f.function + ": ask whoever runs it."
}
