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
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// Defaults and limits of a policy.
const (
	defaultKeyLength = 2048  // bits
	policySchema     = "3"   // the only one of [MS-XCEP]
	maxKeyLength     = 16384 // bits; a policy that asks for more is refused
)

// A Policy tells what the server expects of a certificate request ([MS-XCEP],
// as [MS-MDE2] section 3.3 uses it). A caller may change it before passing it
// on.
type Policy struct {
	// Name is the name of the policy. It may be empty.
	Name string

	// MinimalKeyLength is the least length of the RSA key in bits. It is 2048
	// if the server asks for less or says nothing.
	MinimalKeyLength int

	// KeyAlgorithm is the OID of the key's algorithm in dotted form. If it is
	// empty, the server does not say. [Client.Enroll] accepts RSA only.
	KeyAlgorithm string

	// Hash is the hash to sign the request with: SHA-256, SHA-384 or SHA-512.
	// It is SHA-256 where the server names SHA-1, another hash or none.
	Hash crypto.Hash

	// Providers are the key providers of Windows that may hold the key, the
	// preferred one first. If it is empty, the server names none. See
	// [Policy.TPM].
	Providers []string

	// Validity is the validity of the certificate, Renewal how long before its
	// end it may be renewed. Each is 0 if the server does not say.
	Validity time.Duration
	Renewal  time.Duration

	// AttestationFailure tells what to do if the key cannot be attested:
	// "FailOnError", "IgnoreOnError" or "RetryOnError" (then enroll without). It
	// is empty if the server does not say. With "FailOnError", [Client.Enroll]
	// refuses a request without attestation.
	AttestationFailure string

	// AttestationTimeout bounds the attestation. It is 0 if the server does not
	// say.
	AttestationTimeout time.Duration

	// Azure tells what to request from Azure Attestation. It is nil if the
	// server does not ask for that.
	Azure *AzureAttestation
}

// An AzureAttestation tells what to request from Azure Attestation for a server
// of version 6.0 or later. The token that comes back goes into the context item
// [ItemAzureBlob], see [Client.AttestAzure].
type AzureAttestation struct {
	Nonce          string // base64, as sent
	RelyingPartyID string // as sent
	Endpoint       string // URI of the service, as sent
}

// Values in policies.
const (
	providerTPM = "Microsoft Platform Crypto Provider"
	failOnError = "FailOnError"
)

// TPM reports whether the policy allows keys in a TPM, and whether it requires
// them. A policy without Providers allows all keys.
func (p *Policy) TPM() (allowed, required bool) {
	if len(p.Providers) == 0 {
		return true, false
	}
	allowed = slices.ContainsFunc(p.Providers, func(s string) bool { return strings.EqualFold(s, providerTPM) })
	required = allowed && !slices.ContainsFunc(p.Providers, func(s string) bool { return !strings.EqualFold(s, providerTPM) })
	return allowed, required
}

// defaultPolicy returns the policy for a server that has none.
func defaultPolicy() *Policy {
	return &Policy{MinimalKeyLength: defaultKeyLength, Hash: crypto.SHA256}
}

// Policy asks the server at d.PolicyURL for its certificate policy ([MS-XCEP],
// GetPolicies). If d names no policy service, or the server answers with an
// empty policy, Policy returns the default: an RSA key of at least 2048 bits
// and SHA-256. If the server sends several policies, Policy returns the first.
//
// The error is an [*Error] with the operation "Policy". It has a Fault if the
// server answered with one, and wraps the error of ctx if that ended first. Its
// code is 0x80180003 if the policy does not permit enrollment.
func (c *Client) Policy(ctx context.Context, d *Discovery, with Credential) (*Policy, error) {
	if d == nil {
		return nil, &Error{Op: opPolicy, Err: misuse.Errorf("no discovery")}
	}
	if d.PolicyURL == "" {
		return defaultPolicy(), nil
	}
	body, err := c.policyBody()
	if err != nil {
		return nil, &Error{Op: opPolicy, Err: err}
	}
	m := &message{action: actionPolicy, body: body}
	if err := c.authenticate(m, with); err != nil {
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

// policyBody returns the request. Like Windows, it names the TPM.
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

// readPolicy reads the first policy of a GetPoliciesResponse.
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

// readNumbers reads the key length and the times of a policy.
func (p *Policy) readNumbers(attributes, key *element) error {
	if s := key.Value("minimalKeyLength"); s != "" {
		bits, err := strconv.Atoi(s)
		if err != nil || bits < 0 || bits > maxKeyLength {
			return fmt.Errorf("the policy's key length %.40q is not a number from 0 to %d", s, maxKeyLength)
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
			return fmt.Errorf("the policy's %s %.40q is not a number of seconds", f.name, s)
		}
		*f.to = time.Duration(n) * time.Second
	}
	return nil
}

// readAttestation reads what the server expects of an attestation. The block of
// version 6.0 has precedence over the key's attributes of version 5.0.
func (p *Policy) readAttestation(block, key *element) {
	p.AttestationFailure = or(block.Value("attestationFailureBehavior"), key.Value("AttestationFailureBehavior"))
	if azure := block.At("azureAttestation"); azure != nil {
		p.Azure = &AzureAttestation{
			Nonce: azure.Value("nonce"), RelyingPartyID: azure.Value("relyingPartyId"), Endpoint: azure.Value("endpointUri"),
		}
	}
}

// providers returns the key providers. Some servers leave out the element
// around them.
func providers(key *element) []string {
	var names []string
	for _, p := range append(key.At("cryptoProviders").All("provider"), key.All("provider")...) {
		if p.Value() != "" {
			names = append(names, p.Value())
		}
	}
	return names
}

// readOIDs returns the OIDs of an answer by their references. It ignores their
// groups and names, which servers get wrong.
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

// hashOf returns the hash that an OID names, or SHA-256 for SHA-1 and unknown
// OIDs.
func hashOf(oid string) crypto.Hash {
	switch oid {
	case "2.16.840.1.101.3.4.2.2", "1.2.840.113549.1.1.12":
		return crypto.SHA384
	case "2.16.840.1.101.3.4.2.3", "1.2.840.113549.1.1.13":
		return crypto.SHA512
	}
	return crypto.SHA256
}
