package ekcert

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

var (
	oidSpecification     = asn1.ObjectIdentifier{2, 23, 133, 2, 16}
	oidSubjectAttributes = asn1.ObjectIdentifier{2, 5, 29, 9}
	oidSignedData        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidKeyUsage          = asn1.ObjectIdentifier{2, 5, 29, 15}
)

// fields are the fields of the TCG profile in a certificate.
type fields struct {
	manufacturer, model, version string
	family                       string
	level, revision              int
	altName, attributes          bool // the extension is present and was read
}

var (
	errAltName    = errors.New("subject alternative name cannot be read")
	errAttributes = errors.New("subject directory attributes cannot be read")
)

// readFields reads the fields of the TCG profile in cert. It returns those that can be
// read, and an error for the rest.
func readFields(cert *x509.Certificate) (fields, error) {
	var f fields
	var errs []error
	for _, e := range cert.Extensions {
		switch {
		case e.Id.Equal(wcce.OIDSubjectAltName):
			f.altName = f.readAltName(e.Value)
			if !f.altName {
				f.manufacturer, f.model, f.version = "", "", "" // a part of a name does not count
				errs = append(errs, errAltName)
			}
		case e.Id.Equal(oidSubjectAttributes):
			f.attributes = f.readAttributes(e.Value)
			if !f.attributes {
				errs = append(errs, errAttributes)
			}
		}
	}
	return f, errors.Join(errs...)
}

// directoryName is the tag of a directoryName in a GeneralName (RFC 5280, section
// 4.2.1.6).
var directoryName = cbasn1.Tag(4).ContextSpecific().Constructed()

// readAltName reads the directory names of a subject alternative name, and reports
// whether it could. Their attributes may be in one RDN or in several, in any order.
func (f *fields) readAltName(der []byte) bool {
	in, names := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&names, cbasn1.SEQUENCE) || !in.Empty() {
		return false
	}
	for !names.Empty() {
		var name cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return false
		}
		if tag == directoryName && !f.readName(name) {
			return false
		}
	}
	return true
}

// readName reads the contents of a directoryName, and reports whether it could.
func (f *fields) readName(in cryptobyte.String) bool {
	var rdns cryptobyte.String
	if !in.ReadASN1(&rdns, cbasn1.SEQUENCE) || !in.Empty() {
		return false
	}
	for !rdns.Empty() {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, cbasn1.SET) {
			return false
		}
		for !rdn.Empty() {
			if !f.readNameAttribute(&rdn) {
				return false
			}
		}
	}
	return true
}

// readNameAttribute reads one attribute of an RDN, and reports whether it could.
func (f *fields) readNameAttribute(rdn *cryptobyte.String) bool {
	var atv, value cryptobyte.String
	var id asn1.ObjectIdentifier
	var tag cbasn1.Tag
	if !rdn.ReadASN1(&atv, cbasn1.SEQUENCE) || !atv.ReadASN1ObjectIdentifier(&id) ||
		!atv.ReadAnyASN1(&value, &tag) || !atv.Empty() {
		return false
	}
	var to *string
	switch {
	case id.Equal(wcce.OIDTPMManufacturer):
		to = &f.manufacturer
	case id.Equal(wcce.OIDTPMModel):
		to = &f.model
	case id.Equal(wcce.OIDTPMVersion):
		to = &f.version
	default:
		return true
	}
	// If a certificate names two different makers, neither can be believed.
	if !isText(tag) || !utf8.Valid(value) || *to != "" && *to != string(value) {
		return false
	}
	*to = string(value)
	return true
}

// isText reports whether tag is that of a string type that makers use.
func isText(tag cbasn1.Tag) bool {
	return tag == cbasn1.UTF8String || tag == cbasn1.PrintableString ||
		tag == cbasn1.IA5String || tag == cbasn1.T61String
}

// readAttributes reads the tPMSpecification among subject directory attributes, and
// reports whether it could.
func (f *fields) readAttributes(der []byte) bool {
	in, list := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return false
	}
	for !list.Empty() {
		var attribute, values cryptobyte.String
		var id asn1.ObjectIdentifier
		if !list.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&id) ||
			!attribute.ReadASN1(&values, cbasn1.SET) || !attribute.Empty() {
			return false
		}
		if id.Equal(oidSpecification) && !f.readSpecification(values) {
			return false
		}
	}
	return true
}

// readSpecification reads a SEQUENCE of family, level and revision, and reports whether
// it could.
func (f *fields) readSpecification(values cryptobyte.String) bool {
	var spec, family cryptobyte.String
	var tag cbasn1.Tag
	var level, revision int
	if !values.ReadASN1(&spec, cbasn1.SEQUENCE) || !spec.ReadAnyASN1(&family, &tag) || !isText(tag) ||
		!utf8.Valid(family) || !spec.ReadASN1Integer(&level) || !spec.ReadASN1Integer(&revision) {
		return false
	}
	f.family, f.level, f.revision = string(family), level, revision
	return true
}
