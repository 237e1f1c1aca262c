package drs

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Errors that an [Error] may wrap.
var (
	// ErrEndpoint is returned by all methods of [Client] if a URL is neither
	// https nor that of a local test server, its host is not trusted, or a
	// service redirects to another host.
	ErrEndpoint = errors.New("endpoint is not trusted")

	// ErrMalformed is returned by all methods that read an answer if its content
	// type or its contents are not those of the protocol.
	ErrMalformed = errors.New("answer cannot be read")

	// ErrTenant is returned by the methods that compare identifiers of tenants, of
	// the discovery, an endpoint, a token, a device, a session or an answer, if two
	// differ.
	ErrTenant = errors.New("answer is for another tenant")

	// ErrNoChallenge is returned by Authenticate if the tenant's services do not
	// include one for TPM challenges, and by a join with a Proof if the service
	// does not reply with a challenge.
	ErrNoChallenge = errors.New("service offers no TPM challenge")

	// ErrCertificate is returned by the joins and by ParseDevice if the device
	// certificate cannot be parsed, does not match the request or the answer, or
	// is not valid now.
	ErrCertificate = errors.New("certificate does not match the request")

	// ErrDevice is returned by Rejoin and JoinHybrid if the answer is for another
	// object of the directory.
	ErrDevice = errors.New("answer is for another device")

	// ErrNotAsked is returned by Leave if the service did not request the device's
	// certificate in TLS, so that it cannot know which device leaves.
	ErrNotAsked = errors.New("service did not ask for the device's certificate")

	// ErrGone is returned by Leave if the directory does not know the device.
	ErrGone = errors.New("directory does not know the device")

	// ErrSession is returned by SignIn, UnsealSession and the methods that use a
	// [Session] if there is no session, or the transport key cannot decrypt its
	// session key.
	ErrSession = errors.New("session cannot be opened")
)

// An Error is the error of all methods of [Client] that talk to a service: one call
// that failed. Its methods also serve programs that read errors without importing this
// package, such as package diagnose.
type Error struct {
	Op         string // name of the method of Client, such as "Join"; "Discover" for Contract, too
	URL        string // of the service, without query; may be empty
	HTTPStatus int    // of the answer; 0 if there was none, and may be 0 if it was 200

	// Code and Subcode are the service's codes for a refusal, such as
	// "AuthorizationError" and "MsaTicketTpmValidationFailed" or, from a token
	// endpoint, "invalid_grant" and "tpm_ek_unknown". They are empty if the
	// service gave none.
	Code, Subcode string

	ServerOperation string // name that the service gives the operation, such as "DeviceRenew"; may be empty
	Message         string // the service's own description; may be empty
	RequestID       string // identifies the request to the service's operator; may be empty

	RetryAfter time.Duration // pause that the service asked for; 0 if none
	Err        error         // cause; nil if the service's refusal is the cause

	clocks wire.Clocks // at the answer
}

// Error returns "drs: ", the operation in lower case, the URL, and what is known of the
// cause: HTTP status, code, subcode, message in quotes, and the text of Err.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "drs: %s", strings.ToLower(e.Op))
	if e.URL != "" {
		fmt.Fprintf(&b, ": %s", e.URL)
	}
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, ": %d", e.HTTPStatus)
	}
	for _, s := range []string{e.Code, e.Subcode} {
		if s != "" {
			fmt.Fprintf(&b, ": %s", s)
		}
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

// Protocol returns the code and subcode after "DRS" or, if the code is one of RFC 6749,
// after "OAuth", such as "DRS AuthorizationError/AttestationFailed" and "OAuth
// invalid_grant/tpm_ek_unknown"; or "" if there are none.
func (e *Error) Protocol() string {
	name := "DRS"
	if oauth[strings.ToLower(e.Code)] {
		name = "OAuth"
	}
	return wire.Protocol(name, e.Code, e.Subcode)
}

// oauth are the codes of a token endpoint (RFC 6749, sections 4.1.2.1 and 5.2; RFC 8628,
// section 3.5).
var oauth = map[string]bool{
	"invalid_request": true, "invalid_client": true, "invalid_grant": true, "unauthorized_client": true, "unsupported_grant_type": true,
	"invalid_scope": true, "access_denied": true, "unsupported_response_type": true, "server_error": true, "temporarily_unavailable": true,
	"authorization_pending": true, "slow_down": true, "expired_token": true, "interaction_required": true, "invalid_resource": true,
}

// ServerMessage returns e.Message.
func (e *Error) ServerMessage() string { return e.Message }

// Reference returns e.RequestID.
func (e *Error) Reference() string { return e.RequestID }

// RetryDelay returns e.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// HRESULT returns the code that Windows has for e: one of device registration
// (0x801Cxxxx) if the server's codes are known, else that of the wrapped error, of the
// HTTP status or of the network failure; 0 if it has none.
func (e *Error) HRESULT() uint32 {
	switch {
	case errors.Is(e.Err, ErrGone):
		return codeNoObject
	case e.busy() && isJoin(e.Op):
		return codeBusy
	}
	for _, s := range []string{e.Subcode, e.Code} {
		if known := causes[strings.ToLower(s)]; known.hresult != 0 {
			return known.hresult
		}
	}
	var coded interface {
		error
		HRESULT() uint32
	}
	switch {
	case errors.As(e.Err, &coded):
		return coded.HRESULT()
	case errors.Is(e.Err, ErrEndpoint):
		return codeRedirect
	case errors.Is(e.Err, ErrMalformed) && e.Op == opDiscover:
		return codeBadDiscovery
	case errors.Is(e.Err, ErrMalformed), errors.Is(e.Err, ErrCertificate), errors.Is(e.Err, ErrTenant), errors.Is(e.Err, ErrDevice):
		return codeBadAnswer
	case errors.Is(e.Err, ErrNoChallenge):
		return codeNoDeviceToken
	case e.refused():
		return statusCode(e.Op, e.HTTPStatus)
	}
	return wire.HRESULT(e.Err)
}

// refused reports whether the HTTP status is an error.
func (e *Error) refused() bool { return e.HTTPStatus >= http.StatusBadRequest }

// busy reports whether the HTTP status says that the service is busy.
func (e *Error) busy() bool {
	return e.HTTPStatus == http.StatusTooManyRequests || e.HTTPStatus == http.StatusServiceUnavailable
}

func isJoin(op string) bool { return op == opJoin || op == opRejoin || op == opLeave }

// statusCode returns the HRESULT of a refusal without known codes.
func statusCode(op string, status int) uint32 {
	if isJoin(op) {
		switch {
		case status == http.StatusBadRequest:
			return codeFormat
		case status == http.StatusUnauthorized:
			return codeAuthentication
		case status == http.StatusForbidden:
			return codeAuthorization
		case status >= http.StatusInternalServerError:
			return codeInternal
		}
	}
	return hresult.HTTP(status)
}

// Retryable reports whether the same call may succeed later. That is so after a network
// failure, after an HTTP status such as 503, and after some refusals, such as that of an
// expired challenge.
func (e *Error) Retryable() bool {
	if known, ok := causes[strings.ToLower(e.Subcode)]; ok {
		return known.passes
	}
	var judged interface {
		error
		Retryable() bool
	}
	switch {
	case errors.As(e.Err, &judged):
		return judged.Retryable()
	case e.refused():
		return wire.RetryableStatus(e.HTTPStatus) || strings.EqualFold(e.Code, "temporarily_unavailable")
	}
	return wire.Retryable(e.Err)
}

// Remedy returns what a technician can do, in whole sentences, or "" if nothing is known
// to help.
func (e *Error) Remedy() string {
	if ended := new(expired); errors.As(e.Err, &ended) {
		return ended.Remedy()
	}
	if remedy := e.saidRemedy(); remedy != "" {
		return remedy
	}
	if remedy := remedyOf(e.Subcode); remedy != "" {
		return remedy
	}
	if row := hresult.AADSTS(e.Message); row != nil {
		return row.Remedy
	}
	if remedy := remedyOf(e.Code); remedy != "" {
		return remedy
	}
	var advised interface {
		error
		Remedy() string
	}
	switch {
	case errors.As(e.Err, &advised) && advised.Remedy() != "":
		return advised.Remedy()
	case errors.Is(e.Err, ErrNoChallenge):
		return "The tenant's service cannot check this TPM. Join with a device ticket from elsewhere, or with a user's token."
	case errors.Is(e.Err, ErrGone):
		return "The device has left the tenant already, or an administrator deleted it. Join it again."
	case errors.Is(e.Err, ErrNotAsked):
		return "Check whether a proxy intercepts TLS connections to the registration service."
	case errors.Is(e.Err, ErrSession):
		return "Sign in again. The session belongs to another transport key."
	case errors.Is(e.Err, wire.ErrRedirect):
		return wire.Remedy(e.Err)
	case errors.Is(e.Err, ErrEndpoint):
		return "Check whether a proxy changes the answers of the registration service."
	case errors.Is(e.Err, ErrMalformed):
		return "Check whether a proxy answers in the service's place. If there is none, tell the service's operator."
	case errors.Is(e.Err, ErrCertificate):
		return "Check the device's clock, and whether a proxy changes the answers of the registration service."
	case !e.refused():
		return wire.Remedy(e.Err)
	case e.Op == opAuthenticate && e.HTTPStatus == http.StatusUnauthorized:
		return "The service does not accept the device's proof. No user signs in at this step: check that no proxy answers in the service's place, then ask the service's operator."
	case e.unexplained() && e.HTTPStatus == http.StatusForbidden:
		return "No message of the directory came with this status, so a proxy may have sent it: check the proxy, then what the tenant lets devices do."
	case e.unexplained() && e.HTTPStatus == http.StatusUnauthorized:
		return "No message of the directory came with this status, so a proxy may have sent it: check the proxy, then the token that was sent."
	case e.HTTPStatus == http.StatusNotFound:
		return "There is no such service at this address. Check the address, and whether a proxy answers in the service's place."
	case e.HTTPStatus == http.StatusBadRequest:
		return "The service cannot read the request. Check the address, and whether a proxy changes requests."
	}
	return wire.StatusRemedy(e.HTTPStatus, e.RetryAfter)
}

// saidRemedy returns what helps if the service's message tells the cause, whatever its
// codes, or "".
func (e *Error) saidRemedy() string {
	said := strings.ToLower(e.Message)
	row := hresult.AADSTS(e.Message)
	if remedy := e.clocks.Remedy(e.Message); remedy != "" {
		return remedy
	}
	switch {
	case row != nil && row.Low != invalidAssertion && row.Low != notAuthenticated, strings.EqualFold(e.Subcode, "tpm_challenge_expired"):
		return "" // the code tells as much
	case wire.SpeaksOfTime(said):
		return "The service says that what it was shown is not valid at this time. Compare the device's clock with the right time first. " +
			"If the clock is right, obtain a new token, ticket or certificate."
	case strings.Contains(said, "audience"):
		return "What was shown is for another service: check the address of the service, and where the token or ticket is from."
	case containsAny(said, "token is malformed", "not a jwt", "no token") && isJoin(e.Op):
		return "The ticket or token that was given is not one that the directory can read: give another (in the programs: -ticket)."
	}
	return ""
}

// Numbers of AADSTS codes that have many causes.
const (
	invalidAssertion uint32 = 50013
	notAuthenticated uint32 = 50155
)

// containsAny reports whether s has one of some parts.
func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
}

// unexplained reports whether the service said nothing but an HTTP status.
func (e *Error) unexplained() bool { return e.Code == "" && e.Subcode == "" && e.Message == "" }

// remedyOf returns the remedy of a known code or subcode, or "".
func remedyOf(code string) string {
	row := hresult.Text(code)
	if _, ok := causes[strings.ToLower(code)]; !ok || row == nil {
		return ""
	}
	return row.Remedy
}
