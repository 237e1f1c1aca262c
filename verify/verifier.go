package verify

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/judge"
	"github.com/whiteglove/whiteglove/internal/misuse"
)

// A Verifier checks what devices send. Only EKs is required. Its methods may be
// called by several goroutines at once; its fields must not be changed meanwhile, and
// it must not be copied after its first use.
type Verifier struct {
	// EKs verifies the certificates of endorsement keys: it has the roots of the
	// makers. Leave FetchIssuers unset, because devices choose the certificates.
	EKs *ekcert.Client

	// Admit decides whether a TPM with a certificate that was verified is let in, for
	// example by its key or by the findings in report. Its error is the reason why
	// not. If it is nil, every such TPM is let in.
	Admit func(ctx context.Context, cert *ekcert.Certificate, report *ekcert.Report) error

	// Policy is what quotes have to show. If it is nil, it is the zero Policy.
	Policy *Policy

	// Challenges keeps the challenges that wait for an answer. If it is nil, it is a
	// [MemoryStore] of the Verifier's own.
	Challenges Store

	Life time.Duration    // how long a challenge can be answered; if 0, five minutes
	Now  func() time.Time // current time; if nil, time.Now

	own MemoryStore
}

// A Device is a device whose TPM has proven its attestation key: what a verifier
// keeps of it between quotes. It has no secrets. It can be stored as JSON, by
// encoding/json.
type Device struct {
	AIKPublicArea []byte // TPMT_PUBLIC of the attestation key
	EKCertificate []byte // certificate of the endorsement key, DER

	// Clock is the TPM's time at the last quote that was accepted, which the caller
	// sets to [Result.Clock]. It is nil before the first.
	Clock *attest.ClockInfo
}

// ID returns the name by which messages refer to the device: the TPM name of its
// attestation key in hexadecimal. It is empty if AIKPublicArea is malformed.
func (d *Device) ID() string {
	if d == nil {
		return ""
	}
	name, err := attest.Name(d.AIKPublicArea)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(name)
}

// Challenge checks a device's first message and returns the challenge for its TPM. It
// checks in this order: the certificate of the endorsement key, Admit, the creation
// statement of the attestation key. Only a TPM with both keys can open the challenge,
// so nothing is proven yet.
//
// The error is an [*Error]. It wraps [ErrMalformed] if a part of h is missing or
// cannot be read; the [*ekcert.Error] for a certificate that is not accepted; the
// error of Admit; [attest.ErrProof] for an attestation key that is not accepted;
// [ErrFull] or another error of the store; and the error of ctx if that ended first.
func (v *Verifier) Challenge(ctx context.Context, h *Hello) (*Challenge, error) {
	c, err := v.challenge(ctx, h)
	if err != nil {
		return nil, failed("challenge", err)
	}
	return c, nil
}

func (v *Verifier) challenge(ctx context.Context, h *Hello) (*Challenge, error) {
	if v == nil || v.EKs == nil {
		return nil, misuse.Errorf("the Verifier has no EKs")
	}
	if h == nil || h.AIKCreation == nil || len(h.AIKCreation.CreationData) == 0 {
		return nil, malformed("no creation statement of an attestation key")
	}
	if err := h.limits(); err != nil {
		return nil, err
	}
	cert, err := v.checkEK(ctx, h)
	if err != nil {
		return nil, err
	}
	if err := judge.CheckAIK(h.AIKCreation); err != nil {
		if !errors.Is(err, attest.ErrProof) {
			err = fmt.Errorf("%w: %w", attest.ErrProof, err)
		}
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	name, err := attest.Name(h.AIKCreation.PublicArea)
	if err != nil {
		return nil, err
	}
	secret := random(32)
	credential, err := attest.MakeCredential(h.EKPublicArea, name, secret)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(secret)
	p := &pending{
		Kind: ofActivation, Device: hex.EncodeToString(name),
		Secret: digest[:], AIK: h.AIKCreation.PublicArea, EK: cert.Raw,
	}
	id, err := v.keep(ctx, p)
	if err != nil {
		return nil, err
	}
	return &Challenge{ID: id, Blob: credential.Blob, EncryptedSecret: credential.EncryptedSecret, Expires: p.Expires}, nil
}

// checkEK checks the endorsement key of h and returns its certificate.
func (v *Verifier) checkEK(ctx context.Context, h *Hello) (*ekcert.Certificate, error) {
	key, err := attest.PublicKey(h.EKPublicArea)
	if err != nil {
		return nil, malformed("endorsement key: %w", err)
	}
	cert, err := ekcert.Parse(h.EKCertificate)
	if err != nil {
		return nil, err
	}
	for i, der := range h.Issuers {
		issuer, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, malformed("issuer %d: %w", i, err)
		}
		cert.Issuers = append(cert.Issuers, issuer)
	}
	report, err := v.EKs.Verify(ctx, cert, key)
	if err != nil {
		return nil, err
	}
	if v.Admit != nil {
		if err := v.Admit(ctx, cert, report); err != nil {
			return nil, fmt.Errorf("not admitted: %w", misuse.Of("Verifier.Admit", err))
		}
	}
	return cert, nil
}

// Accept checks the answer to a challenge of [Verifier.Challenge]. The device that it
// returns has a TPM with the endorsement key of the certificate, and that TPM has the
// attestation key. If a device with the same ID is known, keep that one's Clock.
//
// The error is an [*Error]. It wraps [ErrChallenge] if no such challenge is open, and
// [attest.ErrProof] if the secret is wrong, which ends the challenge; an error of the
// store; and the error of ctx if that ended first.
func (v *Verifier) Accept(ctx context.Context, a *Answer) (*Device, error) {
	d, err := v.accept(ctx, a)
	if err != nil {
		return nil, failed("accept", err)
	}
	return d, nil
}

func (v *Verifier) accept(ctx context.Context, a *Answer) (*Device, error) {
	if v == nil || a == nil {
		return nil, malformed("no answer")
	}
	p, err := v.take(ctx, a.ID, ofActivation)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(a.Secret)
	if subtle.ConstantTimeCompare(digest[:], p.Secret) != 1 {
		return nil, fmt.Errorf("%w: the secret is wrong", attest.ErrProof)
	}
	return &Device{AIKPublicArea: p.AIK, EKCertificate: p.EK}, nil
}

func (v *Verifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
