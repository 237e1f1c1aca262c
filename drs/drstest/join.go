package drstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // certificates are named by SHA-1
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// repeatLife is how long a join can be repeated.
const repeatLife = 10 * time.Minute

// Subcodes of refused joins.
const (
	subTicket      = "MsaTicketTpmValidationFailed"
	subKeyMismatch = "DeviceTokenKeyMismatch"
	subAIK         = "AikValidationFailed"
	subAttestation = "AttestationFailed"
)

// noJoin returns the error for a join that is refused.
func noJoin(subcode, format string, args ...any) error {
	return &refused{status: http.StatusForbidden, code: "AuthorizationError", subcode: subcode, reason: fmt.Errorf(format, args...)}
}

type joinRequest struct {
	CertificateRequest struct {
		Type, KeyType, KeySecurity string
		Data                       []byte
	}
	TransportKey        []byte
	DeviceKeys          []deviceKeyData
	TargetDomain        string
	DeviceType          string
	OSVersion           string
	DeviceDisplayName   string
	JoinType            int
	AikCertificate      []byte
	AikCertificateChain [][]byte
	AttestationData     []byte
	TpmProof            *challengeRequest
	Attributes          attributes

	PreAuthorizedJoinChallenge string
}

// attributes are the attributes of a join. Some clients send booleans instead of strings.
type attributes map[string]string

// UnmarshalJSON implements [json.Unmarshaler]. The error is that of package json, or of no
// exported type if a value is neither a string nor a boolean.
func (a *attributes) UnmarshalJSON(b []byte) error {
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*a = make(attributes)
	for name, value := range all {
		switch v := value.(type) {
		case string:
			(*a)[name] = v
		case bool:
			(*a)[name] = strconv.FormatBool(v)
		default:
			return fmt.Errorf("attribute %q is a %T", name, value)
		}
	}
	return nil
}

// is reports whether an attribute is true.
func (a attributes) is(name string) bool { return strings.EqualFold(a[name], "true") }

// A join is a join during its checks.
type join struct {
	joinRequest
	challenge string           // identifier of the challenge that authorized it beforehand, or ""
	deviceID  string           // device that its authorization names, or ""
	token     *ticketClaims    // device token; nil for a join with a user's token alone
	user      *User            // who joins the device; nil without a user
	device    crypto.PublicKey // device key, an *rsa.PublicKey or *ecdsa.PublicKey
	spki      []byte           // device key as SubjectPublicKeyInfo
	version   string           // API version
	transport *rsa.PublicKey   // transport key; nil with a storage key
	storage   *ecdsa.PublicKey // storage key; nil with a transport key
	csrNonce  string           // nonce in the certificate request, or ""
	drsNonce  string           // nonce of the attestation if it is from the nonce endpoint, or ""
	level     int              // Object.AttestationLevel
	aikName   string           // TPM name of the attestation key, in hexadecimal, or ""
}

// joined is a completed join, in case that it is repeated.
type joined struct {
	request [32]byte // join.hash
	cert    *x509.Certificate
	at      time.Time
}

// serveJoin joins a device. op is "Join" or "Precreate".
func (s *Server) serveJoin(w http.ResponseWriter, r *http.Request, op string) error {
	version := r.URL.Query().Get("api-version")
	if version != "1.0" && version != "2.0" && version != deviceKeysVersion {
		return badRequest("api-version %q", version)
	}
	j := &join{version: version}
	if err := readJSON(w, r, &j.joinRequest); err != nil {
		return err
	}
	switch before := j.PreAuthorizedJoinChallenge != ""; {
	case before && op == "Join":
		return badRequest("PreAuthorizedJoinChallenge is only for the precreate endpoint")
	case !before && op == "Precreate":
		return badRequest("PreAuthorizedJoinChallenge is missing")
	}
	authorization := r.Header.Get("Authorization")
	if authorization == "" && j.TpmProof != nil && op == "Join" && !s.Public {
		return s.serveProof(w, r, j)
	}
	var err error
	if op == "Precreate" {
		err = s.checkPreAuthorized(j)
	} else {
		err = s.checkToken(j, authorization)
	}
	if err != nil {
		return err
	}
	cert, err := s.join(j)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if version == "1.0" {
		status = http.StatusOK
	}
	return s.replyJoin(w, status, j, cert)
}

// join makes all checks of a join except that of its authorization, and then changes the
// directory.
func (s *Server) join(j *join) (*x509.Certificate, error) {
	if err := j.read(); err != nil {
		return nil, err
	}
	if cert, err := s.repeated(j); cert != nil || err != nil {
		return cert, err
	}
	if err := j.checkBinding(); err != nil {
		return nil, err
	}
	if s.Public && len(j.AttestationData) > 0 && j.AttestationData[0] == '{' {
		return nil, badRequest("the public service does not know this form of an attestation")
	}
	if len(j.AttestationData) > 0 {
		if err := s.checkAttestation(j); err != nil {
			return nil, err
		}
	} else if j.user == nil && j.token != nil && j.token.Confirm["jkt"] == "" && j.token.Source == "" {
		return nil, noJoin(subAttestation, "the token is not bound to a device key, and the join has no attestation")
	}
	return s.commit(j)
}

// read reads and checks those parts of a join that do not depend on the directory.
func (j *join) read() error {
	// Only a user can register a device, or join one by the other number.
	if j.JoinType != int(drs.JoinTenant) && (j.user == nil || j.JoinType != int(drs.Register) && j.JoinType != int(drs.JoinTenantAlt)) {
		return badRequest("join type %d", j.JoinType)
	}
	if j.CertificateRequest.Type != "pkcs10" {
		return badRequest("certificate request of type %q", j.CertificateRequest.Type)
	}
	csr, err := readCSR(j.CertificateRequest.Data)
	if err != nil {
		return badRequest("certificate request: %w", err)
	}
	if csr.name != requestName {
		return badRequest("certificate request: subject %q", csr.name)
	}
	kind, security := j.CertificateRequest.KeyType, j.CertificateRequest.KeySecurity
	if key, ok := csr.key.(*rsa.PublicKey); ok {
		if n := key.N.BitLen(); n != 2048 {
			return badRequest("certificate request: key has %d bits", n)
		}
		if kind != "RSA" && (kind != "" || security != "") {
			return badRequest("certificate request: its key is an RSA key, but KeyType is %q", kind)
		}
	} else if kind != "ECC" || security == "" || j.version != deviceKeysVersion {
		return badRequest("certificate request: its key is on P-256, but KeyType is %q, KeySecurity is %q, and the API version is %s", kind, security, j.version)
	}
	j.device, j.spki, j.csrNonce = csr.key, csr.spki, csr.nonce
	return j.readKeys()
}

// checkBinding checks that a token which names keys names those of the join.
func (j *join) checkBinding() error {
	if j.token == nil {
		return nil
	}
	print, err := thumbprint(j.device)
	if err != nil {
		return err
	}
	if jkt := j.token.Confirm["jkt"]; jkt != "" && jkt != print {
		return noJoin(subKeyMismatch, "the token is for another device key")
	}
	sum := sha256.Sum256(j.keyData())
	if tk := j.token.TransportKey; tk != "" && tk != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return noJoin(subKeyMismatch, "the token is for another transport key")
	}
	return nil
}

// thumbprint returns the JWK thumbprint of a device key (RFC 7638) with SHA-256.
func thumbprint(pub crypto.PublicKey) (string, error) {
	e := base64.RawURLEncoding.EncodeToString
	var text string
	switch key := pub.(type) {
	case *rsa.PublicKey:
		text = `{"e":"` + e(big.NewInt(int64(key.E)).Bytes()) + `","kty":"RSA","n":"` + e(key.N.Bytes()) + `"}`
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return "", err
		}
		half := len(point) / 2
		text = `{"crv":"P-256","kty":"EC","x":"` + e(point[1:1+half]) + `","y":"` + e(point[1+half:]) + `"}`
	default:
		return "", fmt.Errorf("a %T is not a device key", pub)
	}
	sum := sha256.Sum256([]byte(text))
	return e(sum[:]), nil
}

// repeated returns the certificate of the join that j repeats, or nil. It fails if the token
// or challenge of j was used for another join.
func (s *Server) repeated(j *join) (*x509.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repeatedLocked(j)
}

func (s *Server) repeatedLocked(j *join) (*x509.Certificate, error) {
	if j.token == nil {
		if done, ok := s.joins.Get(j.hash()); ok && s.stands(done) {
			return done.cert, nil
		}
		if j.challenge != "" && !s.preAuthorized.valid(j.challenge, s.now()) {
			return nil, noJoin(subChallenge, "challenge: it was used or has expired")
		}
		return nil, nil
	}
	t, ok := s.tickets.Get(j.token.ID)
	switch {
	case !ok:
		return nil, noJoin(subTicket, "device token: it is not known")
	case t.joined == nil, j.token.Source != "" && t.joined.request != j.hash():
		return nil, nil
	case t.joined.request != j.hash():
		return nil, noJoin(subTicket, "device token: it was used for other keys")
	case !s.stands(t.joined):
		return nil, noJoin(subTicket, "device token: it was used")
	}
	return t.joined.cert, nil
}

// stands reports whether a join can be repeated: it is recent, and the device has not left
// since. The caller locks.
func (s *Server) stands(j *joined) bool {
	return !s.now().After(j.at.Add(repeatLife)) && s.byCertificate(j.cert) != nil
}

// hash returns a hash of what identifies a join: the device key and the nonce in the
// certificate request, whose signature may differ each time; the key to which the directory
// encrypts, the user, and the authorization beforehand. A join with the same hash is a
// repetition.
func (j *join) hash() [32]byte {
	csr, tk := sha256.Sum256(append(j.spki[:len(j.spki):len(j.spki)], j.csrNonce...)), sha256.Sum256(j.keyData())
	text := append(csr[:], tk[:]...)
	if j.user != nil {
		text = append(text, strings.ToLower(j.user.UPN)...)
	}
	return sha256.Sum256(append(text, j.challenge+strings.ToLower(j.deviceID)...))
}

// adminRoles are the directory roles whose members administer joined devices.
var adminRoles = []string{"e06e3596-82c0-4f31-ac5a-439a308e3dc2", "9f06204d-73c1-4d4c-880a-6edb90606fd8"}

// replyJoin answers a successful join.
func (s *Server) replyJoin(w http.ResponseWriter, status int, j *join, cert *x509.Certificate) error {
	thumb := sha1.Sum(cert.Raw) //nolint:gosec // a name, not a proof
	answer := map[string]any{
		"Certificate": map[string]any{"Thumbprint": strings.ToUpper(hex.EncodeToString(thumb[:])), "RawBody": cert.Raw},
		"User":        map[string]string{"Upn": j.upn()},
	}
	if j.Attributes.is("ReturnClientSid") {
		var members []string
		for _, role := range adminRoles {
			member, err := sid(role)
			if err != nil {
				return err
			}
			members = append(members, member)
		}
		answer["MembershipChanges"] = []any{map[string]any{"LocalSID": "S-1-5-32-544", "AddSIDs": members}}
	}
	reply(w, status, answer)
	return nil
}

// upn returns the name of the user who joins, or "".
func (j *join) upn() string {
	if j.user == nil {
		return ""
	}
	return j.user.UPN
}
