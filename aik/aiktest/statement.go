package aiktest

import (
	"bytes"
	"crypto/x509"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/judge"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// An attested is an attestation key whose statement has been checked.
type attested struct {
	binding *wcce.IDBinding
	opaque  []byte
}

// checkStatement checks the statement on the attestation key's creation.
func checkStatement(csr *wcce.CSR) (*attested, error) {
	binding, opaque, err := judge.Read(csr)
	if err != nil {
		return nil, refuse("AIK", badRequest, err)
	}
	if err := sameKey(csr, binding); err != nil {
		return nil, refuse("AIK", badStatement, err)
	}
	if err := judge.Check(binding); err != nil {
		return nil, refuse("AIK", badStatement, err)
	}
	return &attested{binding: binding, opaque: opaque}, nil
}

// sameKey checks that a statement is about the key of the request.
func sameKey(csr *wcce.CSR, b *wcce.IDBinding) error {
	key, err := attest.PublicKey(b.PublicArea)
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err == nil && !bytes.Equal(spki, csr.PublicKey) {
		err = errKey
	}
	return err
}
