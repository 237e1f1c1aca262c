package mdmtest

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// nonceTime is how long the nonce of a policy is good.
const nonceTime = 10 * time.Minute

// relyingParty is the name of the server in reports.
func (s *Server) relyingParty() string { return cmp.Or(s.BaseURL, "https://mdm.test") }

// newNonce returns a nonce for one report, in base64.
func (s *Server) newNonce() string {
	random := make([]byte, 24)
	rand.Read(random)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	end := now.Add(nonceTime)
	s.nonces.Put(base64.RawURLEncoding.EncodeToString(random), end, now, end)
	return base64.StdEncoding.EncodeToString(random)
}

// A report is what the server reads of a report of Azure Attestation.
type report struct {
	jwt.RegisteredClaims
	Type         string     `json:"x-ms-attestation-type"`
	RelyingParty string     `json:"rp_id"`
	RelyingData  string     `json:"rp_data"`
	Key          azureKey   `json:"x-ms-tpm-request-key"`
	Others       []azureKey `json:"x-ms-tpm-other-keys"`
}

// checkBlob checks the report in a request: it must be by s.Azure, for this server
// and a nonce of its policy, and about the management key. Other keys in it must be
// the device's in the directory, if s.DeviceKey tells that.
func (s *Server) checkBlob(i items, key *rsa.PublicKey, directoryID string) error {
	const name = "AzureAttestationBlob"
	if s.Azure == nil {
		return badItem("%s was not asked for", name)
	}
	for _, other := range []string{"AIKAttestationClaim", "AIKPub", "AIKCert", "AadAIKAttestationClaim", "AADPub"} {
		if i.has(other) {
			return badItem("%s excludes %s", name, other)
		}
	}
	text, err := base64.StdEncoding.DecodeString(i.get(name))
	if err != nil {
		return badItem("%s: %w", name, err)
	}
	signer, err := s.Azure.signingKey()
	if err != nil {
		return err
	}
	r := new(report)
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithIssuer(s.Azure.BaseURL),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(s.now))
	if _, err := parser.ParseWithClaims(string(text), r, func(*jwt.Token) (any, error) { return &signer.PublicKey, nil }); err != nil {
		return badItem("%s: %w", name, err)
	}
	subject, err := r.Key.JWK.key()
	switch {
	case err != nil:
		return badItem("%s: %w", name, err)
	case !subject.Equal(key):
		return badItem("%s is about another key", name)
	case r.Type != "tpm" || r.RelyingParty != s.relyingParty():
		return badItem("%s is for %.100q, of type %.20q", name, r.RelyingParty, r.Type)
	}
	for _, k := range r.Others {
		other, err := k.JWK.key()
		if err != nil {
			return badItem("%s: %w", name, err)
		}
		if s.DeviceKey != nil && !other.Equal(s.DeviceKey(directoryID)) {
			return badItem("%s: another key is not that of device %s in the directory", name, directoryID)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	end, known := s.nonces.Take(r.RelyingData)
	if !known || s.now().After(end) {
		return badItem("%s is for a nonce that is not known, was used before or has ended", name)
	}
	return nil
}
