package drs

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// hybrid is the join type of a computer of Active Directory.
const hybrid JoinType = 6

// A Computer is the account of a device in Active Directory, after it was synchronized to
// the tenant. ID, SID and Key are required.
type Computer struct {
	ID  string // objectGUID of the account, and identifier of the device in the tenant
	SID string // security identifier, such as "S-1-5-21-1-2-3-1104"

	// Key is the RSA key of the self-signed certificate in the attribute
	// userCertificate of the account. It signs with PKCS #1 v1.5 and SHA-256.
	Key crypto.Signer

	DomainController string // where the account was read; may be empty
}

type clientIdentity struct {
	Type       string
	Sid        string
	SignedBlob []byte
}

// A hybridRequest is the body of a hybrid join.
type hybridRequest struct {
	CertificateRequest certificateRequest
	ServerAdJoinData   struct {
		TransportKey           []byte
		TargetDomain           string
		TargetDomainID         string `json:"TargetDomainId"`
		DeviceType             string
		OSVersion              string
		DeviceDisplayName      string
		SourceDomainController string `json:",omitempty"`
		ClientIdentity         clientIdentity
	}
	JoinType   JoinType
	Attributes map[string]string `json:"attributes"`
}

// JoinHybrid joins a device that is a computer of Active Directory. The computer's key
// authorizes the join instead of a token: it signs the SID and the time, so that the clock
// must be right to some minutes. d.TenantID is required. In req, which must not be nil,
// Type is not used, and Token, Ticket, Proof, PreAuthorized, Attestation and StorageKey
// must be empty. The form of the request follows open clients.
//
// The error is an [*Error]. It wraps [ErrEndpoint], [ErrMalformed], [ErrCertificate] or
// [ErrTenant] as for [Client.Join], [ErrDevice] if the answer is for another object than
// that of the computer, or the error of a key. If the service refuses, it has the
// service's Code and Subcode. If computer or req is not valid, it wraps none of these.
func (c *Client) JoinHybrid(ctx context.Context, d *Discovery, computer *Computer, req *Request) (*Device, error) {
	d = c.services(d)
	endpoint := strings.TrimSuffix(d.JoinEndpoint, "/") + "/"
	at := "" // until something is sent
	fail := func(err error) (*Device, error) { return nil, asError(opHybrid, at, err) }
	body, err := c.hybrid(d, computer, req)
	if err != nil {
		return fail(err)
	}
	k := &call{op: opHybrid, method: http.MethodPut, url: withVersion(endpoint+computer.ID, d.JoinVersion), kind: "application/json"}
	if k.body, err = json.Marshal(body); err != nil {
		return fail(err)
	}
	at = endpoint
	var a joinAnswer
	if err := c.do(ctx, k, &a); err != nil {
		return nil, err
	}
	dev, err := c.readJoin(d, req, &a)
	if err != nil {
		return fail(err)
	}
	if !strings.EqualFold(dev.ID, computer.ID) {
		return fail(fmt.Errorf("%w: %s, not %s", ErrDevice, dev.ID, computer.ID))
	}
	return dev, nil
}

// hybrid returns the body of a hybrid join.
func (c *Client) hybrid(d *Discovery, computer *Computer, req *Request) (*hybridRequest, error) {
	switch {
	case req == nil:
		return nil, misuse.Errorf("the request is nil")
	case req.UserToken != "" || req.DeviceToken != nil || req.Proof != nil || req.PreAuthorized != "" || req.Attestation != nil || req.StorageKey != nil:
		return nil, misuse.Errorf("a hybrid join has no token, ticket, proof, challenge, attestation or storage key")
	case computer == nil || !wire.IsGUID(computer.ID):
		return nil, misuse.Errorf("the computer has no identifier, or it is not a GUID")
	case isEC(req.DeviceKey):
		return nil, misuse.Errorf("a hybrid join needs an RSA device key")
	case d.TenantID == "":
		return nil, errors.New("the discovery has no identifier of the tenant")
	}
	common, err := req.body(d)
	if err != nil {
		return nil, err
	}
	b := &hybridRequest{CertificateRequest: common.CertificateRequest, JoinType: hybrid, Attributes: common.Attributes}
	data := &b.ServerAdJoinData
	data.TransportKey, data.TargetDomain, data.TargetDomainID = common.TransportKey, common.TargetDomain, d.TenantID
	data.DeviceType, data.OSVersion, data.DeviceDisplayName = common.DeviceType, common.OSVersion, common.DeviceDisplayName
	data.SourceDomainController = computer.DomainController
	data.ClientIdentity, err = computer.identity(c.now())
	return b, err
}

// identity signs the computer's SID and the time.
func (m *Computer) identity(now time.Time) (clientIdentity, error) {
	if !strings.HasPrefix(m.SID, "S-1-") || m.Key == nil {
		return clientIdentity{}, misuse.Errorf("the computer has no key, or its SID %q is not valid", cut(m.SID))
	}
	if _, ok := m.Key.Public().(*rsa.PublicKey); !ok {
		return clientIdentity{}, misuse.Errorf("the computer's key is %s: a hybrid join needs an RSA key", wire.KeyKind(m.Key.Public()))
	}
	sid := m.SID + "." + now.UTC().Format("2006-01-02 15:04:05Z")
	digest := sha256.Sum256([]byte(sid))
	sig, err := m.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return clientIdentity{}, fmt.Errorf("signing with the computer's key: %w", err)
	}
	return clientIdentity{Type: "sha256signed", Sid: sid, SignedBlob: sig}, nil
}
