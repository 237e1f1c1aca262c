package verify

import (
	"crypto"
	"time"

	"github.com/whiteglove/whiteglove/attest"
)

// A Message is what a device and a verifier send each other, or keep: a *[Hello],
// *[Challenge], *[Answer], *[Again], *[Request], *[Evidence], *[Verdict] or *[Policy].
// [Encode] and [Decode] write and read it as JSON, in the form that the documentation
// of the package gives.
type Message interface {
	name() string
	frame(head) any       // what is encoded
	read(from form) error // decodes and checks
}

// A Hello is a device's first message: who its TPM is, and the attestation key that it
// made.
type Hello struct {
	EKCertificate []byte            `json:"ekCertificate"`     // in a form that [ekcert.Parse] reads, such as DER
	Issuers       [][]byte          `json:"issuers,omitempty"` // CA certificates between that one and a root, DER; may be empty
	EKPublicArea  []byte            `json:"ekPublicArea"`      // TPMT_PUBLIC of the endorsement key, as in attest.EK
	AIKCreation   *attest.Statement `json:"-"`                 // as of attest.Key.Creation
}

// A Challenge is a verifier's answer to a [Hello]: a secret that only the device's TPM
// decrypts, for TPM2_ActivateCredential.
type Challenge struct {
	ID              string    `json:"id"`
	Blob            []byte    `json:"blob"`            // contents of a TPM2B_ID_OBJECT, without its size
	EncryptedSecret []byte    `json:"encryptedSecret"` // contents of a TPM2B_ENCRYPTED_SECRET, without its size
	Expires         time.Time `json:"expires"`         // by the verifier's clock
}

// An Answer is a device's answer to a [Challenge].
type Answer struct {
	ID     string `json:"id"`     // of the Challenge
	Secret []byte `json:"secret"` // that the TPM decrypted
}

// An Again is the message of a device that a verifier knows and that wants to attest
// again.
type Again struct {
	Device string `json:"device"` // [Device.ID]: the TPM name of its attestation key, hexadecimal
}

// A Request is a verifier's request for a quote.
type Request struct {
	ID      string      `json:"id"`
	Device  string      `json:"device"` // [Device.ID]
	Nonce   []byte      `json:"nonce"`
	Bank    crypto.Hash `json:"-"`
	PCRs    []int       `json:"pcrs"`    // in order, 0 to 23
	Expires time.Time   `json:"expires"` // by the verifier's clock
}

// An Evidence is a device's answer to a [Request].
type Evidence struct {
	ID       string              `json:"id"`     // of the Request
	Device   string              `json:"device"` // [Device.ID]
	Quote    *attest.Quote       `json:"-"`
	EventLog []byte              `json:"eventLog,omitempty"` // of the TCG, as [attest.EventLog] returns it; empty for none
	Keys     []*attest.Statement `json:"-"`                  // by attest.TPM.Certify, with the Nonce; may be empty
}

// A Verdict is a verifier's answer to [Evidence], and its answer to any message that
// it refuses.
type Verdict struct {
	Trusted   bool   `json:"trusted"`
	Reason    string `json:"reason,omitempty"`    // why not, for people
	Retryable bool   `json:"retryable,omitempty"` // the same message may succeed later
}

// Limits of the parts of messages, in bytes unless said otherwise.
const (
	maxMessage     = 2 << 20
	maxText        = 256
	maxReason      = 4096
	maxPart        = 2048 // of a TPM structure
	maxCertificate = 16 << 10
	maxIssuers     = 16 // number
	maxKeys        = 16 // number
)

// within returns an error if a part is longer than limit.
func within(limit int, parts ...[]byte) error {
	for _, p := range parts {
		if len(p) > limit {
			return malformed("a part has %d bytes, over %d", len(p), limit)
		}
	}
	return nil
}

func (m *Hello) limits() error {
	if len(m.Issuers) > maxIssuers {
		return malformed("%d issuers", len(m.Issuers))
	}
	if err := within(maxCertificate, append(m.Issuers, m.EKCertificate)...); err != nil {
		return err
	}
	if err := within(maxPart, m.EKPublicArea); err != nil {
		return err
	}
	return statementLimits(m.AIKCreation)
}

func (m *Evidence) limits() error {
	if len(m.Keys) > maxKeys {
		return malformed("%d keys", len(m.Keys))
	}
	if err := within(maxPart, m.Quote.Attest, m.Quote.Signature); err != nil {
		return err
	}
	if err := within(maxLog, m.EventLog); err != nil {
		return err
	}
	return statementLimits(m.Keys...)
}

func statementLimits(statements ...*attest.Statement) error {
	for _, s := range statements {
		if s == nil {
			return malformed("a statement is missing")
		}
		if err := within(maxPart, s.PublicArea, s.Attest, s.Signature, s.CreationData); err != nil {
			return err
		}
	}
	return nil
}
