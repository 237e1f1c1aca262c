package drs

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// What the keys of a join are for, in [Attestation.Certify].
const (
	UsageDevice    = "device"
	UsageTransport = "transport"
)

// An Attestation has the keys of a join certified by an attestation key.
type Attestation struct {
	AIK      []byte              // TPMT_PUBLIC
	AIKChain []*x509.Certificate // its certificate first; may be empty
	Nonce    []byte              // DeviceToken.Nonce or the bytes of what Client.Nonce returned

	// Certify has the attestation key certify (TPM2_Certify) the join's key
	// for a usage, UsageDevice or UsageTransport, with qualifyingData of 32
	// bytes.
	Certify func(ctx context.Context, usage string, qualifyingData []byte) (*Statement, error)
}

// A Statement says that a key is in a TPM. Nothing in it has a size before it.
type Statement struct {
	Public    []byte // TPMT_PUBLIC of the key
	Attest    []byte // TPMS_ATTEST of type certify
	Signature []byte // TPMT_SIGNATURE over Attest
	Creation  []byte // TPMS_CREATION_DATA; may be nil
}

// A bundle is the JSON form of an attestation, version 1. Its byte strings are
// in base64; areas have their size before them.
type bundle struct {
	V     int          `json:"v"`
	Alg   string       `json:"alg"`
	Nonce []byte       `json:"nonce"`
	AIK   []byte       `json:"aik"`
	Keys  []bundledKey `json:"keys"`
}

type bundledKey struct {
	Usage     string `json:"usage"`
	Public    []byte `json:"public"`
	Attest    []byte `json:"attest"`
	Signature []byte `json:"signature"`
	Creation  []byte `json:"creation,omitempty"`
}

// bundle has both keys certified for this very join, and returns the result
// as JSON.
func (a *Attestation) bundle(ctx context.Context, csr, blob []byte) ([]byte, error) {
	if len(a.AIK) == 0 || len(a.AIK) > maxArea || a.Certify == nil {
		return nil, errors.New("the attestation has no attestation key or no Certify")
	}
	b := bundle{V: 1, Alg: "sha256", Nonce: a.Nonce, AIK: sized(a.AIK)}
	if b.Nonce == nil {
		b.Nonce = []byte{}
	}
	for _, usage := range []string{UsageDevice, UsageTransport} {
		s, err := a.Certify(ctx, usage, bind(usage, a.Nonce, csr, blob))
		if err != nil {
			return nil, fmt.Errorf("certifying the %s key: %w", usage, err)
		}
		if s == nil || len(s.Public) == 0 || len(s.Public) > maxArea || len(s.Creation) > maxArea {
			return nil, fmt.Errorf("certifying the %s key: no statement", usage)
		}
		k := bundledKey{Usage: usage, Public: sized(s.Public), Attest: s.Attest, Signature: s.Signature}
		if len(s.Creation) > 0 {
			k.Creation = sized(s.Creation)
		}
		b.Keys = append(b.Keys, k)
	}
	return json.Marshal(b)
}

// bind returns what a certification of one key is over: it belongs to this
// usage, nonce, certificate request and transport key, and to no other join.
func bind(usage string, nonce, csr, blob []byte) []byte {
	h := sha256.New()
	h.Write([]byte("drs-attest-v1\x00" + usage + "\x00"))
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(nonce))))
	h.Write(nonce)
	for _, b := range [][]byte{csr, blob} {
		sum := sha256.Sum256(b)
		h.Write(sum[:])
	}
	return h.Sum(nil)
}
