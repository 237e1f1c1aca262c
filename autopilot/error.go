package autopilot

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/internal/ztd"
)

// Errors that an [Error] may wrap. None of them goes away by itself.
var (
	// ErrMalformed is returned by all functions that read something, if it does
	// not have the form it should have or is too large.
	ErrMalformed = errors.New("malformed")

	// ErrChecksum is returned by [Hash.Verify] if the checksum of a hash is
	// missing or wrong.
	ErrChecksum = errors.New("wrong checksum")

	// ErrNoProfile is returned by [ProfileClient.Download] if the service knows
	// the device but has no profile for it.
	ErrNoProfile = errors.New("no profile is assigned")

	// ErrRefused is returned by [WriteCSV] and [Profile.Offline] if what is to be
	// written would not be taken, and by [ProfileClient.Download] if a mock hash
	// is to be sent to a real service.
	ErrRefused = errors.New("refused")
)

// An Error is the error of all functions of this package. Its methods also serve
// programs that read errors without importing this package, such as package
// diagnose.
type Error struct {
	// Op is the function or method that failed, such as "ParseHash" or
	// "Download".
	Op string

	// URL is the service's, without query; empty if none was asked.
	URL string

	// HTTPStatus is the HTTP status of the answer; 0 if there was none.
	HTTPStatus int

	// Code and Name are the service's reason, such as 807 and
	// "ZtdDeviceIsNotRegistered"; 0 and empty if it gave none.
	Code int
	Name string

	// Message is the service's own description, empty if it gave none.
	Message string

	// RequestID is the correlation vector or identifier by which the service's
	// operator finds the request; empty if there is none.
	RequestID string

	// RetryAfter is the pause that the service asked for; 0 if it asked for none.
	RetryAfter time.Duration

	// Err is the cause. It is nil if the service's refusal is the cause.
	Err error
}

// malformed returns an error that wraps ErrMalformed.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// Error returns "autopilot: ", the operation, the URL, and what is known of the
// cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("autopilot: " + e.Op)
	if e.URL != "" {
		b.WriteString(" " + e.URL)
	}
	if e.HTTPStatus != 0 && e.HTTPStatus != 200 {
		fmt.Fprintf(&b, ": HTTP status %d", e.HTTPStatus)
	}
	if p := e.Protocol(); p != "" {
		b.WriteString(": " + p)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %q", e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + wire.Cause(e.Err, e.URL))
	}
	return b.String()
}

// Unwrap returns e.Err, which may be nil.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// Service returns e.URL.
func (e *Error) Service() string { return e.URL }

// Status returns e.HTTPStatus.
func (e *Error) Status() int { return e.HTTPStatus }

// Protocol returns "ZTD" with code and name, such as "ZTD
// 807/ZtdDeviceIsNotRegistered", or "" if the service gave neither.
func (e *Error) Protocol() string {
	if e.Code == 0 {
		return wire.Protocol("ZTD", e.Name)
	}
	return wire.Protocol("ZTD", strconv.Itoa(e.Code), e.Name)
}

// ServerMessage returns e.Message.
func (e *Error) ServerMessage() string { return e.Message }

// Reference returns e.RequestID.
func (e *Error) Reference() string { return e.RequestID }

// RetryDelay returns e.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// HRESULT returns the code that Windows has for the HTTP status, the malformed
// input, the failure of WMI or the network failure, or 0. Of the service's own codes no HRESULT is
// public.
func (e *Error) HRESULT() uint32 {
	var coded interface {
		error
		HRESULT() uint32
	}
	switch {
	case e.Code != 0 || e.Name != "":
		return 0
	case e.HTTPStatus >= 300:
		return hresult.HTTP(e.HTTPStatus)
	case errors.Is(e.Err, ErrMalformed), errors.Is(e.Err, ErrChecksum), errors.Is(e.Err, ErrNoProfile) && e.Op == "ParseProfile":
		return hresult.InvalidData
	case errors.As(e.Err, &coded):
		return coded.HRESULT()
	}
	return wire.HRESULT(e.Err)
}

// Retryable reports whether the same call may succeed later: after a network
// failure, an HTTP status such as 503, or a StorageError of the service.
func (e *Error) Retryable() bool {
	switch {
	case e.Code != 0 || e.Name != "":
		return ztd.Retryable(e.Name)
	case e.HTTPStatus >= 300:
		return wire.RetryableStatus(e.HTTPStatus)
	}
	return wire.Retryable(e.Err)
}

// Remedy returns what a technician can do, in whole sentences, or "" if nothing
// is known to help.
func (e *Error) Remedy() string {
	if r := ztd.Remedy(e.Code, e.Name); r != "" {
		return r
	}
	switch {
	case errors.Is(e.Err, wire.ErrWebPage):
		return wire.RemedyPage
	case errors.Is(e.Err, fs.ErrPermission):
		return "Run as administrator."
	case errors.Is(e.Err, errors.ErrUnsupported):
		return "Take the hash on the device's own Windows, and read the file that was written there."
	case errors.Is(e.Err, ErrNoProfile) && e.Op == "ParseProfile":
		return "Give the file of a profile: from a device to which one is assigned, or from the tool that exports profiles."
	case errors.Is(e.Err, ErrNoProfile):
		return ztd.Remedy(ztd.NoProfile, "")
	case errors.Is(e.Err, ErrChecksum):
		return "The hash was damaged on its way. Take it again, and pass it on as a file instead of as text."
	case errors.Is(e.Err, ErrRefused):
		return "Nothing was written or sent. Correct what the message names, or leave it out."
	case errors.Is(e.Err, ErrMalformed) && e.URL != "":
		return "Check for a proxy that answers in the service's place. If there is none, tell the service's operator."
	case errors.Is(e.Err, ErrMalformed) && e.Op == "ComputerName":
		return "Correct the name template of the profile."
	case errors.Is(e.Err, ErrMalformed) && e.Op == "ParseProfile":
		return "Take the file as it was made: from the device, or from the tool that exports profiles."
	case errors.Is(e.Err, ErrMalformed):
		return "Take the file from the device again, and do not open it with a spreadsheet."
	case e.HTTPStatus >= 300:
		return wire.StatusRemedy(e.HTTPStatus, e.RetryAfter)
	}
	return wire.Remedy(e.Err)
}
