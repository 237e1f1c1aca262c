package ekcert

import (
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/challenge"
)

// A Challenge is encrypted data that the TPM must decrypt before the CA certifies its
// endorsement key. It can be completed once, as long as the CA waits.
//
// To complete it in another process or on another machine, keep it as JSON. The JSON
// has the private key of the SCEP messages, by which the CA recognizes the client:
// protect it like a key. It has neither the decrypted secret nor a key of the TPM.
type Challenge struct {
	Blob            []byte // contents of TPM2B_ID_OBJECT, without its size
	EncryptedSecret []byte // contents of TPM2B_ENCRYPTED_SECRET, without its size

	x challenge.Exchange
}

func newChallenge(x *challenge.Exchange) *Challenge {
	return &Challenge{Blob: x.Blob, EncryptedSecret: x.EncryptedSecret, x: *x}
}

var errNotBegun = errors.New("the challenge was not made by Begin")

// MarshalJSON encodes ch, so that another process can complete it. The result is
// confidential; see [Challenge]. The error is an [*Error] if Begin did not make ch.
func (ch Challenge) MarshalJSON() ([]byte, error) {
	if ch.x.CA == nil {
		return nil, enrollError("", "", errNotBegun)
	}
	return ch.x.Marshal()
}

// UnmarshalJSON decodes the result of MarshalJSON. It does not check whether the CA
// can be trusted; [Client.Complete] does. The error is an [*Error] that says what is
// missing or malformed; ch is unchanged then.
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
