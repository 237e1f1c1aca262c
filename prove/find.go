package prove

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
)

// FindEK returns the first endorsement key of a TPM that has a certificate in the TPM or
// in the operating system, and that certificate. If no key has one and vendor is not
// empty, it asks the certificate service of that maker for the first key's; vendor is
// the Manufacturer of [attest.Info]. The service learns a hash of the key, which
// identifies the machine.
//
// The client looks for the certificates; nil means the zero [ekcert.Client]. FindEK
// checks only that the certificate is for the key, as [ekcert.Client.Find] does: use
// [ekcert.Client.Verify] to verify it.
//
// The error wraps an [*attest.Error] if the TPM fails, and [attest.ErrNotFound] if it has
// no endorsement key. If there is no certificate that can be used, the error wraps those
// of [ekcert.Client.Find] for each key, such as [ekcert.ErrNotFound], and says what was
// found. It wraps the error of ctx if that ended first.
func FindEK(ctx context.Context, tpm *attest.TPM, client *ekcert.Client, vendor string) (*attest.EK, *ekcert.Certificate, error) {
	if client == nil {
		client = new(ekcert.Client)
	}
	var first *attest.EK
	var none missing
	for ek, err := range tpm.EKs(ctx) {
		if err != nil {
			return nil, nil, err
		}
		cert, err := client.Find(ctx, tpm, "", ek.Public)
		if err == nil {
			return ek, cert, nil
		}
		if !isUnusable(err) {
			return nil, nil, err
		}
		if first == nil {
			first = ek
		}
		none = append(none, err)
	}
	if first == nil {
		return nil, nil, &attest.Error{Op: "EK", Err: fmt.Errorf("%w: there is no endorsement key, and the TPM makes none", attest.ErrNotFound)}
	}
	if vendor == "" {
		return nil, nil, none
	}
	cert, err := client.Find(ctx, tpm, vendor, first.Public)
	if err != nil {
		none[0] = err // it also says what is in the TPM
		return nil, nil, none
	}
	return first, cert, nil
}

// isUnusable reports whether err is about what is stored for one endorsement key, so that
// another key may have a certificate.
func isUnusable(err error) bool {
	var hidden tpm2.TPMRC // the TPM refuses to read the certificate
	return errors.Is(err, ekcert.ErrNotFound) || errors.Is(err, ekcert.ErrMalformed) ||
		errors.Is(err, ekcert.ErrMismatch) || errors.As(err, &hidden)
}

// A missing error has an error of ekcert.Client.Find for each endorsement key, in their
// order. There is at least one.
type missing []error

// Error returns the text of the first error, and what the others say of their keys.
func (m missing) Error() string {
	text := m[0].Error()
	for i, err := range m[1:] {
		if i == 0 {
			text += "; other keys: "
		} else {
			text += "; "
		}
		text += strings.TrimPrefix(err.Error(), "ekcert: find: ")
	}
	return text
}

func (m missing) Unwrap() []error { return m }
