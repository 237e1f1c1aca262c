package aik

import (
	"errors"
	"net/http"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/scep"
)

// Errors that an [Error] may wrap.
var (
	// ErrNoAuthority is wrapped when no attestation CA knows the issuer of the
	// endorsement certificate.
	ErrNoAuthority = errors.New("no attestation CA for this endorsement key's issuer")

	// ErrRequest is wrapped when a [Request] cannot be sent: a part is missing,
	// or one does not belong to another. None of it was sent.
	ErrRequest = errors.New("request does not hold")

	// ErrChallenge is wrapped when the CA does not prove the keys as it must,
	// or its challenge cannot be read.
	ErrChallenge = errors.New("not a challenge for an attestation key")

	// ErrCertificate is wrapped when what the CA gives in the end is not a
	// certificate for the attestation key: it is for another key or TPM, by
	// another CA, not as the profile wants it, or part of another exchange.
	ErrCertificate = errors.New("not a certificate for this attestation key")
)

// An Error is a failed enrollment.
type Error struct {
	Op        string // "request", "authority", "make", "enroll", "activate", "answer", "certificate"; "challenge" when one is marshalled
	URL       string // of the CA, without query; "" before one was asked
	RequestID string // the client request ID the CA was sent; "" before one was asked
	Err       error  // never nil; often a *scep.Error, or the error of MakeAIK or Activate
}

// failed returns the error of an operation, nil if there is none.
func failed(op string, err error) *Error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Err: err}
}

// Error returns "aik: op: what happened".
func (e *Error) Error() string {
	s := "aik: " + e.Op + ": " + e.Err.Error()
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

// HRESULT returns the code Windows has for the cause, or 0.
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
	case errors.Is(e.Err, ErrRequest), errors.Is(e.Err, ErrChallenge):
		return hresult.InvalidData
	}
	return 0
}

// Retryable reports whether the same may succeed later: only if its cause may
// pass. What can be repeated is Enroll or Begin, since a challenge is answered
// only once; how often, and after what pause, is the caller's affair. A
// [scep.Error] in Err may have the pause that the CA asks for.
func (e *Error) Retryable() bool {
	if errors.Is(e.Err, ErrNoAuthority) {
		return false
	}
	var s *scep.Error
	if errors.As(e.Err, &s) && strings.Contains(s.Message, "Failed to parse SCEP request") {
		return true // passes in practice; Windows's tools try ten times
	}
	var judged interface {
		error
		Retryable() bool
	}
	return errors.As(e.Err, &judged) && judged.Retryable()
}

// remedies are what helps against a refusal, by the CA's words.
var remedies = []struct{ words, remedy string }{
	{"firmware needs update", "Install the machine maker's TPM firmware update, then run again."},
	{"No valid TPM EK", "The CA does not accept the endorsement certificate: send it with all of its issuers, or update the TPM's firmware."},
	{"ECC AIK requests not supported", "Use an RSA attestation key."},
}

// Remedy returns what a technician can do, or "".
func (e *Error) Remedy() string {
	if errors.Is(e.Err, ErrNoAuthority) {
		return "The attestation CA does not know this TPM's maker key: update the TPM's firmware, or ask the maker."
	}
	if errors.Is(e.Err, scep.ErrCapability) {
		return "What answers offers no attestation: check the CA's address, and for a proxy that answers in its place."
	}
	var s *scep.Error
	if errors.As(e.Err, &s) {
		for _, r := range remedies {
			if strings.Contains(s.Message, r.words) {
				return r.remedy
			}
		}
		if e.Op == "answer" && (s.FailInfo == scep.BadRequest || s.HTTPStatus == http.StatusBadRequest) {
			return "Begin again: a challenge can be answered only once, within minutes, and by the TPM it is for."
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
