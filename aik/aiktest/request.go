package aiktest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/spki"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// Messages of the real service for requests that it refuses.
const (
	badRequest   = "Failed to parse SCEP request."
	badEK        = "No valid TPM EK/Platform Certificate provided in the TPM identity request message"
	badStatement = "Attestation statement cannot be verified, rejecting request. TPM firmware needs update."
)

// Reasons for a refusal, besides those of packages ekcert, judge and wcce.
var (
	errSubject      = errors.New("request names a subject")
	errSignerHash   = errors.New("signer hash is of another certificate")
	errNoEK         = errors.New("no endorsement certificate")
	errMaker        = errors.New("endorsement certificate is of another authority")
	errDenied       = errors.New("endorsement key is on the deny list")
	errDevice       = errors.New("request names another TPM than the endorsement certificate")
	errKey          = errors.New("statement is about another key than the request's")
	errContext      = errors.New("context is not the challenge's")
	errExpired      = errors.New("challenge has expired")
	errSecret       = errors.New("secret is wrong")
	errUnchallenged = errors.New("no challenge was sent")
)

// refuse returns the error with which a hook answers HTTP status 400 and a message.
func refuse(op, message string, reason error) error {
	return &scep.Error{Op: op, HTTPStatus: http.StatusBadRequest, Message: message, Err: reason}
}

// checkCSR is called instead of the check of the request's signature. The request is
// null-signed, and bound to the signer of the message by a hash of its certificate.
func (a *authority) checkCSR(req *sceptest.Request) error {
	csr, err := wcce.ParseCSR(req.CSR)
	if err != nil {
		return refuse("CSR", badRequest, err)
	}
	if err := csr.VerifyNull(); err != nil {
		return refuse("CSR", badRequest, err)
	}
	if !csr.EmptySubject() {
		return refuse("CSR", badRequest, errSubject)
	}
	hash, err := csr.Octets(wcce.OIDSignerHash)
	if err != nil {
		return refuse("CSR", badRequest, err)
	}
	want := sha1.Sum(req.Signer.Raw)
	if subtle.ConstantTimeCompare(hash, want[:]) != 1 {
		return refuse("CSR", badRequest, errSignerHash)
	}
	return nil
}

// An identity is a TPM whose endorsement certificate has been checked.
type identity struct {
	key    crypto.PublicKey // endorsement key
	device wcce.Device
	name   []byte // the certificate's subjectAltName
}

// identify checks the endorsement certificate of a request.
func (a *authority) identify(req *sceptest.Request, csr *wcce.CSR) (*identity, error) {
	info, err := ekInfo(req, csr)
	if err != nil {
		return nil, refuse("EK", badRequest, err)
	}
	id, err := a.checkEK(req, info)
	if errors.Is(err, ekcert.ErrWeakKey) {
		return nil, refuse("EK", badStatement, err)
	}
	if err != nil {
		return nil, refuse("EK", badEK, err)
	}
	subject, err := challenge.Requested(req.CSR)
	if err != nil {
		return nil, refuse("EK", badRequest, err)
	}
	if subject.Device != id.device {
		return nil, refuse("EK", badEK, errDevice)
	}
	return id, nil
}

// ekInfo returns the decrypted EK_INFO of a request.
func ekInfo(req *sceptest.Request, csr *wcce.CSR) (*wcce.EKInfo, error) {
	sealed, err := csr.Value(wcce.OIDEKInfo)
	if err != nil {
		return nil, err
	}
	plain, err := req.Decrypt(sealed)
	if err != nil {
		return nil, err
	}
	return wcce.ParseEKInfo(plain)
}

// checkEK checks that the certificate is for the key, leads to the roots of its maker
// by the CA that this authority is for, and that the key is not on the deny list.
func (a *authority) checkEK(req *sceptest.Request, info *wcce.EKInfo) (*identity, error) {
	if len(info.Certificates) == 0 {
		return nil, errNoEK
	}
	key, err := spki.Parse(info.PublicKey)
	if err != nil {
		return nil, err
	}
	if a.server.commits(WeakEK) {
		return nil, ekcert.ErrWeakKey
	}
	cert, err := ekcert.Parse(info.Certificates[0])
	if err != nil {
		return nil, err
	}
	cert.Issuers = slices.Concat(cert.Issuers, req.Extra)
	report, err := a.server.ekClient().Verify(context.Background(), cert, key)
	if err != nil {
		return nil, err
	}
	byMaker := slices.ContainsFunc(report.Chain[1:], func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawSubjectPublicKeyInfo, a.maker.RawSubjectPublicKeyInfo)
	})
	if !byMaker || !strings.EqualFold(cert.Vendor(), a.vendor) {
		return nil, fmt.Errorf("%w: %s by %s", errMaker, cert.Vendor(), cert.Issuer)
	}
	if deny := a.server.Deny; deny != nil && deny(sha256.Sum256(info.PublicKey)) {
		return nil, errDenied
	}
	return &identity{
		key:    key,
		device: wcce.Device{Manufacturer: cert.Manufacturer, Model: cert.Model, Version: cert.Version},
		name:   challenge.AltNameValue(cert.Extensions),
	}, nil
}
