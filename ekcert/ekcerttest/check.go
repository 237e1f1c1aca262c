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

// An application is a request whose contents were read and checked.
type application struct {
	device *wcce.Device
	ek     crypto.PublicKey
	aik    *wcce.IDBinding // the attestation key's creation
	opaque []byte          // to be echoed
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
	if app.aik, app.opaque, err = judge.Read(csr); err != nil {
		return nil, err
	}
	return app, judge.Check(app.aik)
}

// readEK takes the endorsement key, if it is of a kind that TPMs are made with.
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
	switch d := a.device; {
	case d == nil:
		return errors.New("no subject alternative name")
	case !idForm.MatchString(d.Manufacturer) || !idForm.MatchString(d.Version):
		return fmt.Errorf("manufacturer %q or version %q is no ID", d.Manufacturer, d.Version)
	case d.Model == "" || !utf8.ValidString(d.Model):
		return fmt.Errorf("model %q", d.Model)
	}
	return nil
}

// idForm is the only form that the certificates have of a maker and a version, so
// that the lists need to know no other.
var idForm = regexp.MustCompile(`^id:[0-9A-F]{8}$`)

// checkLists asks whether the CA wants to certify this TPM.
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
