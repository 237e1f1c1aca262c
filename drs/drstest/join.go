package drstest

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // certificates are named by SHA-1
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// repeatLife is how long a join may be repeated whose answer was lost.
const repeatLife = 10 * time.Minute

// Subcodes of a join that is not granted.
const (
	subTicket      = "MsaTicketTpmValidationFailed"
	subKeyMismatch = "DeviceTokenKeyMismatch"
	subAIK         = "AikValidationFailed"
	subAttestation = "AttestationFailed"
)

// noJoin refuses a join.
func noJoin(subcode, format string, args ...any) error {
	return &refused{status: http.StatusForbidden, code: "AuthorizationError", subcode: subcode, reason: fmt.Errorf(format, args...)}
}

type joinRequest struct {
	CertificateRequest struct {
		Type string
		Data []byte
	}
	TransportKey        []byte
	TargetDomain        string
	DeviceType          string
	OSVersion           string
	DeviceDisplayName   string
	JoinType            int
	AikCertificate      []byte
	AikCertificateChain [][]byte
	AttestationData     []byte
	Attributes          map[string]string
}

// A join is a request in the course of its checks.
type join struct {
	joinRequest
	token     *ticketClaims
	device    *rsa.PublicKey
	transport *rsa.PublicKey
	csrNonce  string // nonce in the certificate request, or ""
	drsNonce  string // nonce of the attestation if it is the service's, or ""
	level     int    // what the attestation proved
}

// joined is the outcome of a join, for one that is repeated.
type joined struct {
	request [32]byte // hash of certificate request and transport key
	cert    *x509.Certificate
	at      time.Time
}

// serveJoin joins a device.
func (s *Server) serveJoin(w http.ResponseWriter, r *http.Request) error {
	version := r.URL.Query().Get("api-version")
	if version != "1.0" && version != "2.0" {
		return badRequest("api-version %q", version)
	}
	j := new(join)
	if err := readJSON(w, r, &j.joinRequest); err != nil {
		return err
	}
	cert, err := s.join(j, r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if version == "1.0" {
		status = http.StatusOK
	}
	return s.replyJoin(w, status, j, cert)
}

// join makes all checks and then changes the directory.
func (s *Server) join(j *join, authorization string) (*x509.Certificate, error) {
	if err := s.checkToken(j, authorization); err != nil {
		return nil, err
	}
	if err := j.read(); err != nil {
		return nil, err
	}
	if cert, err := s.repeated(j); cert != nil || err != nil {
		return cert, err
	}
	if err := j.checkBinding(); err != nil {
		return nil, err
	}
	if len(j.AttestationData) > 0 {
		if err := s.checkAttestation(j); err != nil {
			return nil, err
		}
	} else if j.token.Confirm["jkt"] == "" {
		return nil, noJoin(subAttestation, "the token names no device key, and there is no attestation")
	}
	return s.commit(j)
}

// checkToken checks the token of a join: in the header, and the same in the
// attribute for device tickets.
func (s *Server) checkToken(j *join, authorization string) error {
	text, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return &refused{status: http.StatusUnauthorized, code: "AuthenticationError", subcode: "error_fail", reason: errors.New("no bearer token")}
	}
	key, err := s.signingKey()
	if err != nil {
		return err
	}
	claims := new(ticketClaims)
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(s.now), jwt.WithExpirationRequired(),
		jwt.WithAudience(JoinResource), jwt.WithIssuer(s.Issuer()))
	if _, err := parser.ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil }); err != nil {
		return noJoin(subTicket, "device token: %w", err)
	}
	copied, err := base64.StdEncoding.DecodeString(j.Attributes["MSA-DDID"])
	switch {
	case claims.TenantID != s.tenantID():
		return noJoin(subTicket, "device token: it is of tenant %q", claims.TenantID)
	case claims.Type != "device" || len(claims.Methods) != 1 || claims.Methods[0] != "tpm_ek" || claims.ID == "" || claims.ZTDID == "":
		return noJoin(subTicket, "device token: it is not of a device that proved its TPM")
	case err != nil || subtle.ConstantTimeCompare(copied, []byte(text)) != 1:
		return noJoin(subTicket, "device token: attribute MSA-DDID is not the same")
	}
	j.token = claims
	return nil
}

// checkBinding checks that a token which names keys names those of the join.
func (j *join) checkBinding() error {
	if jkt := j.token.Confirm["jkt"]; jkt != "" && jkt != thumbprint(j.device) {
		return noJoin(subKeyMismatch, "the token is for another device key")
	}
	sum := sha256.Sum256(j.TransportKey)
	if tk := j.token.TransportKey; tk != "" && tk != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return noJoin(subKeyMismatch, "the token is for another transport key")
	}
	return nil
}

// thumbprint is RFC 7638's of an RSA key.
func thumbprint(key *rsa.PublicKey) string {
	e := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256([]byte(`{"e":"` + e(big.NewInt(int64(key.E)).Bytes()) + `","kty":"RSA","n":"` + e(key.N.Bytes()) + `"}`))
	return e(sum[:])
}

// repeated returns the certificate of a join that is the same again.
func (s *Server) repeated(j *join) (*x509.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repeatedLocked(j)
}

func (s *Server) repeatedLocked(j *join) (*x509.Certificate, error) {
	t := s.tickets[j.token.ID]
	switch {
	case t == nil:
		return nil, noJoin(subTicket, "device token: it is not known")
	case t.joined == nil:
		return nil, nil
	case t.joined.request != j.hash():
		return nil, noJoin(subTicket, "device token: it was used for other keys")
	case s.now().After(t.joined.at.Add(repeatLife)):
		return nil, noJoin(subTicket, "device token: it was used")
	}
	return t.joined.cert, nil
}

// hash stands for what makes two joins the same.
func (j *join) hash() [32]byte {
	csr, tk := sha256.Sum256(j.CertificateRequest.Data), sha256.Sum256(j.TransportKey)
	return sha256.Sum256(append(csr[:], tk[:]...))
}

// commit uses token and nonces up, changes the device's object and signs its
// certificate: all of it, or nothing.
func (s *Server) commit(j *join) (*x509.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if cert, err := s.repeatedLocked(j); cert != nil || err != nil {
		return cert, err
	}
	o := s.byZTDID(j.token.ZTDID)
	if o == nil {
		return nil, &refused{status: http.StatusBadRequest, code: "invalid_request", subcode: "error_missing_device", reason: errors.New("the pre-registered device object is gone")}
	}
	for _, nonce := range []string{j.csrNonce, j.drsNonce} {
		if nonce != "" && !s.drsNonces.valid(nonce, now) {
			return nil, noJoin(subAttestation, "nonce is unknown, used or expired")
		}
	}
	cert, err := s.issue(o, j.device)
	if err != nil {
		return nil, err
	}
	s.drsNonces.use(j.csrNonce, now)
	s.drsNonces.use(j.drsNonce, now)
	s.tickets[j.token.ID].joined = &joined{request: j.hash(), cert: cert, at: now}
	o.identify(cert)
	o.Enabled, o.TransportKey, o.AttestationLevel = true, j.transport, j.level
	o.DisplayName, o.OSType, o.OSVersion = j.DeviceDisplayName, j.DeviceType, j.OSVersion
	return cert, nil
}

// adminRoles are the directory roles whose members administer joined devices.
var adminRoles = []string{"e06e3596-82c0-4f31-ac5a-439a308e3dc2", "9f06204d-73c1-4d4c-880a-6edb90606fd8"}

// replyJoin answers a join that is granted.
func (s *Server) replyJoin(w http.ResponseWriter, status int, j *join, cert *x509.Certificate) error {
	thumb := sha1.Sum(cert.Raw) //nolint:gosec // a name, not a proof
	answer := map[string]any{
		"Certificate": map[string]any{"Thumbprint": strings.ToUpper(hex.EncodeToString(thumb[:])), "RawBody": cert.Raw},
		"User":        map[string]string{"Upn": ""},
	}
	if strings.EqualFold(j.Attributes["ReturnClientSid"], "true") {
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
