package ekcert

import (
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/challenge"
)

// A Challenge is what a CA wants opened before it certifies an endorsement key.
// It is good for Complete once, and for as long as the CA waits.
//
// To finish in another process or on another machine, it can be kept as JSON.
// That holds the key of the SCEP messages, by which the CA knows who asked:
// keep it as one keeps a key. Neither the opened secret nor any other is in it.
type Challenge struct {
	Blob            []byte // TPM2B_ID_OBJECT without its size
	EncryptedSecret []byte // TPM2B_ENCRYPTED_SECRET without its size

	x challenge.Exchange
}

func newChallenge(x *challenge.Exchange) *Challenge {
	return &Challenge{Blob: x.Blob, EncryptedSecret: x.EncryptedSecret, x: *x}
}

var errNotBegun = errors.New("the challenge is not one of Begin")

// MarshalJSON encodes ch to be carried to where it is completed. See [Challenge]
// for what is secret in it.
func (ch Challenge) MarshalJSON() ([]byte, error) {
	if ch.x.CA == nil {
		return nil, enrollError("", "", errNotBegun)
	}
	return ch.x.Marshal()
}

// UnmarshalJSON decodes what MarshalJSON encoded. Whether the CA is to be trusted
// is checked by Complete. The error is an [*Error].
func (ch *Challenge) UnmarshalJSON(text []byte) error {
	x, err := challenge.Parse(text)
	if err == nil && x.Signer == nil {
		err = errors.New("the key of the messages is missing")
	}
	if err != nil {
		return enrollError("", "", fmt.Errorf("challenge: %w", err))
	}
	*ch = *newChallenge(x)
	return nil
}
