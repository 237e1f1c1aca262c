package drs

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// The usages of the keys of a join, in [Attestation.Certify] and [Attestation.Usage].
const (
	UsageDevice    = "device"    // the device key
	UsageTransport = "transport" // the transport key or storage key
)

// An AttestationForm is the encoding of an attestation.
type AttestationForm int

// The values of [Attestation.Form]. FormKADS and FormKAST are structures of Windows
// ([MS-WCCE] section 2.2.2.5). It is not public which of them Entra expects, and for which
// key. They cover one key; the device token must be bound to the other. No open client
// sends Entra an attestation.
//
// [MS-WCCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-wcce/
const (
	FormDefault AttestationForm = iota // FormBundle or FormNone, as [AttestationForm.For] says
	FormBundle                         // JSON, this module's own form, for both keys
	FormKADS                           // the certification of one key
	FormKAST                           // the creation statement of the attestation key and a KADS
	FormNone                           // no attestation
)

// For returns the form in which a join at the services d sends an attestation. It is f
// unless that is FormDefault, which stands for FormBundle at services that have TPM
// challenges (d.ProofEndpoint is not empty) and for FormNone at all others, such as the
// public one. d may be nil.
func (f AttestationForm) For(d *Discovery) AttestationForm {
	switch {
	case f != FormDefault:
		return f
	case d != nil && d.ProofEndpoint != "":
		return FormBundle
	}
	return FormNone
}

// An Attestation proves that the keys of a join are in the TPM of an attestation key,
// which certifies them for this very join. All its byte strings but Nonce are TPM
// structures without a size prefix. It is sent only to a service that asks for a proof of
// the TPM, unless Form says otherwise; where it is not sent, Certify is not called.
type Attestation struct {
	AIKPublicArea []byte              // TPMT_PUBLIC of the attestation key
	AIKChain      []*x509.Certificate // its certificate first; may be empty
	Nonce         []byte              // DeviceToken.Nonce, or the bytes of the text that Client.Nonce returned; may be nil

	// Form is the encoding. With FormDefault, the attestation is sent in FormBundle to
	// services with TPM challenges and to one that answered this join with a challenge
	// (Request.Proof), and to no other.
	Form  AttestationForm
	Usage string // usage of the key in FormKADS and FormKAST; if empty, UsageTransport

	// AIKCreation is the attestation key's creation statement, signed by that key
	// itself (TPM2_CertifyCreation). FormKAST requires it.
	AIKCreation *Statement

	// Certify returns the statement with which the attestation key certifies the
	// key of the join for a usage, UsageDevice or UsageTransport (TCG TPM 2.0
	// Library Part 3, TPM2_Certify). qualifyingData has 32 bytes. The method
	// Certify of attest.TPM does this.
	Certify func(ctx context.Context, usage string, qualifyingData []byte) (*Statement, error)
}

// A Statement is a TPM's signed statement that a key is in it (TPM2_Certify) or that it
// created the key (TPM2_CertifyCreation). The fields have no size prefix. An
// *attest.Statement has the same fields and can be converted: (*drs.Statement)(s).
type Statement struct {
	PublicArea   []byte // TPMT_PUBLIC of the key
	Attest       []byte // TPMS_ATTEST
	Signature    []byte // TPMT_SIGNATURE over Attest
	CreationData []byte // TPMS_CREATION_DATA; nil for a certification
}

// A bundle is the JSON form of an attestation, version 1. Its byte strings are in base64;
// public areas and creation data have their size before them.
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

// encode certifies the keys for the join with the request csr and the key blob, and
// returns the attestation in its form.
func (a *Attestation) encode(ctx context.Context, csr, blob []byte) ([]byte, error) {
	if len(a.AIKPublicArea) == 0 || len(a.AIKPublicArea) > maxArea || a.Certify == nil {
		return nil, misuse.Errorf("the attestation has no attestation key or no Certify")
	}
	certify := func(usage string) (*Statement, error) {
		s, err := a.Certify(ctx, usage, bind(usage, a.Nonce, csr, blob))
		if err != nil {
			return nil, fmt.Errorf("certifying the %s key: %w", usage, misuse.Of("Attestation.Certify", err))
		}
		if s == nil {
			return nil, misuse.Neither("Attestation.Certify", "a statement")
		}
		if len(s.PublicArea) == 0 || len(s.PublicArea) > maxArea || len(s.CreationData) > maxArea {
			return nil, fmt.Errorf("certifying the %s key: no statement", usage)
		}
		return s, nil
	}
	switch a.Form {
	case FormDefault, FormBundle:
		return a.bundle(certify)
	case FormKADS, FormKAST:
		return a.windows(certify)
	}
	return nil, misuse.Errorf("attestation form %d is undefined", a.Form)
}

// bundle returns an attestation of both keys in JSON.
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
		return nil, misuse.Errorf("the attestation has no creation statement of the attestation key")
	}
	s, err := certify(or(a.Usage, UsageTransport))
	if err != nil {
		return nil, err
	}
	key, err := (&wcce.PCPKey{PublicArea: s.PublicArea}).Marshal()
	if err != nil {
		return nil, err
	}
	// The Windows provider writes bare RSA signatures.
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

// bind returns the qualifyingData of a certification. It binds the certification to a
// usage, a nonce, a certificate request and a transport key, and so to one join.
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
