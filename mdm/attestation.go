package mdm

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// An Attestation proves to a server that keys are of a TPM. Servers with an
// EnrollVersion under 5.0 are not sent it. Real servers may want claims of
// Windows' own making, whose format is not documented: see [Claim].
type Attestation struct {
	AIK            *rsa.PublicKey // the attestation key
	AIKCertificate []byte         // of AIK, in DER; may be nil
	Claim          []byte         // of AIK over the key of the enrollment
	DeviceKey      *rsa.PublicKey // of the device in the directory; may be nil
	DeviceClaim    []byte         // of AIK over DeviceKey; nil if that is
}

// items returns the context items of a, or nil.
func (a *Attestation) items() ([]Item, error) {
	if a == nil {
		return nil, nil
	}
	if a.AIK == nil || len(a.Claim) == 0 {
		return nil, errors.New("the attestation has no key or no claim")
	}
	if (a.DeviceKey == nil) != (len(a.DeviceClaim) == 0) {
		return nil, errors.New("the attestation has a device key without a claim or a claim without a device key")
	}
	encode := base64.StdEncoding.EncodeToString
	all := []Item{{itemAIKPub, encode(rsablob.Marshal(a.AIK))}, {itemAIKClaim, encode(a.Claim)}}
	if a.AIKCertificate != nil {
		all = append(all, Item{itemAIKCert, encode(a.AIKCertificate)})
	}
	if a.DeviceKey != nil {
		all = append(all, Item{itemAADPub, encode(rsablob.Marshal(a.DeviceKey))}, Item{itemAADClaim, encode(a.DeviceClaim)})
	}
	return all, nil
}

// Claim puts a TPM's statement about a key into the form in which
// [MS-WCCE] section 2.2.2.5 has them (KADS, with a PCPM blob of the public
// key alone): publicArea is the key's TPMT_PUBLIC, attest the TPMS_ATTEST of
// TPM2_Certify, signature the attestation key's over it, as a TPMT_SIGNATURE or
// the bytes of an RSA signature alone. That Windows' claims in an enrollment
// have the same form is likely, but not documented.
func Claim(publicArea, attest, signature []byte) ([]byte, error) {
	for _, part := range [][]byte{publicArea, attest, signature} {
		if len(part) == 0 || len(part) > maxPart {
			return nil, errors.New("mdm: a part of the claim is empty or too long")
		}
	}
	blob := keyBlobPCP(publicArea)
	b := []byte("KADS")
	for _, n := range []int{platformTPM2, headerKADS, len(attest), len(signature), len(blob)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	b = append(append(b, attest...), signature...)
	return append(b, blob...), nil
}

const (
	platformTPM2 = 2
	headerKADS   = 24
	headerPCPM   = 52
	maxPart      = 4096 // bytes of a part of a claim
)

// keyBlobPCP writes the blob of a key of the Windows TPM provider that has
// nothing but its public part.
func keyBlobPCP(publicArea []byte) []byte {
	sized := append(binary.BigEndian.AppendUint16(nil, uint16(len(publicArea))), publicArea...)
	b := []byte("PCPM")
	for _, n := range []int{headerPCPM, platformTPM2, 0, len(sized), 0, 0, 0, 0, 0, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return append(b, sized...)
}
