package wcce

import (
	"golang.org/x/crypto/cryptobyte"
)

// A TACH is the challenge that a CA makes for a TPM: the two inputs of
// TPM2_ActivateCredential (TCG TPM 2.0 Library Part 3). No public specification
// describes its encoding.
type TACH struct {
	Blob            []byte // contents of TPM2B_ID_OBJECT, without its size
	EncryptedSecret []byte // contents of TPM2B_ENCRYPTED_SECRET, without its size
	Opaque          []byte // the AIKOpaque of the request's KAST, unchanged; may be empty
}

// Marshal returns t in the encoding of Windows for TPM 2.0. The error says that Blob
// or EncryptedSecret has over 65,535 bytes.
func (t *TACH) Marshal() ([]byte, error) {
	challenge, err := sized(nil, t.Blob, t.EncryptedSecret)
	if err != nil {
		return nil, err
	}
	out := words(tachMagic, version, PlatformTPM20, tachHeader, uint32(len(challenge)), uint32(len(t.Opaque)))
	out = append(out, challenge...)
	return append(out, t.Opaque...), nil
}

// ParseTACH reads a challenge. The third word of its header, the platform, may be 2
// or 1, which some CAs write if Opaque is empty. The error wraps [ErrFormat].
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
