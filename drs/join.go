package drs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/whiteglove/whiteglove/drs/internal/joincsr"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A JoinType is how a device is joined, by its number on the wire.
type JoinType int

// The join types.
const (
	JoinTenant JoinType = 0 // the device belongs to the tenant
	Register   JoinType = 4 // the device is a user's own
)

// attributeTicket is the attribute that carries a device ticket.
const attributeTicket = "MSA-DDID"

// A Request asks for a device to be joined. Keys and one of Token, Ticket,
// Proof and PreAuthorized are required.
type Request struct {
	Type JoinType

	Token  Token // bearer token, of a user; if empty, Ticket is sent in its place, too
	Ticket Token // device ticket, such as that of Authenticate; may be empty

	// Proof proves the device in the course of the join, to services that ask
	// for that (profile challenge-401), if Token and Ticket are empty. It is
	// bound to the request's keys.
	Proof *Proof

	// PreAuthorized is the challenge, a JWT or JWE, of a join that the tenant
	// authorized beforehand. It stands in place of Token, Ticket and Proof and
	// has the request sent to Discovery.PrecreateEndpoint. How it comes to the
	// device is not public.
	PreAuthorized Token

	DeviceKey    crypto.Signer  // RSA with 2048 bits; signs the certificate request
	TransportKey *rsa.PublicKey // what the directory encrypts to the device is for this key

	// StorageKey, on P-256, stands in place of TransportKey, as with macOS: it
	// is sent as a JWK in DeviceKeys. [Client.SignIn] needs a TransportKey.
	StorageKey *ecdsa.PublicKey

	// KeySecurity is what keeps DeviceKey, such as "SecureEnclave", to be sent
	// with the type of the key. If empty, neither is sent, as Windows does.
	KeySecurity string

	Nonce       string       // from Client.Nonce, for the certificate request; may be empty
	Attestation *Attestation // of both keys; may be nil. With Proof, its nonce is the challenge's

	DisplayName  string
	DeviceType   string // if empty, "Windows"
	OSVersion    string
	TargetDomain string // domain name of the tenant; if empty, that of the Discovery

	// Attributes are sent along. "ReuseDevice" and "ReturnClientSid" are
	// "true" if they are not in here.
	Attributes map[string]string
}

type certificateRequest struct {
	Type        string
	Data        []byte
	KeyType     string `json:",omitempty"`
	KeySecurity string `json:",omitempty"`
}

// A joinRequest is the body of a join.
type joinRequest struct {
	CertificateRequest  certificateRequest
	TransportKey        []byte          `json:",omitempty"`
	DeviceKeys          []deviceKeyData `json:",omitempty"`
	TargetDomain        string
	DeviceType          string
	OSVersion           string
	DeviceDisplayName   string
	JoinType            JoinType
	AikCertificate      []byte            `json:",omitempty"`
	AikCertificateChain [][]byte          `json:",omitempty"`
	AttestationData     []byte            `json:",omitempty"`
	TpmProof            *challengeRequest `json:",omitempty"` // this module's own
	Attributes          map[string]string `json:"attributes"`

	PreAuthorizedJoinChallenge string `json:",omitempty"`
}

// Join joins a device. It is safe to repeat with the same request if the
// answer was lost. Of the certificate it checks all that can be checked
// without the root, which the service does not name: that it is of DeviceKey,
// of the discovered tenant, for client authentication and valid now, that it
// was not issued by the device itself, and that the answer's thumbprint, its
// name and its extensions agree. What does not hold fails with
// [ErrCertificate] or [ErrTenant].
func (c *Client) Join(ctx context.Context, d *Discovery, req *Request) (*Device, error) {
	return c.joinAs(ctx, opJoin, d, req)
}

// Rejoin joins a device again that has left, or whose keys or owner are new:
// with a user's token, req.Token. The directory knows the device by
// req.Ticket or by req.Attestation, takes the new transport key in place of
// the old one and adds the certificate to the same object. An answer for
// another object than that with identifier deviceID fails with [ErrDevice].
func (c *Client) Rejoin(ctx context.Context, d *Discovery, deviceID string, req *Request) (*Device, error) {
	fail := func(err error) (*Device, error) {
		return nil, &Error{Op: opRejoin, URL: wire.Redact(c.services(d).JoinEndpoint), Err: err}
	}
	if req.Token == "" || !isGUID(deviceID) {
		return fail(errors.New("no user's token, or no device identifier"))
	}
	dev, err := c.joinAs(ctx, opRejoin, d, req)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(dev.ID, deviceID) {
		return fail(fmt.Errorf("%w: %s, not %s", ErrDevice, dev.ID, cut(deviceID)))
	}
	return dev, nil
}

func (c *Client) joinAs(ctx context.Context, op string, d *Discovery, req *Request) (*Device, error) {
	d = c.services(d)
	fail := func(err error) (*Device, error) { return nil, asError(op, d.JoinEndpoint, err) }
	body, err := req.body(d)
	if err != nil {
		return fail(err)
	}
	k := &call{op: op, method: http.MethodPost, url: withVersion(d.JoinEndpoint, req.version(d.JoinVersion)), kind: "application/json"}
	attestation := req.Attestation
	if req.PreAuthorized != "" {
		k.url, err = req.precreate(d)
	} else if bearer := or(string(req.Token), string(req.Ticket)); bearer != "" {
		k.auth = "Bearer " + bearer
	} else {
		k.auth, attestation, err = c.prove(ctx, *k, req, body)
	}
	if err != nil {
		return fail(err)
	}
	if err := body.attest(ctx, attestation); err != nil {
		return fail(err)
	}
	if k.body, err = json.Marshal(body); err != nil {
		return fail(err)
	}
	var a joinAnswer
	if err := c.do(ctx, k, &a); err != nil {
		return nil, err
	}
	dev, err := c.readJoin(d, req, &a)
	if err != nil {
		return fail(err)
	}
	return dev, nil
}

// precreate returns where a join goes that was authorized beforehand.
func (r *Request) precreate(d *Discovery) (string, error) {
	if r.Token != "" || r.Ticket != "" || r.Proof != nil {
		return "", errors.New("a join that was authorized beforehand has no token, ticket or proof")
	}
	if d.PrecreateEndpoint == "" {
		return "", errors.New("the service joins no devices that are authorized beforehand")
	}
	return withVersion(d.PrecreateEndpoint, r.version(precreateVersion)), nil
}

// precreateVersion is the API version of joins that are authorized beforehand.
const precreateVersion = "2.0"

// prove asks for a challenge by a join without authorization, and answers it.
// It returns the authorization of the join and the attestation to be made.
func (c *Client) prove(ctx context.Context, k call, req *Request, body *joinRequest) (string, *Attestation, error) {
	if req.Proof == nil {
		return "", nil, errors.New("neither token nor ticket nor proof")
	}
	key, err := deviceKey(req.DeviceKey)
	if err != nil {
		return "", nil, err
	}
	p := *req.Proof
	p.DeviceKey, p.TransportKey = key, req.TransportKey
	id, err := p.identity(profileJoin)
	if err != nil {
		return "", nil, err
	}
	first := *body
	first.TpmProof = p.request(id)
	if k.body, err = json.Marshal(first); err != nil {
		return "", nil, err
	}
	k.status = http.StatusUnauthorized
	reply, err := c.send(ctx, &k)
	if err != nil {
		return "", nil, err
	}
	var a challengeAnswer
	if reply.Status != k.status || json.Unmarshal(reply.Body, &a) != nil || a.ChallengeID == "" {
		if reply.Status == k.status {
			return "", nil, refusal(k.op, k.url, reply, c.now())
		}
		return "", nil, k.failed(reply, ErrNoChallenge)
	}
	ch, err := a.read()
	if err != nil {
		return "", nil, err
	}
	assertion, err := c.answer(ctx, &p, id, ch, "")
	if err != nil || req.Attestation == nil {
		return proofScheme + " " + assertion, nil, err
	}
	own := *req.Attestation
	own.Nonce = ch.nonce
	return proofScheme + " " + assertion, &own, nil
}

// proofScheme is the scheme of an Authorization header with an assertion.
const proofScheme = "TpmChallenge"

// body returns the body of a join, but for its attestation.
func (r *Request) body(d *Discovery) (*joinRequest, error) {
	transport, keys, err := r.keys()
	if err != nil {
		return nil, err
	}
	if _, err := deviceKey(r.DeviceKey); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	csr, err := joincsr.New(r.DeviceKey, r.Nonce)
	if err != nil {
		return nil, err
	}
	b := &joinRequest{
		TransportKey: transport, DeviceKeys: keys, TargetDomain: or(r.TargetDomain, d.TenantName), DeviceType: or(r.DeviceType, "Windows"),
		OSVersion: r.OSVersion, DeviceDisplayName: r.DisplayName, JoinType: r.Type,
		Attributes:                 map[string]string{"ReuseDevice": "true", "ReturnClientSid": "true"},
		PreAuthorizedJoinChallenge: string(r.PreAuthorized),
	}
	b.CertificateRequest.Type, b.CertificateRequest.Data = "pkcs10", csr
	if r.KeySecurity != "" {
		b.CertificateRequest.KeyType, b.CertificateRequest.KeySecurity = "RSA", r.KeySecurity
	}
	maps.Copy(b.Attributes, r.Attributes)
	if r.Ticket != "" {
		b.Attributes[attributeTicket] = base64.StdEncoding.EncodeToString([]byte(r.Ticket))
	}
	return b, nil
}

// attest has the keys of a join certified.
func (b *joinRequest) attest(ctx context.Context, a *Attestation) (err error) {
	if a == nil {
		return nil
	}
	b.AikCertificate, b.AikCertificateChain = encodeChain(a.AIKChain)
	b.AttestationData, err = a.encode(ctx, b.CertificateRequest.Data, b.keyData())
	return err
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
