package mdmtest

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// checkAttestation checks the attestation items: keys and certificate must be
// well formed and belong together, the server must have a reason to believe the
// attestation key, and each claim must be the attestation key's statement about
// the key that it is for.
func (s *Server) checkAttestation(i items, key *rsa.PublicKey, directoryID string) error {
	if i.has("AzureAttestationBlob") {
		return s.checkBlob(i, key, directoryID)
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
	if err := s.believe(aik, i.has("AIKCert")); err != nil {
		return err
	}
	if err := s.checkClaims(i, aik, aad, key, directoryID); err != nil {
		return err
	}
	return s.fresh(i)
}

// believe returns an error if the server has no reason to take an attestation
// key, which may be nil, for a TPM's: neither a certificate, which has been
// checked, nor s.KnownAIK.
func (s *Server) believe(aik *rsa.PublicKey, certified bool) error {
	switch {
	case aik == nil:
		return nil
	case s.KnownAIK != nil:
		if !s.KnownAIK(aik) {
			return badItem("the attestation key is not known")
		}
	case s.AIKRoots != nil && !certified:
		return badItem("AIKCert is missing: nothing tells that AIKPub is a key of a TPM")
	}
	return nil
}

// fresh returns an error if s.ClaimsOnce is set and a claim was accepted before.
// It notes the claims.
func (s *Server) fresh(i items) error {
	if !s.ClaimsOnce {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var sums [][32]byte
	for _, name := range []string{"AIKAttestationClaim", "AadAIKAttestationClaim"} {
		if !i.has(name) {
			continue
		}
		statement, _, err := parseClaim(i.get(name))
		if err != nil {
			return badItem("%s: %w", name, err)
		}
		sum := sha256.Sum256(statement.Attest)
		if s.claims[sum] {
			return badItem("%s was used before", name)
		}
		sums = append(sums, sum)
	}
	for _, sum := range sums {
		s.claims[sum] = true
	}
	return nil
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
	attested, rest, err := parseClaim(text)
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

// parseClaim is readClaim of a text in base64.
func parseClaim(text string) (*attest.Statement, []byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, nil, err
	}
	return readClaim(b)
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
// it is one for attestation keys and by a known CA.
func (s *Server) checkAIKCert(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return checkAIK(der, s.AIKRoots, s.AIKIssuers, s.now())
}

// checkAIK returns the certificate of an attestation key, if it is one for
// attestation keys and by one of roots, or one of the issuers below them. If roots
// is nil, any will do.
func checkAIK(der []byte, roots *x509.CertPool, issuers func() []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		return nil, errors.New("not of an RSA key")
	}
	if err := cms.CheckKey(cert.PublicKey); err != nil {
		return nil, err
	}
	if roots == nil {
		return cert, nil
	}
	if cert.IsCA || !slices.ContainsFunc(cert.UnknownExtKeyUsage, wcce.OIDKeyPurposeAIK.Equal) {
		return nil, errors.New("not for attestation keys: it lacks the extended key usage 2.23.133.8.3, or is of a CA")
	}
	// Such certificates have no subject but a critical alternative name with the
	// TPM's maker and model, which crypto/x509 does not read.
	own := *cert
	own.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(cert.UnhandledCriticalExtensions), wcce.OIDSubjectAltName.Equal)
	between := x509.NewCertPool()
	if issuers != nil {
		for _, ca := range issuers() {
			between.AddCert(ca)
		}
	}
	_, err = own.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
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
