package mdm

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// remedies has what a technician can do, by the code of the failure.
var remedies = map[uint32]string{
	codeMessageFormat:  "The server did not accept the message: check that the token is of the kind the enrollment type needs and that no proxy changes requests.",
	codeAuthentication: "The server did not accept the token: check its audience, its tenant and the device's clock.",
	codeAuthorization:  "The device is known but may not enroll: check the tenant's MDM scope and enrollment restrictions.",
	codeCertificateRequest: "The server could not issue a certificate for this request: check key length and hash " +
		"against its policy, then its certificate authority.",
	codeEnrollmentServer: "The management service failed; try again later. In pre-provisioning also check that the " +
		"deployment profile allows it and is assigned to the device.",
	codeInternalService:     "The management service failed; try again later.",
	codeInvalidSecurity:     "The server could not read the security header: check that the token is a JWT and that no proxy changes requests.",
	codeDeviceCapReached:    "Remove old devices of this account, or raise the limit.",
	codeNotSupported:        "The server does not manage this kind of device.",
	codeNotEligible:         "The device must enroll again; check its clock, too.",
	codeInMaintenance:       "The tenant's device management is under maintenance: try again later.",
	codeUserLicense:         "Assign a license for device management.",
	codeEnrollmentData:      "The server did not accept the description of the device: check the context items of the request.",
	codeInsecureRedirect:    "The address is not one of https: correct it.",
	codeUnknown:             "The server refuses without a reason that is known: see its message, and its log at the time or under the trace id.",
	codeProvCertStore:       "The certificates in the server's provisioning document do not belong together: the server's operator must correct them.",
	codeProvW7:              "The server's provisioning document has no usable management account: the server's operator must correct it.",
	codeProvUnknown:         "The server's answer has no readable provisioning document: the server's operator must correct it.",
	codeProvCertNotFound:    "The server sent no certificate, or too many, for the device's key: the server's operator must correct that.",
	codeKeyCreation:         "Make a key that the server's certificate policy allows, with an attestation if it asks for one.",
	codeNotConfigured:       "The tenant names no management service: set up MDM for it.",
	codeCustomServer:        "See the server's message.",
	hresult.InvalidResponse: "The answer of the token service cannot be read: check its address, and whether a proxy answers in its place.",
	codeNoEnvelope:          "The server's answer is not a SOAP envelope: check whether a proxy answers in its place, and whether the server accepts tokens of devices.",
}

// operationRemedies has remedies for operations that no token authenticates, in
// place of those in remedies.
var operationRemedies = map[string]map[uint32]string{
	opDiscover: {
		codeMessageFormat: "The server did not accept the request for its services, which carries no token: offer another request version, " +
			"such as 4.0, or check the user's domain and that no proxy changes requests.",
		codeAuthentication:  "The server does not know the user or the domain in the request for its services: check them.",
		codeAuthorization:   "The server does not enroll devices of the user or the domain in the request for its services: check them, then its configuration.",
		codeInvalidSecurity: "The server wants a security header in the request for its services, which has none: check that the address is that of a discovery service.",
	},
	opAttest: {
		hresult.InvalidResponse: "The answer of the attestation service cannot be read: check its address in the certificate policy, and whether a proxy answers in its place.",
	},
	opRenew: {
		codeMessageFormat: "The server did not accept the renewal: it may know none, or want the other name of the request's type (SpecType). " +
			"Otherwise enroll the device again.",
		codeAuthentication: "The server did not accept the present management certificate: check that it was not revoked or replaced and that " +
			"the server still knows its own authority. Otherwise enroll the device again.",
		codeAuthorization:   "The server does not renew the certificate: check that the device is still managed there. Otherwise enroll it again.",
		codeInvalidSecurity: "The server could not read the renewal's security header, in which there is a name only, as the certificate authenticates it: the server may want a token there.",
	},
	opSession: {
		codeMessageFormat:   "The server did not accept a message of the session: check that the device is still enrolled there and that no proxy changes requests.",
		codeAuthentication:  "The server did not accept the management certificate or the device's identifier: check that it was not revoked and that the device is still enrolled there.",
		codeAuthorization:   "The server does not manage the device any more: enroll it again.",
		codeInvalidSecurity: "The server did not accept a message of the session: check that its address is that of management and not of enrollment.",
		codeNoEnvelope:      "The server's answer is not a SyncML message: check its address, and whether a proxy answers in its place.",
	},
}

// passwordRemedies has remedies for calls that a password authenticates.
var passwordRemedies = map[uint32]string{
	codeMessageFormat:   "The server did not accept the message: check that it takes passwords and not tokens only, and that no proxy changes requests.",
	codeAuthentication:  "Check the name and the password.",
	codeInvalidSecurity: "The server could not read the security header: check that it takes passwords and not tokens only.",
}

// notSupported has, for each cause of codeDeviceNotSupported, the words in servers'
// messages that tell of it. The remedies, a sentence for each cause in the same order, are
// in the table of package hresult.
var notSupported = [][]string{
	{"already", "one-time", "one time", "limit", "record"},
	{"preregistered", "pre-registered", "personal", "corporate"},
	{"platform", "version", "edition"},
}

// notSupportedRemedy has what helps against each cause of codeDeviceNotSupported, the
// likeliest first. That is the first one of which the message has a word, or else the
// record in pre-provisioning and the platform otherwise.
func notSupportedRemedy(message string, preprovisioning bool) string {
	likely := 2
	if preprovisioning {
		likely = 0
	}
	if told := notSupportedCause(message); told >= 0 {
		likely = told
	}
	remedies := strings.SplitAfter(hresult.Find(codeDeviceNotSupported)[0].Remedy, ". ")
	text := fmt.Sprintf("This code has %d causes, the likeliest first. %s", len(remedies), strings.TrimSpace(remedies[likely]))
	for i, remedy := range remedies {
		if i != likely {
			text += " " + strings.TrimSpace(remedy)
		}
	}
	return text
}

// notSupportedCause returns the number of the cause of which a message has a word, or -1.
func notSupportedCause(message string) int {
	message = strings.ToLower(message)
	return slices.IndexFunc(notSupported, func(words []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(message, w) })
	})
}

// Remedy returns what a technician can do about the failure, in one sentence or
// a few, or "" if nothing is known. It ends with e.Warnings if the token may be
// the cause.
func (e *Error) Remedy() string {
	if remedy := e.clocks.Remedy(e.ServerMessage()); remedy != "" {
		return remedy
	}
	if ended := e.ended(); ended != "" {
		return ended
	}
	if row := hresult.AADSTS(e.Message); e.OAuth != "" && row != nil {
		return row.Remedy
	}
	if date := wire.DateOf(e.Err); date != nil {
		return date.Remedy()
	}
	if known := remedied(nil); errors.As(e.Err, &known) {
		return known.Remedy()
	}
	if errors.Is(e.Err, errShortKey) {
		return "TPMs make RSA keys of at most 3072 bits. If the policy asks for more, its operator should lower the length of keys. " +
			"Until then allow a shorter key: some servers do not insist on what their policy says."
	}
	if errors.Is(e.Err, errNoOccasion) {
		return "Add the context items of the occasion on which the device enrolls, or enroll with a token of a user."
	}
	code := e.HRESULT()
	text := or(operationRemedies[e.Op][code], remedies[code])
	if e.password && operationRemedies[e.Op] == nil {
		text = or(passwordRemedies[code], text)
	}
	switch code {
	case codeDeviceNotSupported:
		text = notSupportedRemedy(e.ServerMessage(), e.preprovisioning)
	case codeNotSupported:
		if cause := notSupportedCause(e.ServerMessage()); cause >= 0 {
			text = strings.TrimSpace(strings.SplitAfter(hresult.Find(codeDeviceNotSupported)[0].Remedy, ". ")[cause])
		} else if e.ServerMessage() != "" {
			text = "The server does not manage this device: do what its message says, and ask the server's operator if that does not tell."
		}
	case codeInsecureRedirect:
		switch {
		case e.HTTPStatus == http.StatusOK:
			text = "The server names an address that is not one of https: its operator must correct that."
		case e.HTTPStatus != 0 || errors.As(e.Err, new(*url.Error)): // something was sent
			host := e.host()
			text = fmt.Sprintf("The redirect leads to an address without https, and is not followed. If it is a portal's or a proxy's, sign in there, or let %s pass. Else the operator of %s must correct it.", host, host)
		}
	case codeMessageFormat, codeAuthentication, codeAuthorization, codeInvalidSecurity, codeNoEnvelope:
		text = strings.Join(append([]string{text}, e.Warnings...), " ")
	}
	if text == "" && e.HTTPStatus != 0 && e.Fault == nil && e.OAuth == "" {
		text = e.statusRemedy()
	}
	return or(text, wire.RemedyAt(e.Err, e.URL))
}

// A remedied is a cause that knows what helps, such as [wire.ErrWebPage].
type remedied interface {
	error
	Remedy() string
}

// host returns the host of e.URL.
func (e *Error) host() string {
	if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return "the server"
}

// ended returns the warning that the token has expired if the server may have refused it
// for that, or "". Nothing else about the token counts then.
func (e *Error) ended() string {
	refused := e.Fault != nil || e.OAuth != "" || e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden
	if i := slices.IndexFunc(e.Warnings, isExpiry); i >= 0 && refused && !e.Retryable() {
		return e.Warnings[i]
	}
	return ""
}

// statusRemedy returns what a technician can do about an HTTP status.
func (e *Error) statusRemedy() string {
	if errors.Is(e.Err, wire.ErrHTTPAuth) && e.HTTPStatus == http.StatusUnauthorized {
		return "The server, or a gateway before it, asks for a sign-in by HTTP, which devices do not do: let the address pass without one."
	}
	return wire.StatusRemedy(e.HTTPStatus, e.RetryAfter)
}
