package drs

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the service names certificates by SHA-1
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
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

// A Request asks for a device to be joined. Keys and one of Token and Ticket
// are required.
type Request struct {
	Type JoinType

	Token  Token // bearer token, of a user; if empty, Ticket is sent in its place, too
	Ticket Token // device ticket, such as that of Authenticate; may be empty

	DeviceKey    crypto.Signer  // RSA with 2048 bits; signs the certificate request
	TransportKey *rsa.PublicKey // what the directory encrypts to the device is for this key
	Nonce        string         // from Client.Nonce, for the certificate request; may be empty
	Attestation  *Attestation   // of both keys; may be nil

	DisplayName  string
	DeviceType   string // if empty, "Windows"
	OSVersion    string
	TargetDomain string // domain name of the tenant; if empty, that of the Discovery

	// Attributes are sent along. "ReuseDevice" and "ReturnClientSid" are
	// "true" if they are not in here.
	Attributes map[string]string
}

// A joinRequest is the body of a join.
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
	JoinType            JoinType
	AikCertificate      []byte            `json:",omitempty"`
	AikCertificateChain [][]byte          `json:",omitempty"`
	AttestationData     []byte            `json:",omitempty"`
	Attributes          map[string]string `json:"attributes"`
}

type joinAnswer struct {
	Certificate struct {
		Thumbprint string
		RawBody    []byte
	}
	User              struct{ Upn text }
	MembershipChanges json.RawMessage
}

// Join joins a device. It is safe to repeat with the same request if the
// answer was lost. Of the certificate it checks all that can be checked
// without the root, which the service does not name: that it is of DeviceKey,
// of the discovered tenant, for client authentication and valid now, and that
// the answer's thumbprint, its name and its extensions agree. What does not
// hold fails with [ErrCertificate] or [ErrTenant].
func (c *Client) Join(ctx context.Context, d *Discovery, req *Request) (*Device, error) {
	fail := func(err error) (*Device, error) { return nil, asError(opJoin, d.JoinEndpoint, err) }
	body, err := req.body(ctx, d)
	if err != nil {
		return fail(err)
	}
	bearer := req.Token
	if bearer == "" {
		bearer = req.Ticket
	}
	var a joinAnswer
	at := withVersion(d.JoinEndpoint, d.JoinVersion)
	if err := c.do(ctx, &call{op: opJoin, method: http.MethodPost, url: at, kind: "application/json", body: body, bearer: bearer}, &a); err != nil {
		return fail(err)
	}
	dev, err := c.readJoin(d, req, &a)
	if err != nil {
		return fail(err)
	}
	return dev, nil
}

// body returns the body of a join as JSON.
func (r *Request) body(ctx context.Context, d *Discovery) ([]byte, error) {
	if r.Token == "" && r.Ticket == "" {
		return nil, errors.New("neither token nor ticket")
	}
	if r.TransportKey == nil || r.TransportKey.N == nil {
		return nil, errors.New("no transport key")
	}
	csr, err := CertificateRequest(r.DeviceKey, r.Nonce)
	if err != nil {
		return nil, err
	}
	b := joinRequest{
		TransportKey: KeyBlob(r.TransportKey), TargetDomain: or(r.TargetDomain, d.TenantName), DeviceType: or(r.DeviceType, "Windows"),
		OSVersion: r.OSVersion, DeviceDisplayName: r.DisplayName, JoinType: r.Type,
		Attributes: map[string]string{"ReuseDevice": "true", "ReturnClientSid": "true"},
	}
	b.CertificateRequest.Type, b.CertificateRequest.Data = "pkcs10", csr
	maps.Copy(b.Attributes, r.Attributes)
	if r.Ticket != "" {
		b.Attributes[attributeTicket] = base64.StdEncoding.EncodeToString([]byte(r.Ticket))
	}
	if r.Attestation != nil {
		b.AikCertificate, b.AikCertificateChain = encodeChain(r.Attestation.AIKChain)
		if b.AttestationData, err = r.Attestation.bundle(ctx, csr, b.TransportKey); err != nil {
			return nil, err
		}
	}
	return json.Marshal(b)
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// readJoin reads and checks the answer to a join.
func (c *Client) readJoin(d *Discovery, req *Request, a *joinAnswer) (*Device, error) {
	sum := sha1.Sum(a.Certificate.RawBody) //nolint:gosec // a name, not a proof
	if !strings.EqualFold(hex.EncodeToString(sum[:]), a.Certificate.Thumbprint) {
		return nil, fmt.Errorf("%w: its thumbprint is %x, the answer says %q", ErrCertificate, sum, cut(a.Certificate.Thumbprint))
	}
	cert, err := x509.ParseCertificate(a.Certificate.RawBody)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	dev, err := ParseDevice(cert)
	if err != nil {
		return nil, err
	}
	if err := c.checkDevice(dev, d, req.DeviceKey); err != nil {
		return nil, err
	}
	dev.UPN = string(a.User.Upn)
	if dev.AdminSIDs, err = adminSIDs(a.MembershipChanges); err != nil {
		return nil, err
	}
	return dev, nil
}

// cut shortens what a server wrote, for an error.
func cut(s string) string { return s[:min(len(s), 64)] }

// clockSkew is how far the device's clock may be behind that of the service.
const clockSkew = 5 * time.Minute

func (c *Client) checkDevice(dev *Device, d *Discovery, key crypto.Signer) error {
	cert := dev.Certificate
	pub, err := deviceKey(key)
	if err != nil {
		return err
	}
	now := c.now()
	switch {
	case !pub.Equal(cert.PublicKey):
		return fmt.Errorf("%w: it is of another key", ErrCertificate)
	case d.TenantID != "" && dev.TenantID != d.TenantID:
		return fmt.Errorf("%w: the certificate is of %q, not %q", ErrTenant, dev.TenantID, d.TenantID)
	case !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return fmt.Errorf("%w: it is not for client authentication", ErrCertificate)
	case cert.NotBefore.After(now.Add(clockSkew)), cert.NotAfter.Before(now):
		return fmt.Errorf("%w: it is valid from %s to %s, and now is %s", ErrCertificate,
			cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// maxSIDs limits the members that an answer may name.
const maxSIDs = 64

// adminSIDs reads the members that are to be added to the local group of
// administrators. The service sends a list of groups; its specification has
// one group in its place.
func adminSIDs(raw json.RawMessage) ([]string, error) {
	type change struct {
		LocalSID string
		AddSIDs  []string
	}
	if len(raw) == 0 {
		return nil, nil
	}
	var list []change
	if json.Unmarshal(raw, &list) != nil {
		var one change
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("%w: MembershipChanges: %w", ErrMalformed, err)
		}
		list = []change{one}
	}
	var out []string
	for _, ch := range list {
		if ch.LocalSID == administrators {
			out = append(out, ch.AddSIDs...)
		}
	}
	if len(out) > maxSIDs {
		return nil, fmt.Errorf("%w: %d members", ErrMalformed, len(out))
	}
	return out, nil
}

// administrators is the local group of administrators.
const administrators = "S-1-5-32-544"
