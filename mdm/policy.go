package mdm

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// Defaults of a certificate request where the policy says nothing.
const (
	defaultKeyLength = 2048
	policySchema     = "3"
	maxKeyLength     = 16384 // bits; a policy that asks for more is nonsense
)

// A Policy is what the server wants of a certificate request ([MS-XCEP]). A
// caller may change it before it is used.
type Policy struct {
	Name             string        // of the policy; may be empty
	MinimalKeyLength int           // bits; 2048 if the server named none
	KeyAlgorithm     string        // OID; "" is RSA
	Hash             crypto.Hash   // to sign with: SHA-256 or longer, also where the server names SHA-1
	Providers        []string      // Windows key providers, the preferred first; may be empty
	Validity         time.Duration // of the certificate; 0 if the server named none
	Renewal          time.Duration // before its end; 0 if the server named none

	// AttestationFailure is what to do if the key cannot be attested:
	// "FailOnError", "IgnoreOnError", "RetryOnError", or "" if the server does
	// not say.
	AttestationFailure string
}

// defaultPolicy is that of a server without one.
func defaultPolicy() *Policy {
	return &Policy{MinimalKeyLength: defaultKeyLength, Hash: crypto.SHA256}
}

// Policy asks for the certificate policy. If d names no policy service, or the
// server answers with an empty policy, it is the default: RSA of 2048 bits,
// SHA-256.
func (c *Client) Policy(ctx context.Context, d *Discovery, t Token) (*Policy, error) {
	if d == nil {
		return nil, &Error{Op: opPolicy, Err: errors.New("no discovery")}
	}
	if d.PolicyURL == "" {
		return defaultPolicy(), nil
	}
	if t == "" {
		return nil, &Error{Op: opPolicy, Err: errors.New("no token")}
	}
	const body = `<GetPolicies xmlns="` + nsPolicy + `"><client><lastUpdate xsi:nil="true" xmlns:xsi="` + nsInstance +
		`"/><preferredLanguage xsi:nil="true" xmlns:xsi="` + nsInstance + `"/></client><requestFilter xsi:nil="true" xmlns:xsi="` +
		nsInstance + `"/></GetPolicies>`
	m := &message{action: actionPolicy, token: t, body: body}
	answer, err := c.call(ctx, opPolicy, d.PolicyURL, m, "GetPoliciesResponse")
	if err != nil {
		return nil, err
	}
	p, err := readPolicy(answer)
	if err != nil {
		return nil, &Error{Op: opPolicy, URL: wire.Redact(d.PolicyURL), HTTPStatus: http.StatusOK, Err: err}
	}
	return p, nil
}

// readPolicy reads a GetPoliciesResponse: its first policy.
func readPolicy(e *element) (*Policy, error) {
	p := defaultPolicy()
	attributes := e.at("response", "policies", "policy", "attributes")
	if attributes == nil {
		return p, nil
	}
	if s := attributes.value("policySchema"); s != "" && s != policySchema {
		return nil, fmt.Errorf("the policy has schema %.20q, not %s", s, policySchema)
	}
	if strings.EqualFold(attributes.value("permission", "enroll"), "false") {
		return nil, withCode(codeAuthorization, "the policy does not permit enrollment")
	}
	key := attributes.at("privateKeyAttributes")
	p.Name = attributes.value("commonName")
	p.Providers = providers(key)
	p.AttestationFailure = or(attributes.value("attestation", "attestationFailureBehavior"), key.value("AttestationFailureBehavior"))
	oids := readOIDs(e)
	p.KeyAlgorithm = oids[key.value("algorithmOIDReference")]
	p.Hash = hashOf(oids[attributes.value("hashAlgorithmOIDReference")])
	return p, p.readNumbers(attributes, key)
}

func (p *Policy) readNumbers(attributes, key *element) error {
	if s := key.value("minimalKeyLength"); s != "" {
		bits, err := strconv.Atoi(s)
		if err != nil || bits < 0 || bits > maxKeyLength {
			return fmt.Errorf("the policy's key length is %.40q", s)
		}
		p.MinimalKeyLength = max(bits, defaultKeyLength)
	}
	for _, f := range []struct {
		name string
		to   *time.Duration
	}{
		{"validityPeriodSeconds", &p.Validity},
		{"renewalPeriodSeconds", &p.Renewal},
	} {
		s := attributes.value("certificateValidity", f.name)
		if s == "" {
			continue
		}
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return fmt.Errorf("the policy's %s is %.40q", f.name, s)
		}
		*f.to = time.Duration(n) * time.Second
	}
	return nil
}

// providers reads the list of providers, which some servers do not wrap.
func providers(key *element) []string {
	var names []string
	for _, p := range append(key.at("cryptoProviders").all("provider"), key.all("provider")...) {
		if p.text != "" {
			names = append(names, p.text)
		}
	}
	return names
}

// readOIDs returns the OIDs of an answer by their references. Servers get
// their groups and names wrong, so only the value counts.
func readOIDs(e *element) map[string]string {
	oids := make(map[string]string)
	for _, list := range e.all("oIDs") {
		for _, o := range list.all("oID") {
			if ref := o.value("oIDReferenceID"); ref != "" {
				oids[ref] = o.value("value")
			}
		}
	}
	return oids
}

// hashOf returns the hash of an OID. SHA-1 and what is unknown is SHA-256.
func hashOf(oid string) crypto.Hash {
	switch oid {
	case "2.16.840.1.101.3.4.2.2", "1.2.840.113549.1.1.12":
		return crypto.SHA384
	case "2.16.840.1.101.3.4.2.3", "1.2.840.113549.1.1.13":
		return crypto.SHA512
	}
	return crypto.SHA256
}
