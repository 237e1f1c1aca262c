package mdm

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
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
	// not say. With the first, [Client.Enroll] refuses a request without
	// attestation.
	AttestationFailure string
	AttestationTimeout time.Duration     // for the attestation; 0 if the server named none
	Azure              *AzureAttestation // nil if the server does not ask for it
}

// An AzureAttestation is what a server of version 6.0 or later wants to be
// asked of Azure Attestation. The answer goes into the item [ItemAzureBlob];
// this package does not fetch it.
type AzureAttestation struct{ Nonce, RelyingPartyID, Endpoint string }

// Values in policies.
const (
	providerTPM = "Microsoft Platform Crypto Provider"
	failOnError = "FailOnError"
)

// TPM reports whether the policy allows keys of a TPM, and whether it allows no
// others.
func (p *Policy) TPM() (allowed, required bool) {
	if len(p.Providers) == 0 {
		return true, false
	}
	allowed = slices.ContainsFunc(p.Providers, func(s string) bool { return strings.EqualFold(s, providerTPM) })
	required = allowed && !slices.ContainsFunc(p.Providers, func(s string) bool { return !strings.EqualFold(s, providerTPM) })
	return allowed, required
}

// defaultPolicy is that of a server without one.
func defaultPolicy() *Policy {
	return &Policy{MinimalKeyLength: defaultKeyLength, Hash: crypto.SHA256}
}

// Policy asks for the certificate policy. If d names no policy service, or the
// server answers with an empty policy, it is the default: RSA of 2048 bits,
// SHA-256.
func (c *Client) Policy(ctx context.Context, d *Discovery, with Credential) (*Policy, error) {
	if d == nil {
		return nil, &Error{Op: opPolicy, Err: errors.New("no discovery")}
	}
	if d.PolicyURL == "" {
		return defaultPolicy(), nil
	}
	body, err := c.policyBody()
	if err != nil {
		return nil, &Error{Op: opPolicy, Err: err}
	}
	m := &message{action: actionPolicy, body: body}
	if err := c.authenticate(ctx, m, with); err != nil {
		return nil, &Error{Op: opPolicy, Err: err}
	}
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

// policyBody writes the request. Windows adds what its TPM is.
func (c *Client) policyBody() (string, error) {
	const null = ` xsi:nil="true" xmlns:xsi="` + nsInstance + `"/>`
	d := c.Device.WithDefaults()
	if err := d.checkFields(); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(`<GetPolicies xmlns="` + nsPolicy + `"><client><lastUpdate` + null + `<preferredLanguage` + null)
	for _, e := range []Item{{"TPMManufacturer", d.TPMManufacturer}, {"TPMFirmwareVersion", d.TPMFirmware}} {
		if e.Value != "" {
			b.WriteString("<" + e.Name + ">" + escape(e.Value) + "</" + e.Name + ">")
		}
	}
	b.WriteString(`</client><requestFilter` + null + `</GetPolicies>`)
	return b.String(), nil
}

// readPolicy reads a GetPoliciesResponse: its first policy.
func readPolicy(e *element) (*Policy, error) {
	p := defaultPolicy()
	attributes := e.At("response", "policies", "policy", "attributes")
	if attributes == nil {
		return p, nil
	}
	key := attributes.At("privateKeyAttributes")
	if err := errors.Join(attributes.Unique(), key.Unique("provider"), attributes.At("certificateValidity").Unique()); err != nil {
		return nil, err
	}
	if s := attributes.Value("policySchema"); s != "" && s != policySchema {
		return nil, fmt.Errorf("the policy has schema %.20q, not %s", s, policySchema)
	}
	if strings.EqualFold(attributes.Value("permission", "enroll"), "false") {
		return nil, hresult.Errorf(codeAuthorization, "the policy does not permit enrollment")
	}
	p.Name = attributes.Value("commonName")
	p.Providers = providers(key)
	p.readAttestation(attributes.At("attestation"), key)
	oids, err := readOIDs(e)
	if err != nil {
		return nil, err
	}
	p.KeyAlgorithm = oids[key.Value("algorithmOIDReference")]
	p.Hash = hashOf(oids[attributes.Value("hashAlgorithmOIDReference")])
	return p, p.readNumbers(attributes, key)
}

func (p *Policy) readNumbers(attributes, key *element) error {
	if s := key.Value("minimalKeyLength"); s != "" {
		bits, err := strconv.Atoi(s)
		if err != nil || bits < 0 || bits > maxKeyLength {
			return fmt.Errorf("the policy's key length is %.40q", s)
		}
		p.MinimalKeyLength = max(bits, defaultKeyLength)
	}
	validity := attributes.At("certificateValidity")
	for _, f := range []struct {
		name string
		from []string
		to   *time.Duration
	}{
		{"validityPeriodSeconds", []string{validity.Value("validityPeriodSeconds")}, &p.Validity},
		{"renewalPeriodSeconds", []string{validity.Value("renewalPeriodSeconds")}, &p.Renewal},
		{"operationTimeout", []string{attributes.Value("attestation", "operationTimeout"), key.Value("OperationTimeout")}, &p.AttestationTimeout},
	} {
		s := or(f.from[0], f.from[len(f.from)-1])
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

// readAttestation reads what is asked of a client's attestation. The block of
// version 6.0 goes before what version 5.0 has among the key's attributes.
func (p *Policy) readAttestation(block, key *element) {
	p.AttestationFailure = or(block.Value("attestationFailureBehavior"), key.Value("AttestationFailureBehavior"))
	if azure := block.At("azureAttestation"); azure != nil {
		p.Azure = &AzureAttestation{
			Nonce: azure.Value("nonce"), RelyingPartyID: azure.Value("relyingPartyId"), Endpoint: azure.Value("endpointUri"),
		}
	}
}

// providers reads the list of providers, which some servers do not wrap.
func providers(key *element) []string {
	var names []string
	for _, p := range append(key.At("cryptoProviders").All("provider"), key.All("provider")...) {
		if p.Value() != "" {
			names = append(names, p.Value())
		}
	}
	return names
}

// readOIDs returns the OIDs of an answer by their references. Servers get
// their groups and names wrong, so only the value counts.
func readOIDs(e *element) (map[string]string, error) {
	oids := make(map[string]string)
	for _, list := range e.All("oIDs") {
		for _, o := range list.All("oID") {
			ref, value := o.Value("oIDReferenceID"), o.Value("value")
			if known, ok := oids[ref]; ok && known != value {
				return nil, fmt.Errorf("the policy has two OIDs with reference %.40q", ref)
			}
			if ref != "" {
				oids[ref] = value
			}
		}
	}
	return oids, nil
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
