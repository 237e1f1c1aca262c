package softtpm

import "fmt"

// Hierarchies for Persist and Primary.
const (
	Owner       = rhOwner
	Endorsement = rhEndorsement
)

// NVCertificate are the attributes of the NV indexes that makers put
// certificates in: written and locked by the platform, readable by all.
const NVCertificate = nvPPWrite | nvWriteDefine | nvPPRead | nvOwnerRead | nvAuthRead | nvNoDA | nvPlatformCreate

// The following methods are steps of a maker. They need no authorization.

// WriteNV defines an NV index with the given attributes and writes data to it. It
// replaces an index that is defined.
func (t *TPM) WriteNV(index, attributes uint32, data []byte) error {
	if !isNV(index) || len(data) > maxNVIndex {
		return fmt.Errorf("softtpm: NV index %#x of %d bytes", index, len(data))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.st.NV, index)
	x := &nvIndex{NameAlg: algSHA256, Attrs: attributes}
	if rc := t.defineNV(index, x, len(data)); rc != 0 {
		return fmt.Errorf("softtpm: NV index %#x: %#x", index, uint32(rc))
	}
	copy(x.Data, data)
	x.Attrs |= nvWritten
	return nil
}

// SetEndorsementAuth sets the authorization value of the endorsement hierarchy.
func (t *TPM) SetEndorsementAuth(auth []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.st.EndorsementAuth, t.dirty = trim(auth), true
}

// Primary makes the primary key of a template, a TPMT_PUBLIC, and returns its public
// area. It makes the key persistent at handle unless that is 0.
func (t *TPM) Primary(hierarchy uint32, template []byte, handle uint32) ([]byte, error) {
	r := reader{b: template}
	p := inputs{pub: r.public(false)}
	rc := r.end()
	if rc == 0 {
		rc = p.check(nil)
	}
	if rc != 0 {
		return nil, fmt.Errorf("softtpm: template: %#x", uint32(rc))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o, rc := t.primary(hierarchy, &p)
	if rc == 0 && handle != 0 {
		rc = t.persist(o, handle)
		t.dirty = true
	}
	if rc != 0 {
		return nil, fmt.Errorf("softtpm: primary: %#x", uint32(rc))
	}
	return o.pub.marshal(), nil
}
