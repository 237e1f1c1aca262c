package ekcerttest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	goattest "github.com/google/go-attestation/attest"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// An application is a request whose contents were read and checked.
type application struct {
	device *wcce.Device
	ek     crypto.PublicKey
	area   []byte // TPMT_PUBLIC of the endorsement key
	name   []byte // TPM name of the attestation key
	opaque []byte // to be echoed
}

// refuse is a refusal in the words of the profile.
func refuse(text string) error {
	return &scep.Error{FailInfo: scep.BadRequest, Message: text}
}

// checkCSR checks that a request is null-signed and names no subject. That the
// key is the client's is proven by the challenge.
func (s *Server) checkCSR(req *sceptest.Request) error {
	csr, err := wcce.ParseCSR(req.CSR)
	if err != nil {
		return err
	}
	if !csr.EmptySubject() {
		return errors.New("the request names a subject")
	}
	return csr.VerifyNull()
}

// read reads a request and checks all of it.
func (s *Server) read(req *sceptest.Request) (*application, error) {
	csr, err := wcce.ParseCSR(req.CSR)
	if err != nil {
		return nil, err
	}
	app := new(application)
	if err := app.readEK(csr); err != nil {
		return nil, err
	}
	if err := app.readDevice(csr); err != nil {
		return nil, err
	}
	if err := s.checkLists(app, csr); err != nil {
		return nil, err
	}
	if err := checkEKInfo(csr, req); err != nil {
		return nil, err
	}
	return app, app.readStatement(csr)
}

// readEK takes the endorsement key, if it is of a kind that TPMs are made with.
func (a *application) readEK(csr *wcce.CSR) error {
	key, err := x509.ParsePKIXPublicKey(csr.PublicKey)
	if err != nil {
		return refuse("ek-unsupported")
	}
	if k, ok := key.(*rsa.PublicKey); ok && (k.N.BitLen() < 2048 || k.E != 65537) {
		return refuse("ek-unsupported")
	}
	if a.area, err = attest.Area(key); err != nil {
		return refuse("ek-unsupported")
	}
	a.ek = key
	return nil
}

// readDevice takes the TPM's names out of the requested extensions.
func (a *application) readDevice(csr *wcce.CSR) error {
	exts, err := csr.Extensions()
	if err != nil {
		return err
	}
	for _, e := range exts {
		if !e.Id.Equal(wcce.OIDSubjectAltName) {
			return fmt.Errorf("extension %v is not for the client to ask for", e.Id)
		}
		if !e.Critical || a.device != nil {
			return errors.New("subject alternative name is not critical, or there twice")
		}
		if a.device, err = wcce.ParseAltName(e.Value); err != nil {
			return err
		}
	}
	if a.device == nil {
		return errors.New("no subject alternative name")
	}
	return nil
}

// checkLists asks whether the CA wants to certify this TPM.
func (s *Server) checkLists(a *application, csr *wcce.CSR) error {
	vendor := ekcert.VendorName(a.device.Manufacturer)
	if !s.knows(vendor) {
		return refuse("manufacturer-unknown")
	}
	if s.Revoked != nil && s.Revoked(sha256.Sum256(csr.PublicKey)) {
		return refuse("tpm-revoked")
	}
	if s.AtRisk == nil {
		return nil
	}
	tpm := TPM{Vendor: vendor, Model: a.device.Model, Version: a.device.Version, EK: a.ek}
	if advisory := s.AtRisk(tpm); advisory != "" {
		return refuse("tpm-at-risk: " + advisory)
	}
	return nil
}

// checkEKInfo checks that EK_INFO is of the request's key.
func checkEKInfo(csr *wcce.CSR, req *sceptest.Request) error {
	sealed, err := csr.Value(wcce.OIDEKInfo)
	if err != nil {
		return err
	}
	plain, err := req.Decrypt(sealed)
	if err != nil {
		return fmt.Errorf("EK_INFO: %w", err)
	}
	info, err := wcce.ParseEKInfo(plain)
	if err != nil {
		return err
	}
	if !bytes.Equal(info.PublicKey, csr.PublicKey) {
		return errors.New("EK_INFO is of another key")
	}
	return nil
}

// Attributes of an object (TPM 2.0 Library part 2, section 8.3).
const (
	fixedTPM            = 1 << 1
	fixedParent         = 1 << 4
	sensitiveDataOrigin = 1 << 5
	restricted          = 1 << 16
	decrypt             = 1 << 17
	sign                = 1 << 18
)

// readStatement checks that the attestation key is one, and was made by a TPM.
func (a *application) readStatement(csr *wcce.CSR) error {
	blob, err := csr.Octets(wcce.OIDAttestation)
	if err != nil {
		return err
	}
	kast, err := wcce.ParseKAST(blob)
	if err != nil {
		return err
	}
	if kast.Platform != wcce.PlatformTPM20 || len(kast.KeyAttestation) != 0 {
		return errors.New("KAST is not the creation statement of a TPM 2.0")
	}
	b, err := wcce.ParseIDBinding(kast.IDBinding)
	if err != nil {
		return err
	}
	if err := checkStatement(b); err != nil {
		return err
	}
	a.opaque = kast.AIKOpaque
	a.name, err = attest.Name(b.Public)
	return err
}

// checkStatement has two judges: this module's own and go-attestation.
func checkStatement(b *wcce.IDBinding) error {
	attributes, err := attest.Attributes(b.Public)
	if err != nil {
		return err
	}
	const want = fixedTPM | fixedParent | sensitiveDataOrigin | restricted | sign
	if attributes&want != want || attributes&decrypt != 0 {
		return fmt.Errorf("attestation key has the attributes %#x", attributes)
	}
	aik, err := attest.PublicKey(b.Public)
	if err != nil {
		return err
	}
	st := &attest.Statement{
		Area: b.Public, Attest: b.Attest, Signature: b.Signature, Creation: b.Creation,
	}
	if err := st.Verify(aik, nil); err != nil {
		return err
	}
	other := goattest.ActivationParameters{AK: goattest.AttestationParameters{
		Public:            slices.Clone(b.Public),
		CreateData:        slices.Clone(b.Creation),
		CreateAttestation: slices.Clone(b.Attest),
		CreateSignature:   slices.Clone(b.Signature),
	}}
	if err := other.CheckAKParameters(); err != nil {
		return fmt.Errorf("go-attestation: %w", err)
	}
	return nil
}
