package drs

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

// What the keys of a join are for, in [Attestation.Certify].
const (
	UsageDevice    = "device"
	UsageTransport = "transport"
)

// An AttestationForm is how an attestation is written.
type AttestationForm int

// The forms. FormKADS and FormKAST are structures of Windows, [MS-WCCE]
// 2.2.2.5; which one its directory gets, and over which key, is not public.
// They are of one key: the device token must be bound to the other.
//
// [MS-WCCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-wcce/
const (
	FormBundle AttestationForm = iota // this module's own, in JSON, of both keys
	FormKADS                          // the certification of one key
	FormKAST                          // the same, after the creation statement of the attestation key
)

// An Attestation has the keys of a join certified by an attestation key.
type Attestation struct {
	AIKPublicArea []byte              // TPMT_PUBLIC
	AIKChain      []*x509.Certificate // its certificate first; may be empty
	Nonce         []byte              // DeviceToken.Nonce or the bytes of what Client.Nonce returned

	Form        AttestationForm
	Usage       string     // of the key in FormKADS and FormKAST; if empty, UsageTransport
	AIKCreation *Statement // of the attestation key by itself (TPM2_CertifyCreation), for FormKAST

	// Certify has the attestation key certify (TPM2_Certify) the join's key
	// for a usage, UsageDevice or UsageTransport, with qualifyingData of 32
	// bytes.
	Certify func(ctx context.Context, usage string, qualifyingData []byte) (*Statement, error)
}

// A Statement is a TPM's signed statement that a key is in it, or on how it made
// the key. The fields have no size prefixes. An *attest.Statement has the same
// fields and converts to it: (*drs.Statement)(s).
type Statement struct {
	PublicArea   []byte // TPMT_PUBLIC of the key
	Attest       []byte // TPMS_ATTEST
	Signature    []byte // TPMT_SIGNATURE over Attest
	CreationData []byte // TPMS_CREATION_DATA; may be nil
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

// encode has the keys certified for this very join, and returns the result.
func (a *Attestation) encode(ctx context.Context, csr, blob []byte) ([]byte, error) {
	if len(a.AIKPublicArea) == 0 || len(a.AIKPublicArea) > maxArea || a.Certify == nil {
		return nil, errors.New("the attestation has no attestation key or no Certify")
	}
	certify := func(usage string) (*Statement, error) {
		s, err := a.Certify(ctx, usage, bind(usage, a.Nonce, csr, blob))
		if err != nil {
			return nil, fmt.Errorf("certifying the %s key: %w", usage, err)
		}
		if s == nil || len(s.PublicArea) == 0 || len(s.PublicArea) > maxArea || len(s.CreationData) > maxArea {
			return nil, fmt.Errorf("certifying the %s key: no statement", usage)
		}
		return s, nil
	}
	switch a.Form {
	case FormBundle:
		return a.bundle(certify)
	case FormKADS, FormKAST:
		return a.windows(certify)
	}
	return nil, fmt.Errorf("attestation of form %d", a.Form)
}

// bundle returns an attestation of both keys as JSON.
func (a *Attestation) bundle(certify func(string) (*Statement, error)) ([]byte, error) {
	b := bundle{V: 1, Alg: "sha256", Nonce: a.Nonce, AIK: sized(a.AIKPublicArea)}
	if b.Nonce == nil {
		b.Nonce = []byte{}
	}
	for _, usage := range []string{UsageDevice, UsageTransport} {
		s, err := certify(usage)
		if err != nil {
			return nil, err
		}
		k := bundledKey{Usage: usage, Public: sized(s.PublicArea), Attest: s.Attest, Signature: s.Signature}
		if len(s.CreationData) > 0 {
			k.Creation = sized(s.CreationData)
		}
		b.Keys = append(b.Keys, k)
	}
	return json.Marshal(b)
}

// windows returns an attestation of one key as KADS or KAST.
func (a *Attestation) windows(certify func(string) (*Statement, error)) ([]byte, error) {
	if a.Form == FormKAST && a.AIKCreation == nil {
		return nil, errors.New("the attestation has no creation statement of its attestation key")
	}
	s, err := certify(or(a.Usage, UsageTransport))
	if err != nil {
		return nil, err
	}
	key, err := (&wcce.PCPKey{PublicArea: s.PublicArea}).Marshal()
	if err != nil {
		return nil, err
	}
	// Windows' provider writes RSA signatures bare.
	kads := (&wcce.KADS{Attest: s.Attest, Signature: wcce.RSASignature(s.Signature), KeyBlob: key}).Marshal()
	if a.Form == FormKADS {
		return kads, nil
	}
	c := a.AIKCreation
	binding, err := (&wcce.IDBinding{PublicArea: a.AIKPublicArea, CreationData: c.CreationData, Attest: c.Attest, Signature: c.Signature}).Marshal()
	if err != nil {
		return nil, err
	}
	return (&wcce.KAST{IDBinding: binding, KeyAttestation: kads}).Marshal(), nil
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
