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
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/misuse"
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
//     permits and until it leads to a root, and becomes its Issuers;
//   - SystemStore;
//   - the maker's service, if Services has one. It learns a hash of the key, which
//     identifies the machine.
//
// Find checks only that the certificate is for the key; use [Client.Verify] to
// verify it. vendor is the maker that the TPM names, as TCG vendor ID or short name.
// If it is empty, no service is asked.
//
// If a TPM refuses to read an index, or what is there cannot be used, the other sources
// are tried; if it does not answer, the search ends. A failure of SystemStore is logged
// only.
//
// The error is an [*Error]. It wraps [ErrNotFound] if no source has a certificate. An NV
// index with nothing but padding has none. If a certificate was found but cannot be
// used, the error wraps [ErrMismatch] (another key) or [ErrMalformed]. Otherwise it wraps
// [ErrNoService] or another error of the service, the error of nv, or the error of ctx
// if that ended first. Its text says what was in each place.
func (c *Client) Find(ctx context.Context, nv NVReader, vendor string, ek crypto.PublicKey) (*Certificate, error) {
	s := &search{client: c, ek: ek, fail: &Error{Op: "find", Vendor: VendorName(vendor)}}
	if !isKey(ek) {
		s.fail.Err = errNoKey
		return nil, s.fail
	}
	cert, err := s.inNV(ctx, nv)
	if cert == nil && err == nil {
		cert, err = s.inSystem(ctx)
	}
	if cert == nil && err == nil {
		cert, err = s.atMaker(ctx)
	}
	switch {
	case err != nil:
		s.fail.Err = err
		return nil, s.fail
	case cert == nil:
		if s.bad == nil {
			s.bad = []error{ErrNotFound}
		}
		s.fail.Err = s.saying(s.bad...)
		return nil, s.fail
	}
	return cert, nil
}

// A search is one call of Find.
type search struct {
	client *Client
	ek     crypto.PublicKey
	fail   *Error   // the error of Find; its Origin is the first place with something that cannot be used
	bad    []error  // what is in such places
	others []string // what is in the other places, and in these from the second on
}

// found notes what is in a place, or err, the reason why that cannot be used.
func (s *search) found(place string, err error) {
	if err != nil && !errors.Is(err, errBlank) {
		if s.bad = append(s.bad, err); len(s.bad) == 1 {
			s.fail.Origin = place
			return
		}
	}
	what := "none"
	if err != nil {
		what = err.Error()
	}
	s.others = append(s.others, place+": "+what)
}

// saying returns an error that wraps errs and says the text of the first, and what is in
// the other places.
func (s *search) saying(errs ...error) error {
	text := errs[0].Error()
	if len(s.others) > 0 {
		text += " (" + strings.Join(s.others, "; ") + ")"
	}
	return &noted{errs, text}
}

// A noted error has more to say than what it wraps.
type noted struct {
	wrapped []error
	text    string
}

func (n *noted) Error() string   { return n.text }
func (n *noted) Unwrap() []error { return n.wrapped }

// inNV returns the certificate in NV memory, or nil if there is none that can be used.
// It returns an error only if the TPM does not answer.
func (s *search) inNV(ctx context.Context, nv NVReader) (*Certificate, error) {
	if nv == nil {
		return nil, nil
	}
	for _, index := range indices(s.ek) {
		cert, err := readCertificate(ctx, nv, index, s.ek)
		switch {
		case err == nil:
			return cert, s.client.addChain(ctx, nv, cert)
		case notThere(err):
			s.found(origin(index), nil)
			continue
		case !errors.Is(err, ErrMismatch) && !errors.Is(err, ErrMalformed) && !isRefusal(err):
			s.fail.Origin = origin(index)
			return nil, err
		}
		s.found(origin(index), err)
	}
	return nil, nil
}

// inSystem returns the certificate in SystemStore, or nil if there is none.
func (s *search) inSystem(ctx context.Context) (*Certificate, error) {
	list := s.client.SystemStore
	if list == nil {
		list = systemStore
	}
	found, err := list(ctx)
	if err != nil {
		s.client.debug("the system's certificates", "error", err) // it is a cache: the certificate may be elsewhere
	}
	for _, b := range found {
		cert, err := parse(b)
		if err == nil && checkKey(cert.Certificate, s.ek) == nil {
			cert.Origin = "system"
			return cert, nil
		}
	}
	if len(found) > 0 {
		s.others = append(s.others, fmt.Sprintf("system: %d certificates, none for this key", len(found)))
	}
	return nil, ctx.Err()
}

// atMaker asks the maker's service. It returns nil if there is no service or it has no
// certificate. If the service fails, the error says what is in the TPM, too, but wraps
// only the service's, which decides what can be done.
func (s *search) atMaker(ctx context.Context) (*Certificate, error) {
	service := s.client.services()[s.fail.Vendor]
	if service == nil {
		return nil, nil
	}
	from := serviceOrigin(service)
	body, err := service.Fetch(ctx, s.ek)
	if err == nil && len(body) == 0 {
		err = misuse.Neither("Fetcher.Fetch", "a certificate")
	}
	var e *Error
	if errors.As(err, &e) {
		s.fail.HTTPStatus, s.fail.RetryAfter = e.HTTPStatus, e.RetryAfter
	}
	if errors.Is(err, ErrNotFound) {
		s.client.debug("the maker has no certificate", "maker", s.fail.Vendor)
		s.found(from, nil)
		return nil, nil
	}
	if e != nil {
		err = e.Err // fail has its other fields
	}
	var cert *Certificate
	if err == nil {
		cert, err = parse(body)
	}
	if err == nil {
		err = checkKey(cert.Certificate, s.ek)
	}
	if err != nil {
		if s.bad != nil {
			s.others = append([]string{s.fail.Origin + ": " + s.bad[0].Error()}, s.others...)
		}
		s.fail.Origin = from
		return nil, s.saying(err)
	}
	cert.Origin = from
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
func origin(index uint32) string { return fmt.Sprintf("nv:0x%08X", index) }

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
	var issuers []*x509.Certificate
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
		before := len(issuers)
		issuers = splitChain(joined)
		if tries := int(index - firstChainIndex); len(issuers) > before && tries < maxChainTries && c.leadsToRoot(ctx, cert, issuers) {
			break
		}
	}
	c.debug("chain in NV memory", "bytes", len(joined), "certificates", len(issuers))
	cert.Issuers = append(cert.Issuers, issuers...)
	return nil
}

// maxChainTries is after how many NV indices a search asks whether it has the whole chain.
// Chains of makers take two or three.
const maxChainTries = 4

// leadsToRoot reports whether cert leads to a root with more issuers.
func (c *Client) leadsToRoot(ctx context.Context, cert *Certificate, issuers []*x509.Certificate) bool {
	with := *cert
	with.Issuers = append(slices.Clone(cert.Issuers), issuers...)
	_, err := c.chain(ctx, &with, c.trusted(with.Vendor(), with.Issuers))
	return err == nil
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
