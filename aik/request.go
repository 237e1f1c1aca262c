package aik

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
)

// client is what requests tell of where they come from. The service takes any
// such values, so the machine's own stay at home.
var client = wcce.Client{
	OSVersion: "10.0.19041.2",
	Machine:   "DEVICE",
	User:      `WORKGROUP\DEVICE$`,
	Process:   "taskhostw.exe",
	Provider:  "Microsoft Platform Crypto Provider",
}

// prepared is a request that has been checked, and what follows from it.
type prepared struct {
	*Request
	vendor string
	device wcce.Device      // as the endorsement certificate names it
	key    crypto.PublicKey // of the attestation key
}

// prepare checks all that a CA would refuse and that can be known beforehand.
func prepare(req *Request) (*prepared, error) {
	switch {
	case req.EK == nil || len(req.Chain) == 0 || req.Chain[0] == nil:
		return nil, errors.New("no endorsement key or certificate")
	case req.AIK == nil || len(req.AIK.Creation) == 0:
		return nil, errors.New("no creation statement of the attestation key")
	case slices.Contains(req.Chain, nil):
		return nil, errors.New("the chain has a gap")
	case !sameKey(req.Chain[0].PublicKey, req.EK.Public):
		return nil, errors.New("endorsement certificate is of another key")
	}
	p := &prepared{Request: req, vendor: req.Vendor}
	device, err := altName(req.Chain[0])
	if err != nil {
		return nil, fmt.Errorf("endorsement certificate: %w", err)
	}
	p.device = *device
	if p.vendor == "" {
		p.vendor = device.Manufacturer
	}
	if p.key, err = attest.PublicKey(req.AIK.Area); err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	if err := req.AIK.Verify(p.key, nil); err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	return p, nil
}

// sameKey reports whether both keys are the same.
func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// altName returns the TPM that a certificate names.
func altName(cert *x509.Certificate) (*wcce.Device, error) {
	for _, e := range cert.Extensions {
		if e.Id.Equal(wcce.OIDSubjectAltName) {
			return wcce.ParseAltName(e.Value)
		}
	}
	return nil, errors.New("no subject alternative name")
}

// message returns the SCEP request for a CA.
func (p *prepared) message(ca *scep.CA, now time.Time) (*scep.Request, error) {
	signer := p.Signer
	if signer == nil {
		var err error
		if signer, err = newSigner(); err != nil {
			return nil, err
		}
	}
	cert, err := scep.ProtocolCertificate(signer, nil, now)
	if err != nil {
		return nil, err
	}
	csr, err := p.csr(ca.Recipient, cert.Raw)
	if err != nil {
		return nil, err
	}
	issuers := slices.Clone(p.Chain[1:])
	slices.Reverse(issuers) // the root first, as Windows sends them
	return &scep.Request{CSR: csr, Signer: signer, Decrypter: signer, Certificate: cert, Extra: issuers}, nil
}

// csr returns the null-signed request. signer is the certificate that the SCEP
// message is signed with, in DER.
func (p *prepared) csr(recipient *x509.Certificate, signer []byte) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(p.key)
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

func (p *prepared) extensions(spki []byte) (wcce.Attribute, error) {
	san, err := p.device.AltName(true)
	if err != nil {
		return wcce.Attribute{}, err
	}
	ski, err := wcce.SubjectKeyID(spki)
	if err != nil {
		return wcce.Attribute{}, err
	}
	return wcce.ExtensionsAttribute([]pkix.Extension{san, wcce.KeyAffinity(), ski})
}

// kast returns the statement on the attestation key's creation.
func (p *prepared) kast() ([]byte, error) {
	binding, err := (&wcce.IDBinding{
		Public: p.AIK.Area, Creation: p.AIK.Creation, Attest: p.AIK.Attest, Signature: p.AIK.Signature,
	}).Marshal()
	if err != nil {
		return nil, err
	}
	return (&wcce.KAST{IDBinding: binding}).Marshal(), nil
}

// ekInfo returns the endorsement key and its certificate, encrypted.
func (p *prepared) ekInfo(recipient *x509.Certificate) ([]byte, error) {
	cert := p.Chain[0]
	info := wcce.EKInfo{PublicKey: cert.RawSubjectPublicKeyInfo, Certificates: [][]byte{cert.Raw}}
	plain, err := info.Marshal()
	if err != nil {
		return nil, err
	}
	return cms.Encrypt(plain, recipient, cms.AES128CBC)
}
