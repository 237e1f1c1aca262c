package drstest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/judge"
)

// The variants of a proof; see package drs.
const (
	profileEK   = "ek-jwt-v1"     // of an attestation key, for a token
	profileDK   = "dk-activate"   // of the device key, for a token
	profileJoin = "challenge-401" // of either, during a join
)

// Limits of challenges.
const (
	challengeLife   = 300 * time.Second // how long a challenge can be answered
	challengeLimit  = 4096              // of all open challenges
	challengesPerEK = 32                // of open challenges for one endorsement key
)

// Object attributes (TCG TPM 2.0 Library Part 2, TPMA_OBJECT), and those that keys must
// have.
const (
	attrFixedTPM            = 1 << 1
	attrFixedParent         = 1 << 4
	attrSensitiveDataOrigin = 1 << 5
	attrRestricted          = 1 << 16
	attrDecrypt             = 1 << 17
	attrSign                = 1 << 18

	attrInside = attrFixedTPM | attrFixedParent | attrSensitiveDataOrigin
)

// oidAIK is the extended key usage of attestation keys (tcg-kp-AIKCertificate).
var oidAIK = []int{2, 23, 133, 8, 3}

// A challenge is a challenge that the server issued.
type challenge struct {
	profile     string
	ek          [32]byte // hash of the endorsement key
	ekPublic    crypto.PublicKey
	ekCert      *x509.Certificate // of the endorsement key; nil if certificates are not checked
	secret      []byte            // what the TPM must decrypt
	serverNonce []byte
	clientNonce []byte
	name        []byte           // TPM name of the key to prove
	aikArea     []byte           // public area of that key, if it is an attestation key
	device      crypto.PublicKey // that key, if it is a device key; nil for an attestation key
	audience    string           // of the assertion
	expires     time.Time
}

type challengeRequest struct {
	Profile             string
	EkPublic            []byte
	EkCertificate       []byte
	EkCertificateChain  [][]byte
	AikPublic           []byte
	DkPublic            []byte
	AikCertificate      []byte
	AikCertificateChain [][]byte
	ClientNonce         []byte
}

// noProof returns the error for a request for a challenge that is refused.
func noProof(subcode, format string, args ...any) error {
	return &refused{status: http.StatusForbidden, code: "AuthorizationError", subcode: subcode, reason: fmt.Errorf(format, args...)}
}

// serveChallenge makes a credential that only a TPM with both keys can decrypt. An
// endorsement key that is not in the directory gets one, too, so that the answer does not
// tell which keys are known.
func (s *Server) serveChallenge(w http.ResponseWriter, r *http.Request) error {
	if v := r.URL.Query().Get("api-version"); v != "1.0" {
		return badRequest("api-version %q", v)
	}
	var req challengeRequest
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	if req.Profile != profileEK && req.Profile != profileDK {
		return badRequest("profile %q", req.Profile)
	}
	token := s.base(r) + "/" + s.tenantID() + "/oauth2/token"
	answer, err := s.challenge(r.Context(), &req, token)
	if err != nil {
		return err
	}
	answer["TokenEndpoint"] = token
	reply(w, http.StatusOK, answer)
	return nil
}

// challenge makes a challenge and returns the answer of the service. audience is that of the
// assertion.
func (s *Server) challenge(ctx context.Context, req *challengeRequest, audience string) (map[string]any, error) {
	if n := len(req.ClientNonce); n < 16 || n > 32 {
		return nil, badRequest("client nonce has %d bytes", n)
	}
	ekArea, err := unsized(req.EkPublic)
	if err != nil {
		return nil, badRequest("endorsement key: %w", err)
	}
	ch := &challenge{profile: req.Profile, clientNonce: req.ClientNonce, audience: audience, secret: random(32), serverNonce: random(32)}
	if err := s.checkEK(ctx, ch, req, ekArea); err != nil {
		return nil, err
	}
	if err := s.checkBeside(ch, req); err != nil {
		return nil, err
	}
	credential, err := attest.MakeCredential(ekArea, ch.name, ch.secret)
	if err != nil {
		return nil, badRequest("endorsement key: %w", err)
	}
	id, err := s.keepChallenge(ch)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"ChallengeId": id, "CredentialBlob": sized(credential.Blob), "EncryptedSecret": sized(credential.EncryptedSecret),
		"ServerNonce": ch.serverNonce, "ExpiresIn": int(challengeLife / time.Second), "Audience": audience,
	}, nil
}

// checkBeside checks the key to prove, which is an attestation key or, without one, a device
// key, and sets its name in ch.
func (s *Server) checkBeside(ch *challenge, req *challengeRequest) error {
	given := req.AikPublic
	device := req.Profile == profileDK || req.Profile == profileJoin && len(given) == 0
	if device {
		given = req.DkPublic
	}
	area, err := unsized(given)
	if err != nil {
		return badRequest("key to prove: %w", err)
	}
	if device {
		ch.device, err = checkDKArea(area)
	} else {
		ch.aikArea, err = area, s.checkNewAIK(req, area)
	}
	if err != nil {
		return err
	}
	if ch.name, err = attest.Name(area); err != nil {
		return noProof("tpm_aik_attributes", "key to prove: %w", err)
	}
	return nil
}

// checkDKArea checks that a public area is that of a device key that was made in its TPM and
// cannot leave it. It returns the key.
func checkDKArea(area []byte) (crypto.PublicKey, error) {
	attributes, err := attest.Attributes(area)
	if err != nil {
		return nil, badRequest("device key: %w", err)
	}
	pub, err := attest.PublicKey(area)
	if err != nil {
		return nil, badRequest("device key: %w", err)
	}
	rsaKey, isRSA := pub.(*rsa.PublicKey)
	ecKey, isEC := pub.(*ecdsa.PublicKey)
	if isRSA && rsaKey.N.BitLen() != 2048 || isEC && ecKey.Curve != elliptic.P256() || !isRSA && !isEC {
		return nil, badRequest("device key: it is neither an RSA key of 2048 bits nor a key on P-256")
	}
	if attributes&attrInside != attrInside || attributes&attrSign == 0 || attributes&attrRestricted != 0 {
		return nil, noProof("tpm_dk_attributes", "device key: attributes 0x%08X", attributes)
	}
	return pub, nil
}

// checkEK checks an endorsement key and, if EKRoots is set, its certificate, and sets both in
// ch.
func (s *Server) checkEK(ctx context.Context, ch *challenge, req *challengeRequest, area []byte) error {
	var err error
	if ch.ekPublic, err = attest.PublicKey(area); err != nil {
		return badRequest("endorsement key: %w", err)
	}
	if ch.ek, err = keyHash(ch.ekPublic); err != nil {
		return badRequest("endorsement key: %w", err)
	}
	if s.EKRoots == nil {
		return nil
	}
	cert, err := ekcert.Parse(req.EkCertificate)
	if err != nil {
		return noProof("tpm_ek_untrusted", "endorsement key: %w", err)
	}
	chain, err := parseChain(cert.Raw, req.EkCertificateChain)
	if err != nil {
		return noProof("tpm_ek_untrusted", "endorsement key: %w", err)
	}
	client := &ekcert.Client{Roots: s.EKRoots, Intermediates: pool(chain[1:]), Now: s.Now}
	if _, err := client.Verify(ctx, cert, ch.ekPublic); err != nil {
		return noProof("tpm_ek_untrusted", "%w", err)
	}
	ch.ekCert = cert.Certificate
	return nil
}

// checkNewAIK checks an attestation key before a credential is made for its name. The name
// covers the attributes, so that only a TPM with such a key can decrypt the credential.
func (s *Server) checkNewAIK(req *challengeRequest, area []byte) error {
	pub, err := checkAIKArea(area)
	if err != nil {
		return noProof("tpm_aik_attributes", "attestation key: %w", err)
	}
	if s.AIKRoots == nil {
		return nil
	}
	cert, err := s.checkAIKChain(req.AikCertificate, req.AikCertificateChain)
	if err != nil {
		return noProof("tpm_aik_untrusted", "attestation key: %w", err)
	}
	if !sameKey(pub, cert.PublicKey) {
		return noProof("tpm_aik_untrusted", "attestation key: certificate is for another key")
	}
	return nil
}

// checkAIKArea checks that a public area is that of a key that signs only what its TPM made
// and cannot leave it. It returns the key.
func checkAIKArea(area []byte) (crypto.PublicKey, error) {
	pub, err := judge.AIK(area)
	if err != nil {
		return nil, err
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 {
			return pub, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return pub, nil
		}
	}
	return nil, errors.New("it is neither an RSA key of 2048 bits or more nor a key on P-256 or P-384")
}

// checkAIKChain checks the certificate of an attestation key.
func (s *Server) checkAIKChain(leaf []byte, rest [][]byte) (*x509.Certificate, error) {
	if len(leaf) == 0 {
		return nil, errors.New("no certificate")
	}
	chain, err := parseChain(leaf, rest)
	if err != nil {
		return nil, err
	}
	cert := chain[0]
	if !slices.ContainsFunc(cert.UnknownExtKeyUsage, func(id asn1ID) bool { return id.Equal(oidAIK) }) {
		return nil, errors.New("certificate is not for an attestation key")
	}
	if cert.IsCA {
		return nil, errors.New("certificate is that of a CA")
	}
	// The critical subject alternative name has only the maker and model of the TPM,
	// which crypto/x509 does not read.
	known := *cert
	known.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(cert.UnhandledCriticalExtensions), func(id asn1ID) bool { return id.Equal(asn1ID{2, 5, 29, 17}) })
	_, err = known.Verify(x509.VerifyOptions{Roots: s.AIKRoots, Intermediates: pool(chain[1:]), CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return cert, err
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

func random(n int) []byte {
	b := make([]byte, n)
	// crypto/rand.Read does not fail: it ends the program first.
	_, _ = rand.Read(b)
	return b
}

// sized returns a TPM structure with its size before it, as in TPM2B_ types.
func sized(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// unsized removes the size of a TPM structure.
func unsized(b []byte) ([]byte, error) {
	if len(b) <= 2 || int(binary.BigEndian.Uint16(b)) != len(b)-2 {
		return nil, fmt.Errorf("its size prefix does not match its %d bytes", len(b))
	}
	return b[2:], nil
}
