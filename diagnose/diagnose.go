package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A Diagnosis is what is known about an error, whichever package it came from. An
// empty or zero field means that the error does not tell. The zero value is the
// diagnosis of a nil error.
type Diagnosis struct {
	// Step is the step of a run that failed, such as "aik". It is empty outside
	// a run.
	Step string `json:"step,omitempty"`

	// Op is the innermost operation that is known, such as "PKCSReq",
	// "TPM2_ActivateCredential" or the name of a client's method.
	Op string `json:"op,omitempty"`

	// URL is that of the service that was asked, without query values.
	URL string `json:"url,omitempty"`

	// HTTPStatus is that of the service's answer, 0 if there was none.
	HTTPStatus int `json:"httpStatus,omitempty"`

	// Protocol is the protocol's own code for the failure, such as
	// "SCEP badRequest", "DRS AuthorizationError/tpm_ek_unknown" or
	// "TPM_RC_INTEGRITY (parameter 1)".
	Protocol string `json:"protocol,omitempty"`

	// HRESULT is the code that Windows logs for the failure.
	HRESULT uint32 `json:"hresult,omitempty"`

	// Symbol is the name of HRESULT, empty if no name is public.
	Symbol string `json:"symbol,omitempty"`

	// Screen is the code that Windows' setup screen shows in this case. It is 0
	// if that is HRESULT: setup has codes of its own for whole phases.
	Screen uint32 `json:"screen,omitempty"`

	// Retryable tells whether the same call may succeed later.
	Retryable bool `json:"retryable"`

	// RetryAfter is the pause that the server asks for, 0 if it asks for none.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`

	// RequestID identifies the request to the server's operator.
	RequestID string `json:"requestId,omitempty"`

	// Message is what the server says, in its own words.
	Message string `json:"message,omitempty"`

	// Cause is the text of the innermost error.
	Cause string `json:"cause,omitempty"`

	// Remedy is what a technician can do, in whole sentences.
	Remedy string `json:"remedy,omitempty"`
}

// Explain collects what the chain of an error tells. It imports no client: it
// reads an error by those of these methods that it has, as each Error of this
// module's packages has those for which it knows an answer. What an outer error
// says stays, but for the operation, of which the innermost is taken.
//
//	StepName() string           Diagnosis.Step
//	Operation() string          Diagnosis.Op
//	Service() string            Diagnosis.URL
//	Status() int                Diagnosis.HTTPStatus
//	Protocol() string           Diagnosis.Protocol
//	ResponseCode() uint32       a TPM response code, named in Diagnosis.Protocol
//	ServerMessage() string      Diagnosis.Message
//	Reference() string          Diagnosis.RequestID
//	RetryDelay() time.Duration  Diagnosis.RetryAfter
//	HRESULT() uint32            Diagnosis.HRESULT
//	Retryable() bool            Diagnosis.Retryable
//	Remedy() string             Diagnosis.Remedy
//
// Where errors are joined, Explain follows the first branch that has an error
// with one of the first two methods, else all. It parses no text and never
// fails. Explain(nil) is the zero Diagnosis.
//
// If an error in the chain is [context.Canceled], the remedy says only that the
// caller ended the operation. If one is [context.DeadlineExceeded], the remedy ends
// with the caller's time limit, unless a service answered with a refusal, or a service or a TPM did
// not answer until then. An error without a code of its own, such as that of a caller's
// mistake, gets none.
func Explain(err error) (diagnosis Diagnosis) {
	if err == nil {
		return Diagnosis{}
	}
	var d diagnoser
	defer func() {
		if recover() != nil { // a method of an error panicked, as it does on a nil pointer
			d.Cause = oneLine(fmt.Sprint(err))
			diagnosis = d.Diagnosis
		}
	}()
	budget := maxChain
	for _, e := range chain(err, &budget) {
		d.collect(e)
	}
	if !d.judged {
		d.Retryable = !isFile(err) && wire.Retryable(err)
	}
	own := ""
	if d.HRESULT == 0 {
		d.HRESULT, own = plainCode(err)
	}
	if d.HRESULT != 0 {
		d.Symbol = hresult.Symbol(hresult.Alias(d.HRESULT))
	}
	d.remedy(err, own)
	d.Screen = screen(&d.Diagnosis, err)
	return d.Diagnosis
}

// isFile reports whether err says that something ended too early that did not come
// through the network, such as a file.
func isFile(err error) bool {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	var service interface {
		error
		Service() string
	}
	return !errors.As(err, new(*url.Error)) && !errors.As(err, new(*net.OpError)) && !(errors.As(err, &service) && service.Service() != "")
}

// maxChain is how many errors Explain looks at.
const maxChain = 100

// chain returns err and the errors that it wraps, the outermost first. Of joined
// errors it follows the first branch that has an error that isReport, else all
// branches.
func chain(err error, budget *int) []error {
	if err == nil || *budget <= 0 {
		return nil
	}
	*budget--
	list := []error{err}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return append(list, chain(e.Unwrap(), budget)...)
	case interface{ Unwrap() []error }:
		for _, e := range e.Unwrap() {
			branch := chain(e, budget)
			if slices.ContainsFunc(branch, isReport) {
				return append([]error{err}, branch...)
			}
			list = append(list, branch...)
		}
	}
	return list
}

// A diagnoser collects a diagnosis.
type diagnoser struct {
	Diagnosis
	typed  bool // whether an error of the chain isReport
	judged bool // an error said whether it is retryable
}

// collect adds what one error tells. What an outer error said stays, except for the
// operation and the cause, which come from the innermost error.
func (d *diagnoser) collect(err error) {
	if isReport(err) {
		d.typed, d.Cause = true, ""
		d.collectReport(err)
	} else {
		setDefault(&d.Cause, oneLine(causeText(err, d.URL)))
	}
	if e, ok := err.(interface{ HRESULT() uint32 }); ok {
		setDefault(&d.HRESULT, e.HRESULT())
	}
	if e, ok := err.(interface{ Remedy() string }); ok {
		setDefault(&d.Remedy, e.Remedy())
	}
	if e, ok := err.(interface{ Retryable() bool }); ok && !d.judged {
		d.judged, d.Retryable = true, e.Retryable()
	}
}

// causeText returns the text of err in plain words, without the URL that the diagnosis
// names. It survives an Error that panics.
func causeText(err error, url string) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprint(err)
		}
	}()
	return wire.Cause(err, url)
}

// setDefault sets *p to v if *p is zero.
func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Remedies that no table has: of the caller's own context, and of failures for which
// Windows has a code that says less than the error does.
const (
	remedyCanceled = "The caller ended it, or somebody who pressed Ctrl-C. Run again to go on."
	remedyDeadline = "Allow more time (in the programs: -timeout), or find out why it takes so long."
	remedyAccess   = "Run as administrator, or let this account use the file or device."
	remedyMissing  = "Check the name of the file or device."
	remedyCut      = "Something that was to be read is cut off: take it again from where it came."
	remedyUnknown  = "Read the cause. If it does not tell what to do, report it as a bug."
)

// remedy sets d.Remedy: what the errors say, or else own, or else that of the code
// that they gave. The end of the caller's context has words of its own.
func (d *diagnoser) remedy(err error, own string) {
	switch {
	case errors.Is(err, context.Canceled):
		d.Remedy = remedyCanceled
		return
	case d.HRESULT == tpmSilent && d.Remedy != "":
		return
	case wire.IsWaited(err):
		setDefault(&d.Remedy, wire.Remedy(err))
		return
	case errors.Is(err, context.DeadlineExceeded) && d.HTTPStatus == 0: // a service that answered is not what takes long
		d.Remedy = strings.TrimSpace(d.Remedy + " " + remedyDeadline)
		return
	}
	setDefault(&d.Remedy, own)
	if !isFile(err) {
		setDefault(&d.Remedy, wire.Remedy(err))
	}
	if d.HRESULT == hresult.HTTP(d.HTTPStatus) || d.RetryAfter > 0 {
		setDefault(&d.Remedy, wire.StatusRemedy(d.HTTPStatus, d.RetryAfter))
	}
	if d.HRESULT == 0 && d.typed || d.HRESULT == hresult.Fail { // the table's is about hybrid joins
		setDefault(&d.Remedy, remedyUnknown)
	}
	setDefault(&d.Remedy, codeRemedy(d.HRESULT))
}

// plainCode returns the code for a chain in which no error has one, or 0, and a
// remedy if that of the code would be wrong.
func plainCode(err error) (code uint32, remedy string) {
	for _, s := range []struct {
		is     error
		code   uint32
		remedy string
	}{
		{fs.ErrPermission, hresult.AccessDenied, remedyAccess},
		{fs.ErrNotExist, hresult.FileNotFound, remedyMissing},
		{context.Canceled, hresult.Canceled, ""},
		{wire.ErrTooLarge, hresult.InvalidResponse, ""},
	} {
		if errors.Is(err, s.is) {
			return s.code, s.remedy
		}
	}
	if isFile(err) {
		return hresult.InvalidData, remedyCut
	}
	var refused *url.Error
	switch code := wire.HRESULT(err); {
	case errors.As(err, &refused) && code == 0:
		return hresult.InvalidResponse, ""
	case errors.Is(err, context.DeadlineExceeded) && refused == nil:
		return hresult.Timeout, ""
	default:
		return code, ""
	}
}

// codeRemedy returns the remedy of a code, or "".
func codeRemedy(code uint32) string {
	if code == 0 {
		return ""
	}
	if m := readHRESULT(code); len(m) > 0 {
		return m[0].Remedy
	}
	return ""
}

// Steps of a run in which the setup screen shows a code of its own.
const (
	stepEK    = "ek"
	stepAIK   = "aik"
	stepToken = "token"
	stepJoin  = "join"
)

// Codes that Windows' setup screen shows for a phase, whatever the cause.
const (
	screenTriesUsedUp uint32 = 0x81039001 // all attempts at attestation have failed
	screenTimeout            = hresult.Timeout
	screenJoin        uint32 = 0x801C03EA // the join by device token or attestation failed
	deviceAIK         uint32 = 0x801C0010 // DSREG_E_DEVICE_AIK_VALIDATION_ERROR
	deviceAttestation uint32 = 0x801C0011 // DSREG_E_DEVICE_ATTESTATION_ERROR
)

// tpmSilent is TBS_E_IOERROR. A TPM that does not answer has it even if the caller ended
// the wait for the answer.
const tpmSilent uint32 = 0x80284006

// screen returns the code that Windows' setup screen shows for d, or 0 if that is
// d.HRESULT. The screen has one code for a phase where d has the code of the cause.
func screen(d *Diagnosis, err error) uint32 {
	code := uint32(0)
	late := errors.Is(err, context.DeadlineExceeded) || d.HRESULT == hresult.InternetTimeout
	switch d.Step {
	case stepEK, stepAIK:
		switch {
		case late:
			code = screenTimeout
		case d.Step == stepAIK && d.Retryable:
			code = screenTriesUsedUp
		}
	case stepToken, stepJoin:
		if d.HRESULT == deviceAIK || d.HRESULT == deviceAttestation {
			code = screenJoin
		}
	}
	if code == d.HRESULT {
		return 0
	}
	return code
}

// String returns d on one line, with codes as Windows prints them. It returns "" for
// the zero Diagnosis.
func (d Diagnosis) String() string {
	if d == (Diagnosis{}) {
		return ""
	}
	var parts []string
	part := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	part(d.Step)
	part(strings.TrimSpace(d.Op + " " + d.URL))
	if status := fmt.Sprintf("HTTP status %d", d.HTTPStatus); d.HTTPStatus != 0 && !strings.HasSuffix(d.Cause, status) {
		part(status)
	}
	if !strings.HasPrefix(d.Cause, d.Protocol) {
		part(d.Protocol)
	}
	if d.Message != "" {
		part(fmt.Sprintf("%q", d.Message))
	}
	part(d.Cause)
	line := oneLine(strings.Join(parts, ": ") + d.codes())
	// The remedy may say how long to wait.
	if d.Retryable && (d.RetryAfter <= 0 || !strings.Contains(d.Remedy, "again in "+wire.Span(d.RetryAfter))) {
		line += "; may pass"
		if d.RetryAfter > 0 {
			line += fmt.Sprintf(" after %v", d.RetryAfter)
		}
	}
	if d.Remedy != "" {
		line += ". " + oneLine(d.Remedy)
	}
	return strings.TrimPrefix(strings.TrimSpace(line), ". ")
}

// codes returns d's codes in parentheses after a space, or "" if there are none.
func (d Diagnosis) codes() string {
	if d.HRESULT == 0 || d.HRESULT>>16 == hresult.FacilityHTTP && d.HRESULT&0xFFFF < 300 { // a success of HTTP is no reason
		return ""
	}
	s := strings.TrimSuffix(fmt.Sprintf(" (0x%08X %s", d.HRESULT, d.Symbol), " ")
	if d.Screen != 0 {
		s += fmt.Sprintf("; setup screen 0x%08X", d.Screen)
	}
	return s + ")"
}

// oneLine replaces white space and control characters by single spaces and what else does
// not print by U+FFFD, so that foreign text neither breaks a line nor controls a terminal.
func oneLine(s string) string {
	return wire.Visible(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7F || r >= 0x80 && r < 0xA0 || r == 0x2028 || r == 0x2029 }), " "))
}
