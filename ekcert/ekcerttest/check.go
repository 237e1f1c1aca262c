package ekcerttest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/judge"
	"github.com/whiteglove/whiteglove/internal/roca"
	"github.com/whiteglove/whiteglove/internal/spki"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// An application is the content of a request that was checked.
type application struct {
	device *wcce.Device
	ek     crypto.PublicKey
	aik    *wcce.IDBinding // creation statement of the attestation key
	opaque []byte          // sent back unchanged
}

// refuse returns a refusal with a word of the profile.
func refuse(text string) error {
	return &scep.Error{FailInfo: scep.BadRequest, Message: text}
}

// checkCSR checks that a request is null-signed and has no subject. The challenge proves
// that the client has the key.
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

// read reads a request and checks it.
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
	if app.aik, app.opaque, err = judge.Read(csr); err != nil {
		return nil, err
	}
	return app, judge.Check(app.aik)
}

// readEK reads the endorsement key, and refuses kinds that TPMs are not made with.
func (a *application) readEK(csr *wcce.CSR) error {
	key, err := spki.Parse(csr.PublicKey)
	if err != nil {
		return refuse("ek-unsupported")
	}
	if k, ok := key.(*rsa.PublicKey); ok && (k.N.BitLen() < 2048 || k.E != 65537) {
		return refuse("ek-unsupported")
	}
	if _, err := attest.EKPublicArea(key); err != nil {
		return refuse("ek-unsupported")
	}
	a.ek = key
	return nil
}

// readDevice reads the name of the TPM from the requested extensions.
func (a *application) readDevice(csr *wcce.CSR) error {
	exts, err := csr.Extensions()
	if err != nil {
		return err
	}
	for _, e := range exts {
		if !e.Id.Equal(wcce.OIDSubjectAltName) {
			return fmt.Errorf("the client must not ask for the extension %v", e.Id)
		}
		if !e.Critical || a.device != nil {
			return errors.New("subject alternative name is not critical, or occurs twice")
		}
		if a.device, err = wcce.ParseAltName(e.Value); err != nil {
			return err
		}
	}
	switch d := a.device; {
	case d == nil:
		return errors.New("no subject alternative name")
	case !idForm.MatchString(d.Manufacturer) || !idForm.MatchString(d.Version):
		return fmt.Errorf("manufacturer %q or version %q is not an ID", d.Manufacturer, d.Version)
	case d.Model == "" || !utf8.ValidString(d.Model):
		return fmt.Errorf("model %q", d.Model)
	}
	return nil
}

// idForm is the only form of a maker and of a version that is certified, so that the
// lists of the CA need no other.
var idForm = regexp.MustCompile(`^id:[0-9A-F]{8}$`)

// checkLists checks that the CA certifies this TPM.
func (s *Server) checkLists(a *application, csr *wcce.CSR) error {
	vendor := ekcert.VendorName(a.device.Manufacturer)
	if !s.knows(vendor) {
		return refuse("manufacturer-unknown")
	}
	if s.Revoked != nil && s.Revoked(sha256.Sum256(csr.PublicKey)) {
		return refuse("tpm-revoked")
	}
	if roca.Weak(a.ek) {
		return refuse("tpm-at-risk: CVE-2017-15361")
	}
	tpm := TPM{Vendor: vendor, Model: a.device.Model, Version: a.device.Version, EK: a.ek}
	if s.AtRisk != nil {
		if advisory := s.AtRisk(tpm); advisory != "" {
			return refuse("tpm-at-risk: " + advisory)
		}
	}
	if s.Known != nil && !s.Known(tpm) || s.Known == nil && !s.AnyEK {
		return refuse("ek-unknown")
	}
	return nil
}

// checkEKInfo checks that EK_INFO is for the key of the request.
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
		return errors.New("EK_INFO is for another key")
	}
	return nil
}
