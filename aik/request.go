package aik

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
)

// client is the description of the client in requests. The service accepts any
// values, so those of the machine are not sent.
var client = wcce.Client{
	OSVersion: "10.0.19041.2",
	Machine:   "DEVICE",
	User:      `WORKGROUP\DEVICE$`,
	Process:   "taskhostw.exe",
	Provider:  "Microsoft Platform Crypto Provider",
}

// prepared is a request that has been checked, with what follows from it.
type prepared struct {
	*Request
	vendor  string
	subject challenge.Subject // its Key is nil until the statement is known
	aik     *attest.Statement // the attestation key's creation
	signer  challenge.Signer  // of the SCEP messages: Signer or the one that was made
}

// prepare checks everything that a CA would refuse and that is known before the
// attestation key is made.
func prepare(req *Request) (*prepared, error) {
	switch {
	case req == nil || req.EK == nil || len(req.EKChain) == 0 || req.EKChain[0] == nil:
		return nil, errors.New("it has no endorsement key or no certificate for it")
	case (req.AIKCreation == nil) == (req.MakeAIK == nil):
		return nil, errors.New("it must have either AIKCreation or MakeAIK")
	case slices.Contains(req.EKChain, nil):
		return nil, errors.New("EKChain contains nil")
	case !sameKey(req.EKChain[0].PublicKey, req.EK):
		return nil, errors.New("the endorsement certificate is for another key")
	}
	p := &prepared{Request: req, vendor: req.Vendor}
	device, _, err := challenge.AltName(req.EKChain[0].Extensions)
	if err != nil {
		return nil, fmt.Errorf("endorsement certificate: %w", err)
	}
	p.subject.Device = *device
	if p.vendor == "" {
		p.vendor = device.Manufacturer
	}
	if req.AIKCreation != nil {
		err = p.take(req.AIKCreation)
	}
	return p, err
}

// take checks the statement on the attestation key's creation and keeps it.
func (p *prepared) take(s *attest.Statement) (err error) {
	if s == nil || len(s.CreationData) == 0 {
		return errors.New("it has no creation statement of the attestation key")
	}
	if p.subject.Key, err = attest.PublicKey(s.PublicArea); err == nil {
		err = s.Verify(p.subject.Key, nil)
	}
	if err != nil {
		return fmt.Errorf("attestation key: %w", err)
	}
	p.aik = s
	return nil
}

// makeKey calls MakeAIK if there is one, and keeps its statement.
func (p *prepared) makeKey(ctx context.Context) *Error {
	if p.MakeAIK == nil {
		return nil
	}
	s, err := p.MakeAIK(ctx)
	if err == nil && s == nil {
		return failed("request", fmt.Errorf("%w: %w", ErrRequest, misuse.Neither("Request.MakeAIK", "a statement")))
	}
	if err != nil {
		return failed("make", misuse.Of("Request.MakeAIK", err))
	}
	if err := p.take(s); err != nil {
		return failed("request", fmt.Errorf("%w: %w", ErrRequest, err))
	}
	return nil
}

// sameKey reports whether a and b are the same key.
func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// message returns the SCEP request for the CA of x, and keeps in x what the answer
// needs.
func (p *prepared) message(x *challenge.Exchange, now time.Time) (req *scep.Request, err error) {
	if err := x.SignAs(p.signer, now); err != nil {
		return nil, err
	}
	if x.CSR, err = p.csr(x.CA.Recipient, x.Certificate.Raw); err != nil {
		return nil, err
	}
	req = x.Request()
	req.Extra = slices.Clone(p.EKChain[1:])
	slices.Reverse(req.Extra) // Windows sends the root first
	return req, nil
}

// csr returns the null-signed request, PKCS #10 in DER. signer is the certificate, in
// DER, of the key that signs the SCEP message.
func (p *prepared) csr(recipient *x509.Certificate, signer []byte) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(p.subject.Key)
	if err != nil {
		return nil, err
	}
	attrs, err := client.Attributes(signer)
	if err != nil {
		return nil, err
	}
	exts, err := p.extensions(spki)
	if err != nil {
		return nil, err
	}
	kast, err := p.kast()
	if err != nil {
		return nil, err
	}
	info, err := p.ekInfo(recipient)
	if err != nil {
		return nil, err
	}
	attrs = append(attrs, exts, wcce.OctetAttribute(wcce.OIDAttestation, kast), wcce.EKInfoAttribute(info))
	return wcce.MarshalCSR(spki, attrs)
}

// extensions returns the certificate extensions that the request asks for. The TPM has
// the name of the endorsement certificate, in the form of that.
func (p *prepared) extensions(spki []byte) (wcce.Attribute, error) {
	san, err := p.subject.Device.AltNameLike(challenge.AltNameValue(p.EKChain[0].Extensions), true)
	if err != nil {
		return wcce.Attribute{}, err
	}
	ski, err := wcce.SubjectKeyID(spki)
	if err != nil {
		return wcce.Attribute{}, err
	}
	return wcce.ExtensionsAttribute([]pkix.Extension{san, wcce.KeyAffinity(), ski})
}

// kast returns the statement on the attestation key's creation as a KAST ([MS-WCCE]
// section 2.2.2.5).
func (p *prepared) kast() ([]byte, error) {
	binding, err := (&wcce.IDBinding{
		PublicArea: p.aik.PublicArea, CreationData: p.aik.CreationData, Attest: p.aik.Attest, Signature: p.aik.Signature,
	}).Marshal()
	if err != nil {
		return nil, err
	}
	return (&wcce.KAST{IDBinding: binding}).Marshal(), nil
}

// ekInfo returns the endorsement key and its certificate, encrypted for recipient.
func (p *prepared) ekInfo(recipient *x509.Certificate) ([]byte, error) {
	cert := p.EKChain[0]
	info := wcce.EKInfo{PublicKey: cert.RawSubjectPublicKeyInfo, Certificates: [][]byte{cert.Raw}}
	plain, err := info.Marshal()
	if err != nil {
		return nil, err
	}
	return cms.Encrypt(plain, recipient, cms.AES128CBC)
}
