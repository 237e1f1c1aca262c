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
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A JoinType is the kind of a join. Its values are those of the protocol.
type JoinType int

// The join types.
const (
	JoinTenant    JoinType = 0 // the device belongs to the tenant
	Register      JoinType = 4 // the device belongs to a user
	JoinTenantAlt JoinType = 8 // the same as JoinTenant, as far as is public; some Windows clients send it for a user's join
)

// attributeTicket is the attribute with a device ticket.
const attributeTicket = "MSA-DDID"

// A Request has what a join needs. DeviceKey, one of TransportKey and StorageKey, and one
// of UserToken, DeviceToken, Proof and PreAuthorized are required.
type Request struct {
	Type JoinType

	// UserToken is the access token of the user who joins the device. It is empty if
	// the device joins without a user.
	UserToken Token

	// DeviceToken authorizes a join without a user. It may be nil. Its attributes are
	// sent unless Attributes has them, and its nonce is that of Attestation if that has
	// none. With a UserToken, it is the ticket by which the directory recognizes the
	// device; its Bearer must be false then.
	DeviceToken *DeviceToken

	// Proof, if there is no UserToken or DeviceToken, proves the TPM during the join, to
	// services that answer a join without a token with a challenge (challenge-401). It
	// is bound to DeviceKey and TransportKey. It may be nil.
	Proof *Proof

	// PreAuthorized is the challenge, a JWT or JWE, of a join that the tenant
	// authorized beforehand. With it, UserToken, DeviceToken and Proof must be empty, and the
	// request goes to Discovery.PrecreateEndpoint. How a device gets such a challenge
	// is not public. It may be empty.
	PreAuthorized Token

	// DeviceKey signs the certificate request. It is an RSA key of 2048 bits, as of
	// Windows, or a key on P-256, as of macOS since version 14.
	DeviceKey    crypto.Signer
	TransportKey *rsa.PublicKey // key to which the directory encrypts session keys

	// StorageKey, on P-256, replaces TransportKey, as on macOS. It is sent as a JWK in
	// the member DeviceKeys, with API version 3.0. A user of a device that joined with
	// it signs in with protocol 4 of primary refresh tokens ([SignIn.StorageKey]). It may
	// be the same key as DeviceKey.
	StorageKey *ecdsa.PublicKey

	// KeySecurity says where DeviceKey is kept. It is sent with the type of the key. If
	// it is empty, neither is sent for an RSA key, as by Windows, and "SecureEnclave"
	// for one on P-256, which is the only known value.
	KeySecurity string

	// Nonce, from Client.Nonce, is put into the certificate request. It may be empty.
	Nonce string

	// Attestation proves that both keys are in the TPM. It may be nil. With Proof,
	// the nonce of the challenge replaces its Nonce. The public service does not get it
	// unless its Form is set; see [FormDefault].
	Attestation *Attestation

	DisplayName  string // name of the device; may be empty
	DeviceType   string // if empty, "Windows"
	OSVersion    string // may be empty
	TargetDomain string // domain name of the tenant; if empty, Discovery.TenantName

	// Attributes are further attributes to send. "ReuseDevice" and "ReturnClientSid"
	// are "true" if Attributes does not have them. It may be nil.
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
	AikCertificate      *[]byte           `json:",omitempty"`
	AikCertificateChain [][]byte          `json:",omitempty"`
	AttestationData     *[]byte           `json:",omitempty"`
	TpmProof            *challengeRequest `json:",omitempty"` // this module's own
	Attributes          map[string]string `json:"attributes"`

	PreAuthorizedJoinChallenge string `json:",omitempty"`
}

// Join joins a device to the tenant and returns it with its device certificate ([MS-DVRJ]).
// If the answer is lost, Join can be repeated with the same req.
//
// It checks all of the certificate that can be checked without the root, which the service
// does not send: that it is for req.DeviceKey, for the tenant d.TenantID, for client
// authentication and valid now (the device's clock may be 5 minutes slow), that it is not
// self-issued, and that the answer's thumbprint, the common name and the extensions agree.
//
// The error is an [*Error]. It wraps [ErrEndpoint], [ErrMalformed], [ErrCertificate] or
// [ErrTenant] if a check of the certificate fails, ErrTenant also if a token of req
// is for another tenant than d.TenantID, [ErrNoChallenge] if req.Proof is used
// and the service answers the first request with a success instead of a challenge, or the
// error of req.DeviceKey, Attestation.Certify or Proof.Activate. If the service refuses, it
// has the service's HTTPStatus, Code and Subcode. If req is nil or not valid, it wraps none of
// these.
//
// [MS-DVRJ]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrj/
func (c *Client) Join(ctx context.Context, d *Discovery, req *Request) (*Device, error) {
	return c.joinAs(ctx, opJoin, d, req)
}

// Rejoin joins a device again that has left, or that has new keys or a new owner, whose
// token is req.UserToken. deviceID is the GUID of the device in the directory ([Device].ID).
// The directory recognizes the device by req.DeviceToken or req.Attestation. It keeps the
// object, replaces its transport key and adds the new certificate. Rejoin can be repeated
// with the same req, as [Client.Join] can.
//
// The error is an [*Error]. It wraps the same errors as that of Join, or [ErrDevice] if
// the answer is for another object than deviceID. If req.UserToken is empty or deviceID is not
// a GUID, it wraps none of these.
func (c *Client) Rejoin(ctx context.Context, d *Discovery, deviceID string, req *Request) (*Device, error) {
	fail := func(err error) (*Device, error) {
		return nil, &Error{Op: opRejoin, URL: wire.Redact(c.services(d).JoinEndpoint), Err: err}
	}
	switch {
	case req == nil || req.UserToken == "":
		return nil, &Error{Op: opRejoin, Err: misuse.Errorf("the request has no user's token")}
	case !wire.IsGUID(deviceID):
		return nil, &Error{Op: opRejoin, Err: misuse.Errorf("the device's identifier %q is not a GUID", cut(deviceID))}
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
	at := "" // until something is sent
	fail := func(err error) (*Device, error) { return nil, asError(op, at, err) }
	if req == nil {
		return fail(misuse.Errorf("the request is nil"))
	}
	if err := req.checkTokens(d); err != nil {
		return fail(err)
	}
	body, err := req.body(d)
	if err != nil {
		return fail(err)
	}
	k := &call{op: op, method: http.MethodPost, url: withVersion(d.JoinEndpoint, req.version(d.JoinVersion)), kind: "application/json"}
	attestation := req.attestation().sent(d)
	if req.PreAuthorized != "" {
		k.url, err = req.precreate(d)
	} else if bearer := req.bearer(); bearer != "" {
		k.auth = "Bearer " + string(bearer)
	} else {
		if req.Proof != nil {
			at = d.JoinEndpoint
		}
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
	at = d.JoinEndpoint
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

// precreate returns the URL of a join that was authorized beforehand.
func (r *Request) precreate(d *Discovery) (string, error) {
	if r.UserToken != "" || r.DeviceToken != nil || r.Proof != nil {
		return "", misuse.Errorf("a join that was authorized beforehand has no token, ticket or proof")
	}
	if d.PrecreateEndpoint == "" {
		return "", errors.New("the tenant has no service for joins that are authorized beforehand")
	}
	return withVersion(d.PrecreateEndpoint, r.version(precreateVersion)), nil
}

// precreateVersion is the API version of joins that are authorized beforehand.
const precreateVersion = "2.0"

// prove sends a join without a token, which the service answers with a challenge, and has
// the challenge decrypted. It returns the Authorization header for the join and the
// attestation to make.
func (c *Client) prove(ctx context.Context, k call, req *Request, body *joinRequest) (string, *Attestation, error) {
	if req.Proof == nil {
		return "", nil, misuse.Errorf("the request has neither a token nor a ticket nor a proof")
	}
	key, err := deviceKey(req.DeviceKey)
	if err != nil {
		return "", nil, err
	}
	p := *req.Proof
	p.DeviceKey, p.TransportKey, p.StorageKey = key, req.TransportKey, req.StorageKey
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
	if err != nil || req.Attestation == nil || req.Attestation.Form == FormNone {
		return proofScheme + " " + assertion, nil, err
	}
	own := *req.Attestation
	own.Nonce = ch.nonce
	return proofScheme + " " + assertion, &own, nil
}

// proofScheme is the scheme of an Authorization header with an assertion.
const proofScheme = "TpmChallenge"

// body returns the body of a join without its attestation.
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
	switch {
	case isEC(r.DeviceKey):
		b.CertificateRequest.KeyType, b.CertificateRequest.KeySecurity = "ECC", or(r.KeySecurity, "SecureEnclave")
	case r.KeySecurity != "":
		b.CertificateRequest.KeyType, b.CertificateRequest.KeySecurity = "RSA", r.KeySecurity
	}
	if len(keys) > 0 { // macOS sends these members, too, without a value
		b.AikCertificate, b.AttestationData = new([]byte), new([]byte)
		*b.AikCertificate, *b.AttestationData = []byte{}, []byte{}
	}
	if r.DeviceToken != nil {
		maps.Copy(b.Attributes, r.DeviceToken.Attributes)
	}
	maps.Copy(b.Attributes, r.Attributes)
	if ticket := r.ticket(); ticket != "" {
		b.Attributes[attributeTicket] = base64.StdEncoding.EncodeToString([]byte(ticket))
	}
	return b, nil
}

// sent returns a, or nil if a join at the services d does not send it.
func (a *Attestation) sent(d *Discovery) *Attestation {
	if a == nil || a.Form.For(d) == FormNone {
		return nil
	}
	return a
}

// attest adds an attestation, which may be nil.
func (b *joinRequest) attest(ctx context.Context, a *Attestation) error {
	if a == nil {
		return nil
	}
	leaf, rest := encodeChain(a.AIKChain)
	if leaf != nil {
		b.AikCertificate, b.AikCertificateChain = &leaf, rest
	}
	data, err := a.encode(ctx, b.CertificateRequest.Data, b.keyData())
	b.AttestationData = &data
	return err
}

// or returns s, or fallback if s is empty.
func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
