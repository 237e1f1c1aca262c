package mdm

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// An Attestation proves to a server that a TPM holds the keys of a device. AIK
// and Claim are required. It is sent only to servers whose EnrollVersion is 5.0
// or later ([MS-MDE2] section 3.4.4.1.1.1). Real servers may insist on claims
// that Windows makes, whose format is not documented: see [Claim].
type Attestation struct {
	// AIK is the attestation key, sent as a BCRYPT_RSAPUBLIC_BLOB.
	AIK *rsa.PublicKey

	// AIKCertificate is a certificate of AIK. If it is nil, none is sent.
	AIKCertificate *x509.Certificate

	// Claim is AIK's statement about the key of the enrollment, as [Claim]
	// makes it.
	Claim []byte

	// DeviceKey is the key that the device has in the directory, and
	// DeviceClaim is AIK's statement about it. Both are nil, or neither.
	DeviceKey   *rsa.PublicKey
	DeviceClaim []byte
}

// items returns the context items of a. It returns nil if a is nil.
func (a *Attestation) items() ([]Item, error) {
	if a == nil {
		return nil, nil
	}
	if a.AIK == nil || len(a.Claim) == 0 {
		return nil, misuse.Errorf("the attestation has no key or no claim")
	}
	if (a.DeviceKey == nil) != (len(a.DeviceClaim) == 0) {
		return nil, misuse.Errorf("the attestation has a device key without a claim or a claim without a device key")
	}
	encode := base64.StdEncoding.EncodeToString
	all := []Item{{itemAIKPub, encode(rsablob.Marshal(a.AIK))}, {itemAIKClaim, encode(a.Claim)}}
	if a.AIKCertificate != nil {
		all = append(all, Item{itemAIKCert, encode(a.AIKCertificate.Raw)})
	}
	if a.DeviceKey != nil {
		all = append(all, Item{itemAADPub, encode(rsablob.Marshal(a.DeviceKey))}, Item{itemAADClaim, encode(a.DeviceClaim)})
	}
	return all, nil
}

// Claim returns a TPM's statement about a key in the form of [MS-WCCE] section
// 2.2.2.5: a KADS structure with a PCPM blob that has nothing but the public
// key. The signature of s may also be the bytes of an RSA signature alone, instead
// of a TPMT_SIGNATURE. Each part may have up to 4096 bytes.
//
// That the claims of Windows in an enrollment have the same form is likely, but
// not documented. The error is of no exported type; it is not nil if s
// is nil, or a part of it is empty or too long.
func Claim(s *Statement) ([]byte, error) {
	if s == nil {
		return nil, errors.New("mdm: there is no statement for the claim")
	}
	for _, part := range [][]byte{s.PublicArea, s.Attest, s.Signature} {
		if len(part) == 0 || len(part) > maxPart {
			return nil, errors.New("mdm: a part of the claim is empty or too long")
		}
	}
	blob := keyBlobPCP(s.PublicArea)
	b := []byte("KADS")
	for _, n := range []int{platformTPM2, headerKADS, len(s.Attest), len(s.Signature), len(blob)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	b = append(append(b, s.Attest...), s.Signature...)
	return append(b, blob...), nil
}

const (
	platformTPM2 = 2
	headerKADS   = 24
	headerPCPM   = 52
	maxPart      = 4096 // bytes of a part of a claim
)

// keyBlobPCP returns the blob of a key of the Windows TPM provider (Platform
// Crypto Provider) with its public part alone.
func keyBlobPCP(publicArea []byte) []byte {
	sized := append(binary.BigEndian.AppendUint16(nil, uint16(len(publicArea))), publicArea...)
	b := []byte("PCPM")
	for _, n := range []int{headerPCPM, platformTPM2, 0, len(sized), 0, 0, 0, 0, 0, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return append(b, sized...)
}
