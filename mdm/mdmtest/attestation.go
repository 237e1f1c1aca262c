package mdmtest

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"github.com/whiteglove/whiteglove/attest"
)

// checkAttestation checks the attestation items: keys and certificate must be
// well formed and belong together, the certificate must be by a known CA, and
// each claim must be the attestation key's statement about the key that it is
// for.
func (s *Server) checkAttestation(i items, key *rsa.PublicKey, directoryID string) error {
	if i.has("AzureAttestationBlob") {
		return badItem("AzureAttestationBlob was not asked for")
	}
	aik, err := publicKey(i.get("AIKPub"))
	if err != nil {
		return badItem("AIKPub: %w", err)
	}
	aad, err := publicKey(i.get("AADPub"))
	if err != nil {
		return badItem("AADPub: %w", err)
	}
	if i.has("AIKCert") {
		cert, err := s.checkAIKCert(i.get("AIKCert"))
		if err != nil {
			return badItem("AIKCert: %w", err)
		}
		if aik != nil && !aik.Equal(cert.PublicKey) {
			return badItem("AIKCert is of another key than AIKPub")
		}
		aik, _ = cert.PublicKey.(*rsa.PublicKey)
	}
	switch {
	case (i.has("AIKAttestationClaim") || i.has("AadAIKAttestationClaim")) && aik == nil:
		return badItem("an attestation claim has neither AIKCert nor AIKPub")
	case i.has("AadAIKAttestationClaim") != (aad != nil):
		return badItem("one of AadAIKAttestationClaim and AADPub is missing")
	case s.RequireAttestation && !i.has("AIKAttestationClaim"):
		return refuse(authorizationFault, "the management key is not attested")
	}
	return s.checkClaims(i, aik, aad, key, directoryID)
}

// checkClaims checks the claims about the management key and about the key of
// the device in the directory.
func (s *Server) checkClaims(i items, aik, aad, key *rsa.PublicKey, directoryID string) error {
	if i.has("AIKAttestationClaim") {
		if err := checkClaim(i.get("AIKAttestationClaim"), aik, key); err != nil {
			return badItem("AIKAttestationClaim: %w", err)
		}
	}
	if aad == nil {
		return nil
	}
	if err := checkClaim(i.get("AadAIKAttestationClaim"), aik, aad); err != nil {
		return badItem("AadAIKAttestationClaim: %w", err)
	}
	if s.DeviceKey != nil && !aad.Equal(s.DeviceKey(directoryID)) {
		return badItem("AADPub is not the key of device %s in the directory", directoryID)
	}
	return nil
}

// Lengths of the headers of a claim and of the key blob in it.
const (
	headerKADS = 24
	headerPCPM = 52
)

// checkClaim checks a claim in the form of [MS-WCCE] section 2.2.2.5 (KADS): it
// must be the statement of aik that key cannot leave its TPM.
func checkClaim(text string, aik, key *rsa.PublicKey) error {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	attested, rest, err := readClaim(b)
	if err != nil {
		return err
	}
	area, err := readKeyBlob(rest)
	if err != nil {
		return err
	}
	pub, err := attest.PublicKey(area)
	if err != nil {
		return err
	}
	if !key.Equal(pub) {
		return errors.New("it is about another key")
	}
	attested.PublicArea = area
	return attested.Verify(aik, nil)
}

// readClaim returns the statement in a claim and the key blob that follows.
func readClaim(b []byte) (*attest.Statement, []byte, error) {
	if len(b) < headerKADS || string(b[:4]) != "KADS" {
		return nil, nil, errors.New("no key attestation (KADS)")
	}
	word := func(n int) int { return int(binary.LittleEndian.Uint32(b[4*n:])) }
	said, signed, blob := word(3), word(4), word(5)
	if word(1) != 2 || word(2) != headerKADS || said > len(b) || signed > len(b) || blob > len(b) || headerKADS+said+signed+blob != len(b) {
		return nil, nil, errors.New("key attestation of wrong lengths")
	}
	body := b[headerKADS:]
	signature := body[said : said+signed]
	if signed%128 == 0 { // RSA alone: TPMT_SIGNATURE is RSASSA, SHA-256, then this
		signature = append(binary.BigEndian.AppendUint16([]byte{0, 0x14, 0, 0x0B}, uint16(signed)), signature...)
	}
	return &attest.Statement{Attest: body[:said], Signature: signature}, body[said+signed:], nil
}

// readKeyBlob returns the TPMT_PUBLIC in a key blob of the Windows TPM
// provider.
func readKeyBlob(b []byte) ([]byte, error) {
	if len(b) < headerPCPM || string(b[:4]) != "PCPM" {
		return nil, errors.New("no key blob (PCPM)")
	}
	header, public := int(binary.LittleEndian.Uint32(b[4:])), int(binary.LittleEndian.Uint32(b[16:]))
	if header < headerPCPM || header > len(b) || public < 2 || public > len(b)-header {
		return nil, errors.New("key blob of wrong lengths")
	}
	area := b[header : header+public]
	if int(binary.BigEndian.Uint16(area)) != public-2 {
		return nil, errors.New("key blob with a public part of wrong length")
	}
	return area[2:], nil
}

// checkAIKCert returns the certificate of an attestation key, DER in base64, if
// it is by a known CA.
func (s *Server) checkAIKCert(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		return nil, errors.New("not of an RSA key")
	}
	if s.AIKRoots == nil {
		return cert, nil
	}
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: s.AIKRoots, CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return cert, err
}

// publicKey reads a BCRYPT_RSAPUBLIC_BLOB in base64. It returns nil for "".
func publicKey(text string) (*rsa.PublicKey, error) {
	if text == "" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	const header = 24
	if len(b) < header || string(b[:4]) != "RSA1" {
		return nil, errors.New("no BCRYPT_RSAPUBLIC_BLOB")
	}
	field := func(n int) int { return int(binary.LittleEndian.Uint32(b[4*n:])) }
	bits, exp, mod := field(1), field(2), field(3)
	if exp < 1 || exp > 4 || mod < 128 || mod > 1024 || bits != 8*mod || field(4) != 0 || field(5) != 0 || len(b) != header+exp+mod {
		return nil, fmt.Errorf("BCRYPT_RSAPUBLIC_BLOB of wrong lengths")
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(b[header+exp:])}
	for _, v := range b[header : header+exp] {
		key.E = key.E<<8 | int(v)
	}
	return key, nil
}
