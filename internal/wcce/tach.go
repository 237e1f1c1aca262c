package wcce

import (
	"golang.org/x/crypto/cryptobyte"
)

// A TACH is the challenge a CA makes for a TPM. Blob and Secret carry no size
// prefixes.
type TACH struct {
	Blob            []byte // TPM2B_ID_OBJECT's buffer
	EncryptedSecret []byte // TPM2B_ENCRYPTED_SECRET's buffer
	Opaque          []byte // the AIKOpaque of the request's KAST, unchanged
}

// Marshal encodes t for platform TPM 2.0.
func (t *TACH) Marshal() ([]byte, error) {
	challenge, err := sized(nil, t.Blob, t.EncryptedSecret)
	if err != nil {
		return nil, err
	}
	out := words(tachMagic, version, PlatformTPM20, tachHeader, uint32(len(challenge)), uint32(len(t.Opaque)))
	out = append(out, challenge...)
	return append(out, t.Opaque...), nil
}

// ParseTACH reads a challenge. Its third word may be 1 or 2: some CAs write 1
// where there is nothing opaque.
func ParseTACH(in []byte) (*TACH, error) {
	const op = "TACH"
	h, parts, err := blob(op, in, tachMagic, tachHeader, 3)
	if err != nil {
		return nil, err
	}
	if h[1] != version {
		return nil, malformed(op, "version %d", h[1])
	}
	if h[2] != 1 && h[2] != PlatformTPM20 {
		return nil, malformed(op, "platform %d", h[2])
	}
	var blob, secret cryptobyte.String
	s := cryptobyte.String(parts[0])
	if !s.ReadUint16LengthPrefixed(&blob) || !s.ReadUint16LengthPrefixed(&secret) || !s.Empty() ||
		blob.Empty() || secret.Empty() {
		return nil, malformed(op, "challenge is not two TPM structures")
	}
	return &TACH{Blob: blob, EncryptedSecret: secret, Opaque: parts[1]}, nil
}
