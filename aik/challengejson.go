package aik

import (
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// MarshalJSON encodes ch, so that another process can complete it. [Challenge] says
// what is secret in it. The error, if ch comes neither from Begin nor from JSON, is an
// [*Error] that wraps [ErrRequest].
func (ch Challenge) MarshalJSON() ([]byte, error) {
	if ch.x.CA == nil {
		return nil, ch.fail("challenge", errNotBegun)
	}
	ch.x.Signer = ch.Signer
	text, err := ch.x.Marshal()
	if err != nil {
		return nil, ch.fail("challenge", err)
	}
	return text, nil
}

// UnmarshalJSON decodes the result of MarshalJSON. It does not check whether the CA
// can be trusted; Complete does. The error is an [*Error] that wraps [ErrChallenge].
func (ch *Challenge) UnmarshalJSON(text []byte) error {
	x, err := challenge.Parse(text)
	if err != nil {
		return new(Challenge).fail("challenge", fmt.Errorf("%w: %w", ErrChallenge, err))
	}
	*ch = Challenge{URL: wire.Redact(x.URL), Signer: x.Signer, x: *x}
	ch.show()
	return nil
}

// show sets ch.Credential.
func (ch *Challenge) show() {
	ch.Credential = &attest.Credential{Blob: ch.x.Blob, EncryptedSecret: ch.x.EncryptedSecret}
}
