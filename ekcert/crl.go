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

// Extensions of CRLs and of what they are named by (RFC 5280, 4.2.1.13, 5.2
// and 5.3).
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

// A crlPoint is where a certificate says that its CRL is.
type crlPoint struct {
	urls    []string
	issuer  []byte // Name of who signs the CRL, nil for the issuer of the certificate
	reasons bool   // the CRL is for some reasons only
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

func extension(list []pkix.Extension, id asn1.ObjectIdentifier) []byte {
	for _, e := range list {
		if e.Id.Equal(id) {
			return e.Value
		}
	}
	return nil
}

func constructed(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

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

// readPointName reads the URLs of a DistributionPointName. One that is relative
// to the issuer's name has none.
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

// directory returns the first directory name, DER, among GeneralNames, or nil.
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

// A crl is a CRL with its issuing distribution point (RFC 5280, 5.2.5).
type crl struct {
	*x509.RevocationList
	names                                     []string // URLs; nil if it names none
	userOnly, caOnly, attributeOnly, indirect bool
	someReasons                               bool
}

// parseCRL reads a CRL, DER or PEM. It refuses critical extensions that it does
// not know, as those of a delta CRL.
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

// readFlag reads a BOOLEAN with an implicit tag, which is false by default.
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

// find returns the entry of cert, or nil; or an error if there is an entry that
// cannot be understood, and none of cert. In an indirect CRL an entry is of the
// issuer that it or the last one before it names, else of the CRL's.
func (c *crl) find(cert *x509.Certificate) (*x509.RevocationListEntry, error) {
	issuer := c.RawIssuer
	var odd error
	for i := range c.RevokedCertificateEntries {
		entry := &c.RevokedCertificateEntries[i]
		for _, e := range entry.Extensions {
			switch {
			case e.Id.Equal(oidCertificateIssuer):
				if issuer = entryIssuer(e.Value); issuer == nil || !c.indirect {
					return nil, errors.New("has an entry of an issuer that cannot be read")
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

func entryIssuer(der []byte) []byte {
	in, names := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&names, cbasn1.SEQUENCE) || !in.Empty() {
		return nil
	}
	return directory(names)
}
