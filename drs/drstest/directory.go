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

// An Object is a device in the directory. GUIDs are in lower case.
type Object struct {
	DeviceID string // GUID of the device
	ObjectID string // GUID of the object itself
	ZTDID    string // GUID of the pre-registration; "" if the device was not imported

	// EK is the hardware record: the SHA-256 of the SubjectPublicKeyInfo of the
	// endorsement key. It is zero if the device was not imported.
	EK [32]byte

	Registered  bool   // the device belongs to a user, not to the tenant
	Enabled     bool   // false until the device joins
	Owner       string // UPN of the user who joined the device; "" without a user
	DisplayName string
	OSType      string
	OSVersion   string
	PhysicalIDs []string // such as "[ZTDID]:…"

	// AttestationLevel is what the attestation of the last join proved: 0 nothing; 1
	// that an attestation key without a certificate certifies the keys; 2 that one with
	// a certificate does; 3 that it is in the TPM of the imported endorsement key, too.
	AttestationLevel int

	Identities   []string            // altSecurityIdentities, one for each certificate
	Certificates []*x509.Certificate // device certificates, oldest first
	TransportKey *rsa.PublicKey      // of the last join; nil if that had a StorageKey
	StorageKey   *ecdsa.PublicKey    // of the last join; nil if that had a TransportKey

	// ComputerSID is the security identifier of the computer of Active Directory; "" for
	// other devices.
	ComputerSID string
	computer    *x509.Certificate // self-signed, with the computer's key

	// AIKName is the TPM name, in hexadecimal, of the attestation key of the last
	// attested join. It identifies a device that joins with a user's token alone. An
	// imported device keeps it after it leaves.
	AIKName string

	number int // of the object in the order of the list, from 1; 0 if it is not in it
}

// clone returns a copy that shares only values that do not change.
func (o *Object) clone() Object {
	c := *o
	c.number = 0
	c.PhysicalIDs = slices.Clone(o.PhysicalIDs)
	c.Identities = slices.Clone(o.Identities)
	c.Certificates = slices.Clone(o.Certificates)
	return c
}

// Import makes a disabled object for a device that will join, as the import of its hardware
// hash does. ek is the device's endorsement key. It returns the device's ZTDID. If ek was
// imported before, nothing changes.
//
// The error is of no exported type; it wraps that of [x509.MarshalPKIXPublicKey] if ek is
// not a public key.
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
	s.objects.add(o)
	return o.ZTDID, nil
}

// Remove deletes the object with a device identifier, as an administrator can, and ends the
// sessions on that device. It reports whether there was one.
func (s *Server) Remove(deviceID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byDeviceID(deviceID)
	if o == nil {
		return false
	}
	s.revoke(o)
	s.objects.remove(o)
	return true
}

// Objects returns copies of all devices of the directory, oldest first.
func (s *Server) Objects() []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Object, 0, len(s.objects.list))
	for _, o := range s.objects.list {
		out = append(out, o.clone())
	}
	return out
}

// Object returns a copy of the device with a DeviceID or ZTDID, in upper or lower case. It
// reports whether there is one. It takes as long as it does in a directory of one device.
func (s *Server) Object(id string) (o Object, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byDeviceID(id)
	if found == nil {
		found = s.byZTDID(strings.ToLower(id))
	}
	if found == nil {
		return Object{}, false
	}
	return found.clone(), true
}

// AddDevice adds a device that has joined already, with the device key pub, an
// *[rsa.PublicKey] or *[ecdsa.PublicKey], and without a transport key, and returns its device
// certificate. It is for tests of steps after the join.
//
// The error is of no exported type. It is not nil if pub is nil or the certificate cannot be
// made.
func (s *Server) AddDevice(pub crypto.PublicKey) (*x509.Certificate, error) {
	if key, ok := pub.(*rsa.PublicKey); pub == nil || ok && key == nil {
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
	s.objects.add(o)
	return cert, nil
}

// identify adds a device certificate.
func (o *Object) identify(cert *x509.Certificate) {
	thumb := sha1.Sum(cert.Raw) //nolint:gosec // a name, not a proof
	key := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	o.Identities = append(o.Identities, fmt.Sprintf("X509:<SHA1-TP-PUBKEY>%X%s", thumb, base64.StdEncoding.EncodeToString(key[:])))
	o.Certificates = append(o.Certificates, cert)
}

// keyHash returns the SHA-256 of a key's SubjectPublicKeyInfo.
func keyHash(pub crypto.PublicKey) ([32]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(der), nil
}
