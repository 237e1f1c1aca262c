package wcce

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// A Device is the name of a TPM in the subject alternative name of a certificate or
// request (TCG EK Credential Profile). An empty field means that the name does not
// have it; some real certificates lack one.
type Device struct {
	Manufacturer string // TCG vendor ID in hexadecimal, such as "id:494E5443" for INTC
	Model        string // such as "NPCT75x"
	Version      string // of the firmware, such as "id:00070002"
}

// directoryName is the tag of GeneralName's directoryName.
var directoryName = der.Tag(4).ContextSpecific().Constructed()

// AltName returns the extension subjectAltName with the name of the TPM: one
// directoryName with one relative name of up to three attributes, as in certificates
// of the real service. The error says that all fields are empty.
func (d *Device) AltName(critical bool) (pkix.Extension, error) { return d.altName(critical, false) }

// altName is AltName. If separate is set, each attribute has a relative name of its own.
func (d *Device) altName(critical, separate bool) (pkix.Extension, error) {
	var rdn [][]byte
	for _, v := range []struct {
		id    asn1.ObjectIdentifier
		value string
	}{{OIDTPMManufacturer, d.Manufacturer}, {OIDTPMModel, d.Model}, {OIDTPMVersion, d.Version}} {
		if v.value == "" {
			continue
		}
		var b cryptobyte.Builder
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(v.id)
			addString(b, der.UTF8String, []byte(v.value))
		})
		a, err := b.Bytes()
		if err != nil {
			return pkix.Extension{}, fmt.Errorf("wcce: device: %w", err)
		}
		rdn = append(rdn, a)
	}
	if rdn == nil {
		return pkix.Extension{}, errors.New("wcce: device: manufacturer, model and version are empty")
	}
	rdns := [][][]byte{rdn}
	if separate {
		rdns = slices.Collect(slices.Chunk(rdn, 1))
	}
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(directoryName, func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, rdn := range rdns {
					slices.SortFunc(rdn, bytes.Compare) // DER sorts a SET OF
					b.AddASN1(der.SET, func(b *cryptobyte.Builder) {
						for _, a := range rdn {
							b.AddBytes(a)
						}
					})
				}
			})
		})
	})
	v, err := b.Bytes()
	return pkix.Extension{Id: OIDSubjectAltName, Critical: critical, Value: v}, err
}

// AltNameLike is AltName in the form of another subjectAltName, whose value is like:
// if that has the attributes of a TPM in several relative names, so has the result, in
// the order manufacturer, model, version. Certificates of TPMs exist in both forms.
func (d *Device) AltNameLike(like []byte, critical bool) (pkix.Extension, error) {
	return d.altName(critical, separate(like))
}

// separate reports whether a subjectAltName has the attributes of a TPM in several
// relative names.
func separate(value []byte) bool {
	var names, name, rdns, rdn, seq cryptobyte.String
	var tag der.Tag
	var id asn1.ObjectIdentifier
	s := cryptobyte.String(value)
	n := 0
	s.ReadASN1(&names, der.SEQUENCE)
	for names.ReadAnyASN1(&name, &tag) {
		if tag != directoryName || !name.ReadASN1(&rdns, der.SEQUENCE) {
			continue
		}
		for rdns.ReadASN1(&rdn, der.SET) {
			for rdn.ReadASN1(&seq, der.SEQUENCE) {
				if seq.ReadASN1ObjectIdentifier(&id) && new(Device).field(id) != nil {
					n++
					break
				}
			}
		}
	}
	return n > 1
}

// ParseAltName reads the name of a TPM from the value of an extension subjectAltName,
// in DER. The attributes may be in one relative name or in several, in any order and
// among others; names of other kinds are ignored. The error wraps [ErrFormat], also
// if all three attributes are missing, or one is empty or has two different values.
func ParseAltName(value []byte) (*Device, error) {
	const op = "device"
	var names cryptobyte.String
	s := cryptobyte.String(value)
	if len(value) > maxSize || !s.ReadASN1(&names, der.SEQUENCE) || !s.Empty() {
		return nil, malformed(op, "not a subject alternative name")
	}
	var d Device
	for !names.Empty() {
		var name cryptobyte.String
		var tag der.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return nil, malformed(op, "bad name")
		}
		if tag == directoryName && !d.read(name) {
			return nil, malformed(op, "bad directory name")
		}
	}
	if d == (Device{}) {
		return nil, malformed(op, "manufacturer, model and version are missing")
	}
	return &d, nil
}

// read sets the fields of d from the contents of a directoryName. It reports whether
// it could.
func (d *Device) read(name cryptobyte.String) bool {
	var rdns cryptobyte.String
	if !name.ReadASN1(&rdns, der.SEQUENCE) || !name.Empty() {
		return false
	}
	for !rdns.Empty() {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, der.SET) {
			return false
		}
		for !rdn.Empty() {
			var seq, value cryptobyte.String
			var id asn1.ObjectIdentifier
			var tag der.Tag
			if !rdn.ReadASN1(&seq, der.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&id) ||
				!seq.ReadAnyASN1(&value, &tag) || !seq.Empty() || !d.set(id, string(value)) {
				return false
			}
		}
	}
	return true
}

// set sets the field of an attribute, if there is one. It returns false if the value
// is empty or the field already has another.
func (d *Device) set(id asn1.ObjectIdentifier, value string) bool {
	field := d.field(id)
	if field == nil {
		return true
	}
	if value == "" || *field != "" && *field != value {
		return false
	}
	*field = value
	return true
}

// field returns the field of an attribute, or nil if there is none.
func (d *Device) field(id asn1.ObjectIdentifier) *string {
	switch {
	case id.Equal(OIDTPMManufacturer):
		return &d.Manufacturer
	case id.Equal(OIDTPMModel):
		return &d.Model
	case id.Equal(OIDTPMVersion):
		return &d.Version
	}
	return nil
}
