package whiteglove

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
)

// attestationKey loads or makes the attestation key.
func (r *run) attestationKey(ctx context.Context) (err error) {
	if r.aik == nil {
		r.aik, err = r.key(ctx, &r.state.AIK, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Attest})
	}
	return err
}

// key loads the key that is stored in text, or makes one and stores it there.
// A stored key that this TPM does not know means a state of another TPM.
func (r *run) key(ctx context.Context, text *string, tmpl attest.Template) (*attest.Key, error) {
	if *text != "" {
		key, err := r.TPM.LoadKey(ctx, []byte(*text))
		if errors.Is(err, tpm2.TPMRCIntegrity) {
			return nil, fmt.Errorf("%w: its keys are not of this TPM, or it was cleared: %w", ErrState, err)
		}
		return key, err
	}
	key, err := r.TPM.CreateKey(ctx, tmpl)
	if err != nil {
		return nil, err
	}
	pem, err := key.MarshalText()
	if err != nil {
		return nil, err
	}
	*text = string(pem)
	return key, r.save(ctx)
}

// certifyAIK has the attestation key certified.
func (r *run) certifyAIK(ctx context.Context) (bool, error) {
	if err := r.attestationKey(ctx); err != nil {
		return false, err
	}
	if len(r.state.AIKCertificates) > 0 {
		return r.resumeAIK()
	}
	chain, err := r.AIK.Enroll(ctx, &aik.Request{EK: r.ek, Chain: r.ekChain, AIK: r.aik.Creation()},
		func(ctx context.Context, c *attest.Credential) ([]byte, error) {
			return r.TPM.ActivateCredential(ctx, r.ek, r.aik, c)
		})
	if err != nil {
		return false, err
	}
	r.aikChain = chain
	r.state.AIKCertificates, r.state.AIKName = rawChain(chain), r.aik.Name()
	return false, nil
}

func (r *run) resumeAIK() (bool, error) {
	chain, err := parseChain(r.state.AIKCertificates)
	if err != nil {
		return false, err
	}
	if !samePublic(chain[0].PublicKey, r.aik.Public()) {
		return false, fmt.Errorf("%w: the attestation key and its certificate do not belong together", ErrState)
	}
	r.aikChain = chain
	return true, nil
}

// makeKeys makes the device key and the transport key.
func (r *run) makeKeys(ctx context.Context) (bool, error) {
	resumed := r.state.DeviceKey != "" && r.state.TransportKey != ""
	var err error
	r.transport, err = r.key(ctx, &r.state.TransportKey, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Decrypt})
	if err != nil {
		return false, err
	}
	r.device, err = r.key(ctx, &r.state.DeviceKey, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Sign})
	return resumed, err
}

// samePublic reports whether a and b are one public key.
func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface {
		Equal(crypto.PublicKey) bool
	})
	return ok && k.Equal(b)
}
