package drs

import (
	"context"
	"crypto/ecdh"
	"maps"
	"slices"
)

// For tests with known answers, which need given contexts.
var (
	Derive         = derive
	SignSession    = signSession
	OpenSessionKey = openSessionKey
	OpenReply      = openReply
	ConcatKDF      = concatKDF
	TPMName        = tpmName
	Unsized        = unsized
)

// Conversation is the label of the protocol's key derivation, and MaxArea the largest TPM
// structure.
const (
	Conversation = labelConversation
	MaxArea      = maxArea
)

// Causes are the codes and subcodes that an Error knows.
func Causes() []string { return slices.Collect(maps.Keys(causes)) }

// Identity makes the identity of a proof.
func (p *Proof) Identity() error {
	_, err := p.identity(p.profile())
	return err
}

// OpenECDH decrypts a reply for a request whose information of the recipient is apv.
func OpenECDH(reply []byte, storage ecdh.KeyExchanger, apv string, v any) error {
	return openECDH(reply, storage, &jweCrypto{APV: apv, Alg: "ECDH-ES", Enc: "A256GCM"}, v)
}

// CheckEndpoint checks a URL.
func (c *Client) CheckEndpoint(raw string) error { return c.checkEndpoint(raw) }

// Encode encodes an attestation.
func (a *Attestation) Encode(ctx context.Context, csr, blob []byte) ([]byte, error) {
	return a.encode(ctx, csr, blob)
}
