package ekcert

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// A Certificate is an endorsement key certificate.
//
// The fields beside the embedded certificate are those of the TCG's profile;
// each is empty where the certificate does not have it.
type Certificate struct {
	*x509.Certificate

	Manufacturer string // TCG vendor ID as written in the certificate, "id:494E5443"
	Model        string // part number or name, "NPCT75x"
	Version      string // firmware version as written, usually "id:" and 8 hex digits

	Family   string // of the TPM specification, "2.0"
	Level    int    // of the TPM specification
	Revision int    // of the TPM specification, 138 for 1.38

	// Issuers are CA certificates found along with this one, in NV memory or
	// in a CA's answer. Nothing is known of them yet: they are for building
	// chains, never to be trusted as roots.
	Issuers []*x509.Certificate

	Origin string // "nv:0x01c00002", "system", the URL of a service without what names the TPM, "service", or ""
}

// Vendor returns the maker's short name, such as "INTC", as it is used in
// [Roots]. It is "" if the certificate names no maker.
func (c *Certificate) Vendor() string { return VendorName(c.Manufacturer) }

// checkKey returns an error that wraps ErrMismatch unless cert is of the key
// ek.
func checkKey(cert *x509.Certificate, ek crypto.PublicKey) error {
	if cert.PublicKey == nil {
		return fmt.Errorf("%w: its public key is of a kind that is not supported", ErrMalformed)
	}
	if ek == nil {
		return fmt.Errorf("%w: no key to compare with", ErrMismatch)
	}
	if !sameKey(cert.PublicKey, ek) {
		return ErrMismatch
	}
	return nil
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

func isRSA(key crypto.PublicKey) bool {
	_, ok := key.(*rsa.PublicKey)
	return ok
}
