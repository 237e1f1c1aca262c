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
	vendor  string
	subject subject
}

// A subject is what a certificate is to be of.
type subject struct {
	key    crypto.PublicKey // the attestation key
	device wcce.Device      // as the endorsement certificate names it
}

// requested returns what a request of ours asks a certificate for.
func requested(der []byte) (*subject, error) {
	csr, err := wcce.ParseCSR(der)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(csr.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	exts, err := csr.Extensions()
	if err != nil {
		return nil, err
	}
	device, _, err := altName(exts)
	if err != nil {
		return nil, err
	}
	return &subject{key, *device}, nil
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
	device, _, err := altName(req.Chain[0].Extensions)
	if err != nil {
		return nil, fmt.Errorf("endorsement certificate: %w", err)
	}
	p.subject.device = *device
	if p.vendor == "" {
		p.vendor = device.Manufacturer
	}
	if p.subject.key, err = attest.PublicKey(req.AIK.Area); err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	if err := req.AIK.Verify(p.subject.key, nil); err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	return p, nil
}

// sameKey reports whether both keys are the same.
func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// altName returns the TPM that the subject alternative name among exts names,
// and whether that is critical.
func altName(exts []pkix.Extension) (device *wcce.Device, critical bool, err error) {
	for _, e := range exts {
		if e.Id.Equal(wcce.OIDSubjectAltName) {
			device, err = wcce.ParseAltName(e.Value)
			return device, e.Critical, err
		}
	}
	return nil, false, errors.New("no subject alternative name")
}

// message returns the SCEP request for the CA of ch, and keeps in ch what is
// needed for the next.
func (p *prepared) message(ch *Challenge, now time.Time) (req *scep.Request, err error) {
	if ch.Signer = p.Signer; ch.Signer == nil {
		if ch.Signer, err = newSigner(); err != nil {
			return nil, err
		}
	}
	if ch.certificate, err = scep.ProtocolCertificate(ch.Signer, nil, now); err != nil {
		return nil, err
	}
	if ch.csr, err = p.csr(ch.ca.Recipient, ch.certificate.Raw); err != nil {
		return nil, err
	}
	req = ch.request()
	req.Extra = slices.Clone(p.Chain[1:])
	slices.Reverse(req.Extra) // the root first, as Windows sends them
	return req, nil
}

// csr returns the null-signed request. signer is the certificate that the SCEP
// message is signed with, in DER.
func (p *prepared) csr(recipient *x509.Certificate, signer []byte) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(p.subject.key)
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
	san, err := p.subject.device.AltName(true)
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
