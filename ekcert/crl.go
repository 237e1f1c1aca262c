package ekcert

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Extensions of CRLs and their entries, and of certificates that name CRLs (RFC 5280,
// sections 4.2.1.13, 5.2 and 5.3).
var (
	oidCRLPoints         = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidCRLNumber         = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidReasonCode        = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidInvalidityDate    = asn1.ObjectIdentifier{2, 5, 29, 24}
	oidIssuingPoint      = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidCertificateIssuer = asn1.ObjectIdentifier{2, 5, 29, 29}
	oidAuthorityKeyID    = asn1.ObjectIdentifier{2, 5, 29, 35}
)

var errPoint = errors.New("CRL distribution point cannot be read")

// A crlPoint is a CRL distribution point of a certificate.
type crlPoint struct {
	urls    []string
	issuer  []byte // Name of the CRL's issuer in DER; nil if it is the certificate's issuer
	reasons bool   // the CRL covers only some reasons
}

// crlPoints reads the CRL distribution points of a certificate.
func crlPoints(cert *x509.Certificate) ([]crlPoint, error) {
	value := extension(cert.Extensions, oidCRLPoints)
	if value == nil {
		return nil, nil
	}
	in, list := cryptobyte.String(value), cryptobyte.String(nil)
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, errPoint
	}
	var points []crlPoint
	for !list.Empty() && len(points) < maxCertificates {
		var p crlPoint
		if !p.read(&list) {
			return nil, errPoint
		}
		points = append(points, p)
	}
	return points, nil
}

// extension returns the value of an extension, or nil if it is absent.
func extension(list []pkix.Extension, id asn1.ObjectIdentifier) []byte {
	for _, e := range list {
		if e.Id.Equal(id) {
			return e.Value
		}
	}
	return nil
}

// constructed returns the tag [n] of a constructed element.
func constructed(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

// read reads one DistributionPoint from list. It reports whether it could.
func (p *crlPoint) read(list *cryptobyte.String) bool {
	var point, name, issuer cryptobyte.String
	var hasName, hasIssuer bool
	if !list.ReadASN1(&point, cbasn1.SEQUENCE) ||
		!point.ReadOptionalASN1(&name, &hasName, constructed(0)) ||
		hasName && !readPointName(name, &p.urls) {
		return false
	}
	p.reasons = point.PeekASN1Tag(cbasn1.Tag(1).ContextSpecific())
	if !point.SkipOptionalASN1(cbasn1.Tag(1).ContextSpecific()) ||
		!point.ReadOptionalASN1(&issuer, &hasIssuer, constructed(2)) || !point.Empty() {
		return false
	}
	if hasIssuer {
		p.issuer = directory(issuer)
	}
	return !hasIssuer || p.issuer != nil
}

// readPointName adds the URLs of a DistributionPointName to urls. A name that is
// relative to the issuer's has none.
func readPointName(name cryptobyte.String, urls *[]string) bool {
	var full cryptobyte.String
	if !name.PeekASN1Tag(constructed(0)) {
		return true
	}
	if !name.ReadASN1(&full, constructed(0)) || !name.Empty() {
		return false
	}
	for !full.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !full.ReadAnyASN1(&value, &tag) {
			return false
		}
		if tag == cbasn1.Tag(6).ContextSpecific() && len(*urls) < maxCertificates {
			*urls = append(*urls, string(value))
		}
	}
	return true
}

// directory returns the first directory name among GeneralNames, in DER, or nil.
func directory(names cryptobyte.String) []byte {
	for !names.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&value, &tag) {
			return nil
		}
		if tag == directoryName && value.PeekASN1Tag(cbasn1.SEQUENCE) {
			return value
		}
	}
	return nil
}

// A crl is a CRL with its issuing distribution point (RFC 5280, section 5.2.5).
type crl struct {
	*x509.RevocationList
	names                                     []string // URLs; nil if there are none
	userOnly, caOnly, attributeOnly, indirect bool
	someReasons                               bool // it covers only some reasons
}

// parseCRL reads a CRL in DER or PEM. It refuses unknown critical extensions, such as
// those of a delta CRL.
func parseCRL(b []byte) (*crl, error) {
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	list, err := x509.ParseRevocationList(b)
	if err != nil {
		return nil, err
	}
	out := &crl{RevocationList: list}
	for _, e := range list.Extensions {
		switch {
		case e.Id.Equal(oidIssuingPoint):
			if !out.readScope(e.Value) {
				return nil, errPoint
			}
		case e.Critical && !e.Id.Equal(oidCRLNumber) && !e.Id.Equal(oidAuthorityKeyID):
			return nil, fmt.Errorf("has the critical extension %v", e.Id)
		}
	}
	return out, nil
}

// readScope reads the issuing distribution point. It reports whether it could.
func (c *crl) readScope(der []byte) bool {
	in, point, name := cryptobyte.String(der), cryptobyte.String(nil), cryptobyte.String(nil)
	var hasName bool
	if !in.ReadASN1(&point, cbasn1.SEQUENCE) || !in.Empty() ||
		!point.ReadOptionalASN1(&name, &hasName, constructed(0)) ||
		hasName && !readPointName(name, &c.names) {
		return false
	}
	if !readFlag(&point, 1, &c.userOnly) || !readFlag(&point, 2, &c.caOnly) {
		return false
	}
	reasons := cbasn1.Tag(3).ContextSpecific()
	c.someReasons = point.PeekASN1Tag(reasons)
	return point.SkipOptionalASN1(reasons) && readFlag(&point, 4, &c.indirect) &&
		readFlag(&point, 5, &c.attributeOnly) && point.Empty()
}

// readFlag reads an optional BOOLEAN with the tag [n], false by default. It reports
// whether it could.
func readFlag(in *cryptobyte.String, n uint8, to *bool) bool {
	var value cryptobyte.String
	var there bool
	if !in.ReadOptionalASN1(&value, &there, cbasn1.Tag(n).ContextSpecific()) {
		return false
	}
	if there && len(value) != 1 {
		return false
	}
	*to = there && value[0] != 0
	return true
}

// find returns the entry for cert, or nil if there is none. If there is none but an
// entry cannot be understood, it returns an error. In an indirect CRL, an entry is for
// a certificate of the issuer that it or the last entry before it names; if none names
// one, of the CRL's issuer.
func (c *crl) find(cert *x509.Certificate) (*x509.RevocationListEntry, error) {
	issuer := c.RawIssuer
	var odd error
	for i := range c.RevokedCertificateEntries {
		entry := &c.RevokedCertificateEntries[i]
		for _, e := range entry.Extensions {
			switch {
			case e.Id.Equal(oidCertificateIssuer):
				if issuer = entryIssuer(e.Value); issuer == nil || !c.indirect {
					return nil, errors.New("has an entry with an issuer that cannot be read")
				}
			case e.Critical && !e.Id.Equal(oidReasonCode) && !e.Id.Equal(oidInvalidityDate):
				odd = fmt.Errorf("has an entry with the critical extension %v", e.Id)
			}
		}
		if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 && bytes.Equal(issuer, cert.RawIssuer) {
			return entry, nil
		}
	}
	return nil, odd
}

// entryIssuer returns the Name in the extension certificateIssuer of an entry, or nil.
func entryIssuer(der []byte) []byte {
	in, names := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&names, cbasn1.SEQUENCE) || !in.Empty() {
		return nil
	}
	return directory(names)
}
