package ekcert

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// A Certificate is an endorsement key certificate.
//
// The fields from Manufacturer to Revision are those of the TCG profile. A field is
// empty or 0 if the certificate does not have it or it cannot be read.
type Certificate struct {
	*x509.Certificate

	Manufacturer string // TCG vendor ID as in the certificate, such as "id:494E5443"
	Model        string // part number or name, such as "NPCT75x"
	Version      string // firmware version as in the certificate, usually "id:" and 8 hexadecimal digits

	Family   string // of the TPM specification, such as "2.0"
	Level    int    // of the TPM specification
	Revision int    // of the TPM specification, such as 138 for 1.38

	// Issuers are CA certificates that were found with this one, in NV memory or
	// in an answer. They are not verified: use them to build chains, never as
	// roots.
	Issuers []*x509.Certificate

	// Origin is where the certificate was found: "nv:0x01C00002", "system", the
	// URL of a [Service] or SCEP server without the part that identifies the TPM,
	// "service" for another [Fetcher], or "" for [Parse].
	Origin string

	trailing int // bytes of other data after it
}

// Vendor returns the maker's short name, such as "INTC", as in [Roots]. It is empty
// if the certificate names no maker and its issuer is not known as one. It is only as true as the certificate: verify
// that first.
func (c *Certificate) Vendor() string {
	if c.Certificate == nil {
		return VendorName(c.Manufacturer)
	}
	return vendorOf(c.Certificate, c.Manufacturer)
}

// checkKey checks that cert is for the key ek. Its error wraps ErrMismatch or
// ErrMalformed, and errTPM12 if the certificate is one of a TPM 1.2.
func checkKey(cert *x509.Certificate, ek crypto.PublicKey) error {
	var err error
	switch {
	case cert.PublicKey == nil:
		err = fmt.Errorf("%w: its public key is of a kind that is not supported", ErrMalformed)
	case !isKey(ek):
		err = fmt.Errorf("%w: no key to compare with", ErrMismatch)
	case !sameKey(cert.PublicKey, ek):
		err = ErrMismatch
	default:
		return nil
	}
	if isTPM12(cert) {
		return fmt.Errorf("%w: %w", errTPM12, err)
	}
	return err
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

func isRSA(key crypto.PublicKey) bool {
	_, ok := key.(*rsa.PublicKey)
	return ok
}
