package ekcert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// An NVReader reads the NV memory of a TPM, such as an *attest.TPM.
type NVReader interface {
	// ReadNV returns the whole contents of an NV index. If the index is not
	// defined or was never written, the error wraps [fs.ErrNotExist] or has a
	// method HRESULT with the TPM's answer: TPM_20_E_HANDLE or
	// TPM_20_E_NV_UNINITIALIZED.
	ReadNV(ctx context.Context, index uint32) ([]byte, error)
}

// NV indices of certificate chains: the certificates below the root, one after the
// other (TCG EK Credential Profile 2.5, section 2.2.1.5.2).
const (
	firstChainIndex uint32 = 0x01C00100
	lastChainIndex  uint32 = 0x01C001FF
)

// indices returns the NV indices that the TCG assigns to certificates of keys of
// the kind of ek: that of the low range first, then that of the high range (TCG EK
// Credential Profile 2.4, sections 2.2.1.4 and 2.2.1.5).
func indices(ek crypto.PublicKey) []uint32 {
	switch k := ek.(type) {
	case *rsa.PublicKey:
		switch k.N.BitLen() {
		case 2048:
			return []uint32{0x01C00002, 0x01C00012}
		case 3072:
			return []uint32{0x01C0001C}
		case 4096:
			return []uint32{0x01C0001E}
		}
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return []uint32{0x01C0000A, 0x01C00014}
		case 384:
			return []uint32{0x01C00016}
		case 521:
			return []uint32{0x01C00018}
		}
	}
	return nil
}

// Find returns the certificate of the endorsement key ek, an *[rsa.PublicKey] or
// *[ecdsa.PublicKey], from the first of these sources that has it:
//
//   - the NV memory of the TPM that nv reads, at the indices that the TCG assigns to
//     the kind of key; nv may be nil. If Roots and Intermediates do not suffice to
//     verify the certificate, the chain in NV memory is read too, as far as the TPM
//     permits, and becomes its Issuers;
//   - SystemStore;
//   - the maker's service, if Services has one. It learns a hash of the key, which
//     identifies the machine.
//
// Find checks only that the certificate is for the key; use [Client.Verify] to
// verify it. vendor is the maker that the TPM names, as TCG vendor ID or short name.
// If it is empty, no service is asked.
//
// If a TPM refuses to read an index, the other sources are tried; if it does not
// answer, the search ends. A failure of SystemStore is logged only.
//
// The error is an [*Error]. It wraps [ErrNotFound] if no source has a certificate.
// If a certificate was found but cannot be used, it wraps [ErrMismatch] (another
// key) or [ErrMalformed]. Otherwise it wraps [ErrNoService] or another error of the
// service, the error of nv, or the error of ctx if that ended first.
func (c *Client) Find(ctx context.Context, nv NVReader, vendor string, ek crypto.PublicKey) (*Certificate, error) {
	fail := &Error{Op: "find", Vendor: VendorName(vendor), Err: ErrNotFound}
	cert, err := c.findInNV(ctx, nv, ek, fail)
	if cert == nil && err == nil {
		cert, err = c.findInSystem(ctx, ek)
	}
	if cert == nil && err == nil {
		cert, err = c.findAtMaker(ctx, ek, fail)
	}
	switch {
	case err != nil:
		fail.Err = err
		return nil, fail
	case cert == nil:
		return nil, fail
	}
	return cert, nil
}

// findInNV returns the certificate in NV memory. It returns nil if there is none
// that can be used, and then sets the reason in fail. It returns an error only if
// the TPM does not answer.
func (c *Client) findInNV(ctx context.Context, nv NVReader, ek crypto.PublicKey, fail *Error) (*Certificate, error) {
	if nv == nil {
		return nil, nil
	}
	for _, index := range indices(ek) {
		cert, err := readCertificate(ctx, nv, index, ek)
		switch {
		case err == nil:
			return cert, c.addChain(ctx, nv, cert)
		case notThere(err):
			continue
		}
		fail.Origin, fail.Err = origin(index), err
		if !errors.Is(err, ErrMismatch) && !errors.Is(err, ErrMalformed) && !isRefusal(err) {
			return nil, err
		}
	}
	return nil, nil
}

// findInSystem returns the certificate in SystemStore, or nil if there is none.
func (c *Client) findInSystem(ctx context.Context, ek crypto.PublicKey) (*Certificate, error) {
	list := c.SystemStore
	if list == nil {
		list = systemStore
	}
	found, err := list(ctx)
	if err != nil {
		c.debug("the system's certificates", "error", err) // it is a cache: the certificate may be elsewhere
	}
	for _, b := range found {
		cert, err := parse(b)
		if err == nil && checkKey(cert.Certificate, ek) == nil {
			cert.Origin = "system"
			return cert, nil
		}
	}
	return nil, ctx.Err()
}

// findAtMaker asks the maker's service. It returns nil if there is no service or it
// has no certificate.
func (c *Client) findAtMaker(ctx context.Context, ek crypto.PublicKey, fail *Error) (*Certificate, error) {
	service := c.services()[fail.Vendor]
	if service == nil {
		return nil, nil
	}
	body, err := service.Fetch(ctx, ek)
	var e *Error
	if errors.As(err, &e) {
		fail.HTTPStatus, fail.RetryAfter = e.HTTPStatus, e.RetryAfter
	}
	if errors.Is(err, ErrNotFound) {
		c.debug("the maker has no certificate", "maker", fail.Vendor)
		return nil, nil
	}
	fail.Origin = serviceOrigin(service)
	switch {
	case e != nil:
		return nil, e.Err // fail has its other fields
	case err != nil:
		return nil, err
	}
	cert, err := parse(body)
	if err != nil {
		return nil, err
	}
	if err := checkKey(cert.Certificate, ek); err != nil {
		return nil, err
	}
	cert.Origin = fail.Origin
	return cert, nil
}

// serviceOrigin returns the Origin of certificates from a service.
func serviceOrigin(r Fetcher) string {
	if s, ok := r.(*Service); ok {
		return wire.Redact(s.URL)
	}
	return "service"
}

// origin returns the Origin of certificates from an NV index.
func origin(index uint32) string { return fmt.Sprintf("nv:0x%08x", index) }

// readCertificate reads a certificate from an NV index. It must be for the key ek.
func readCertificate(ctx context.Context, nv NVReader, index uint32, ek crypto.PublicKey) (*Certificate, error) {
	b, err := nv.ReadNV(ctx, index)
	if err != nil {
		return nil, err
	}
	cert, err := parse(b)
	if err != nil {
		return nil, err
	}
	if err := checkKey(cert.Certificate, ek); err != nil {
		return nil, err
	}
	cert.Origin = origin(index)
	return cert, nil
}

// notThere reports whether err says that an NV index is not defined or was
// never written.
func notThere(err error) bool {
	code := codeOf(err)
	return code == tpmHandle || code == tpmNVUnwritten || code == 0 && errors.Is(err, fs.ErrNotExist)
}

// isRefusal reports whether err is the TPM's answer to a command, or that of the
// operating system which blocks the command. Such an error is about one index, not
// about the TPM.
func isRefusal(err error) bool {
	code := codeOf(err)
	return code&^0xFFF == tpmAnswers || code == tbsDenied
}

// codeOf returns the HRESULT of err, or 0 if it has none.
func codeOf(err error) uint32 {
	var coded interface{ HRESULT() uint32 }
	if errors.As(err, &coded) {
		return coded.HRESULT()
	}
	return 0
}

// addChain adds the chain in NV memory to the Issuers of cert, unless cert already
// leads to a root without it.
func (c *Client) addChain(ctx context.Context, nv NVReader, cert *Certificate) error {
	if _, err := c.chain(ctx, cert, c.trusted(cert.Vendor(), cert.Issuers)); err == nil {
		return nil
	}
	var joined []byte
	for index := firstChainIndex; index <= lastChainIndex && len(joined) < maxSize; index++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b, err := nv.ReadNV(ctx, index)
		if notThere(err) {
			break
		}
		if isRefusal(err) {
			c.debug("chain in NV memory", "index", origin(index), "error", err)
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", origin(index), err)
		}
		joined = append(joined, b...)
	}
	issuers := splitChain(joined)
	c.debug("chain in NV memory", "bytes", len(joined), "certificates", len(issuers))
	cert.Issuers = append(cert.Issuers, issuers...)
	return nil
}

// splitChain returns the certificates in b, between which there may be padding (00
// or FF). It stops at other data, because some makers store other things there, and
// leaves out certificates that crypto/x509 refuses.
func splitChain(b []byte) []*x509.Certificate {
	var certs []*x509.Certificate
	rest := cryptobyte.String(b)
	for len(rest) > 0 && len(certs) < maxCertificates {
		if rest[0] == 0x00 || rest[0] == 0xFF {
			rest = rest[1:]
			continue
		}
		var der cryptobyte.String
		if !rest.ReadASN1Element(&der, cbasn1.SEQUENCE) {
			break
		}
		if cert, err := parseCertificate(der); err == nil {
			certs = append(certs, cert)
		}
	}
	return certs
}
