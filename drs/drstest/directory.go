package drstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the directory's identities are SHA-1 thumbprints
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An Object is a device in the directory.
type Object struct {
	DeviceID string // GUID in lower case, as are the others
	ObjectID string
	ZTDID    string // of the pre-registration; "" if the device was not imported

	// EK is the hardware record: SHA-256 of the SubjectPublicKeyInfo of the
	// endorsement key. It is zero for a device that was not imported.
	EK [32]byte

	Registered  bool   // it is the user's own, not the tenant's
	Enabled     bool   // false until the device joins
	Owner       string // UPN of the user who joined it; "" without one
	DisplayName string
	OSType      string
	OSVersion   string
	PhysicalIDs []string // such as "[ZTDID]:…"

	// AttestationLevel is what the last join proved: 0 nothing, 1 keys
	// certified by an attestation key without a certificate, 2 with one, 3
	// with one whose TPM is the imported one.
	AttestationLevel int

	Identities   []string            // altSecurityIdentities, one for each certificate
	Certificates []*x509.Certificate // oldest first
	TransportKey *rsa.PublicKey      // of the last join; nil if that had a StorageKey
	StorageKey   *ecdsa.PublicKey    // of the last join; nil if that had a TransportKey

	// ComputerSID is that of the computer of Active Directory whose object it
	// is; "" for others.
	ComputerSID string
	computer    *x509.Certificate // self-signed, with the computer's key

	// AIKName is the TPM name of the attestation key that the last join was
	// attested by, in hexadecimal: by it a device is known that comes with a
	// user's token only. It outlives the registration of an imported device.
	AIKName string
}

// clone returns a copy that shares nothing that changes.
func (o *Object) clone() Object {
	c := *o
	c.PhysicalIDs = slices.Clone(o.PhysicalIDs)
	c.Identities = slices.Clone(o.Identities)
	c.Certificates = slices.Clone(o.Certificates)
	return c
}

// Import tells the directory of a device to come, by its endorsement key, as
// the import of a hardware hash does: a disabled object is made for it. It
// returns the device's ZTDID. A key that was imported before keeps its object.
func (s *Server) Import(ek crypto.PublicKey) (ztdID string, err error) {
	hash, err := keyHash(ek)
	if err != nil {
		return "", fmt.Errorf("drstest: import: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.byEK(hash); o != nil {
		return o.ZTDID, nil
	}
	o := &Object{DeviceID: newGUID(), ObjectID: newGUID(), ZTDID: newGUID(), EK: hash}
	o.PhysicalIDs = []string{"[ZTDID]:" + o.ZTDID}
	s.objects = append(s.objects, o)
	return o.ZTDID, nil
}

// Remove deletes the object of a device, by its device identifier, as an
// administrator may. It reports whether there was one.
func (s *Server) Remove(deviceID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.objects)
	s.objects = slices.DeleteFunc(s.objects, func(o *Object) bool {
		if !strings.EqualFold(o.DeviceID, deviceID) {
			return false
		}
		s.revoke(o)
		return true
	})
	return len(s.objects) < n
}

// Objects returns the devices of the directory, oldest first.
func (s *Server) Objects() []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Object, 0, len(s.objects))
	for _, o := range s.objects {
		out = append(out, o.clone())
	}
	return out
}

// AddDevice puts a device into the directory that has joined already, with the
// device key pub, and returns its certificate. It is for tests of what comes
// after the join.
func (s *Server) AddDevice(pub *rsa.PublicKey) (*x509.Certificate, error) {
	if pub == nil {
		return nil, errors.New("drstest: add device: no key")
	}
	o := &Object{DeviceID: newGUID(), ObjectID: newGUID(), OSType: "Windows", Enabled: true}
	cert, err := s.issue(o, pub, nil)
	if err != nil {
		return nil, fmt.Errorf("drstest: add device: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o.identify(cert)
	s.objects = append(s.objects, o)
	return cert, nil
}

// identify adds a certificate to those by which a device is known.
func (o *Object) identify(cert *x509.Certificate) {
	thumb := sha1.Sum(cert.Raw) //nolint:gosec // a name, not a proof
	key := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	o.Identities = append(o.Identities, fmt.Sprintf("X509:<SHA1-TP-PUBKEY>%X%s", thumb, base64.StdEncoding.EncodeToString(key[:])))
	o.Certificates = append(o.Certificates, cert)
}

// byEK returns the object of an endorsement key, or nil. The caller locks.
func (s *Server) byEK(hash [32]byte) *Object {
	for _, o := range s.objects {
		if o.ZTDID != "" && o.EK == hash {
			return o
		}
	}
	return nil
}

// byZTDID returns the imported object with a ZTDID, or nil. The caller locks.
func (s *Server) byZTDID(id string) *Object {
	for _, o := range s.objects {
		if o.ZTDID != "" && o.ZTDID == id {
			return o
		}
	}
	return nil
}

// byDeviceID returns the object with a device identifier, or nil. The caller
// locks.
func (s *Server) byDeviceID(id string) *Object {
	for _, o := range s.objects {
		if strings.EqualFold(o.DeviceID, id) {
			return o
		}
	}
	return nil
}

// byAIK returns the object that was last attested by an attestation key, or nil.
// The caller locks.
func (s *Server) byAIK(name string) *Object {
	for _, o := range s.objects {
		if name != "" && o.AIKName == name {
			return o
		}
	}
	return nil
}

// byCertificate returns the object that a certificate was issued to, or nil.
// The caller locks.
func (s *Server) byCertificate(cert *x509.Certificate) *Object {
	for _, o := range s.objects {
		if slices.ContainsFunc(o.Certificates, cert.Equal) {
			return o
		}
	}
	return nil
}

// keyHash returns the SHA-256 of a key's SubjectPublicKeyInfo.
func keyHash(pub crypto.PublicKey) ([32]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(der), nil
}
