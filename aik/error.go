package aik

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/scep"
)

// Errors that an [Error] may wrap.
var (
	// ErrNoAuthority is returned by Enroll and Begin if every candidate for the
	// CA says that it does not exist (HTTP status 404), or if the endorsement
	// certificate has no authority key identifier to find one by.
	ErrNoAuthority = errors.New("no attestation CA for this endorsement key's issuer")

	// ErrRequest is returned if a [Request] or the arguments of Complete cannot
	// be sent, because a part is missing or two parts do not belong together.
	// Nothing of it was sent.
	ErrRequest = errors.New("request is incomplete or inconsistent")

	// ErrChallenge is returned if the CA answers the request with something
	// other than a challenge, if its challenge or a stored one cannot be read,
	// and if the answer to a challenge leads neither to a certificate nor to a
	// refusal.
	ErrChallenge = errors.New("not a challenge for an attestation key")

	// ErrCertificate is returned by Enroll and Complete if what the CA issues
	// cannot be accepted: it is for another key or another TPM, comes from
	// another CA, does not fit the profile, or belongs to another exchange.
	ErrCertificate = errors.New("not a certificate for this attestation key")
)

// An Error is a failed enrollment.
type Error struct {
	// Op is the step that failed:
	//
	//   - "request": checking the Request
	//   - "authority": looking up the CA
	//   - "make": MakeAIK
	//   - "enroll": sending the request and reading the challenge
	//   - "activate": Activate
	//   - "answer": sending the secret
	//   - "certificate": checking the certificate
	//   - "challenge": encoding or decoding a Challenge
	Op string

	URL       string // of the CA, without query; "" before one was asked
	RequestID string // UUID that was sent to the CA as X-Ms-Client-Request-Id; "" before one was asked
	Err       error  // the cause, never nil; often a *scep.Error, or the error of MakeAIK or Activate
}

// failed returns err as that of an operation, or nil if err is nil.
func failed(op string, err error) *Error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Err: err}
}

// Error returns "aik: ", e.Op, the text of e.Err and, unless that names it, e.URL.
func (e *Error) Error() string {
	s := fmt.Sprintf("aik: %s: %s", e.Op, plain.Text(e.Err))
	if e.URL != "" && !strings.Contains(s, e.URL) {
		s += " (" + e.URL + ")"
	}
	return s
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Operation returns e.Op.
func (e *Error) Operation() string { return e.Op }

// Service returns e.URL.
func (e *Error) Service() string { return e.URL }

// Reference returns e.RequestID.
func (e *Error) Reference() string { return e.RequestID }

// HRESULT returns the code that Windows has for the cause, or 0 if it has none.
func (e *Error) HRESULT() uint32 {
	var coded interface {
		error
		HRESULT() uint32
	}
	if errors.As(e.Err, &coded) && coded.HRESULT() != 0 {
		return coded.HRESULT()
	}
	switch {
	case errors.Is(e.Err, ErrNoAuthority):
		return hresult.HTTP(404)
	case errors.Is(e.Err, ErrCertificate):
		return hresult.CertUntrusted
	case errors.Is(e.Err, ErrRequest):
		return misuse.InvalidParameter
	case errors.Is(e.Err, ErrChallenge):
		return hresult.InvalidData
	}
	return 0
}

// Retryable reports whether the same request may succeed later, because its cause is
// temporary. Repeat Enroll or Begin, not Complete: a challenge can be answered only
// once. A [scep.Error] in Err may have the pause that the CA asks for.
func (e *Error) Retryable() bool {
	if errors.Is(e.Err, ErrNoAuthority) {
		return false
	}
	var s *scep.Error
	if errors.As(e.Err, &s) && strings.Contains(s.Message, "Failed to parse SCEP request") {
		return true // temporary in practice; the tools of Windows try ten times
	}
	var judged interface {
		error
		Retryable() bool
	}
	return errors.As(e.Err, &judged) && judged.Retryable()
}

// issuer returns the key identifier of the issuer in e.URL in parentheses, or "".
func (e *Error) issuer() string {
	_, id, ok := strings.Cut(e.URL, "-KeyId-")
	if !ok {
		return ""
	}
	end := strings.IndexFunc(id, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
	if end >= 0 {
		id = id[:end]
	}
	return " (key identifier " + id + ")"
}

// remedies are what helps against a refusal by the CA, by words in its message.
var remedies = []struct{ words, remedy string }{
	{"firmware needs update", "Install the machine maker's TPM firmware update, then run again."},
	{"No valid TPM EK", "The CA does not accept the endorsement certificate: send it with all of its issuers, or update the TPM's firmware."},
	{"ECC AIK requests not supported", "Use an RSA attestation key."},
}

// Remedy returns what a technician can do, in English sentences, or "" if nothing
// is known.
func (e *Error) Remedy() string {
	if errors.Is(e.Err, ErrNoAuthority) {
		return fmt.Sprintf("There is no attestation CA at this address: check it. If it is right, the CA does not know the issuer of this TPM's endorsement certificate%s: "+
			"ask its operator. For Microsoft's CA, update the TPM's firmware.", e.issuer())
	}
	if errors.Is(e.Err, scep.ErrCapability) && !errors.Is(e.Err, scep.ErrLegacy) {
		return "The server at this address does not offer attestation. Check the address of the CA, and whether a proxy answers in its place."
	}
	if remedy, ok := misuse.Is(e.Err); ok {
		return remedy
	}
	if errors.Is(e.Err, ErrRequest) {
		return "Nothing was sent. The program has to give what the message names, or the challenge that it began with."
	}
	var s *scep.Error
	if errors.As(e.Err, &s) {
		for _, r := range remedies {
			if strings.Contains(s.Message, r.words) {
				return r.remedy
			}
		}
		if e.Op == "answer" && (s.FailInfo == scep.BadRequest || s.HTTPStatus == http.StatusBadRequest) {
			return "Run again with a new challenge: Enroll, or Begin and then Complete within minutes. " +
				"A challenge can be answered only once, and with the TPM that it was made for."
		}
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
