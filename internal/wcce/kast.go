package wcce

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/crypto/cryptobyte"
)

// Platform values of KAST and TACH.
const (
	PlatformTPM12 = 1
	PlatformTPM20 = 2
)

const (
	version    = 1          // of KAST and TACH
	kastMagic  = 0x5453414B // "KAST", little-endian
	kastHeader = 28         // bytes
	tachMagic  = 0x48434154 // "TACH", little-endian
	tachHeader = 24         // bytes
)

// A KAST is a key attestation statement ([MS-WCCE] section 2.2.2.5).
type KAST struct {
	Platform       uint32 // PlatformTPM12 or PlatformTPM20; Marshal writes 0 as PlatformTPM20
	IDBinding      []byte // statement about an attestation key; see [IDBinding]
	KeyAttestation []byte // statement about another key, see [KADS]; empty in a request for an attestation key
	AIKOpaque      []byte // returned unchanged in the [TACH] of some CAs; may be empty
}

// Marshal returns k in the encoding of Windows.
func (k *KAST) Marshal() []byte {
	platform := k.Platform
	if platform == 0 {
		platform = PlatformTPM20
	}
	out := words(kastMagic, version, platform, kastHeader,
		uint32(len(k.IDBinding)), uint32(len(k.KeyAttestation)), uint32(len(k.AIKOpaque)))
	out = append(out, k.IDBinding...)
	out = append(out, k.KeyAttestation...)
	return append(out, k.AIKOpaque...)
}

// ParseKAST reads a statement. Its lengths must add up to its size. The error wraps
// [ErrFormat].
func ParseKAST(in []byte) (*KAST, error) {
	const op = "KAST"
	h, parts, err := blob(op, in, kastMagic, kastHeader, 3)
	if err != nil {
		return nil, err
	}
	if h[1] != version {
		return nil, malformed(op, "version %d", h[1])
	}
	if p := h[2]; p != PlatformTPM12 && p != PlatformTPM20 {
		return nil, malformed(op, "platform %d", p)
	}
	return &KAST{Platform: h[2], IDBinding: parts[0], KeyAttestation: parts[1], AIKOpaque: parts[2]}, nil
}

// words encodes integers in little-endian, as in the headers of KAST, KADS and TACH.
func words(v ...uint32) []byte {
	var out []byte
	for _, n := range v {
		out = binary.LittleEndian.AppendUint32(out, n)
	}
	return out
}

// blob reads a header of little-endian words and splits the bytes after it. The
// words are the magic, some that the caller checks, the size of the header at index
// sizeAt, and the lengths of the parts.
func blob(op string, in []byte, magic uint32, header, sizeAt int) (h []uint32, parts [][]byte, err error) {
	if len(in) < header || len(in) > maxSize {
		return nil, nil, malformed(op, "%d bytes", len(in))
	}
	h = headerWords(in[:header])
	if h[0] != magic || h[sizeAt] != uint32(header) {
		return nil, nil, malformed(op, "bad header")
	}
	parts, err = split(op, in[header:], h[sizeAt+1:])
	return h, parts, err
}

// headerWords reads little-endian words.
func headerWords(in []byte) []uint32 {
	h := make([]uint32, len(in)/4)
	for i := range h {
		h[i] = binary.LittleEndian.Uint32(in[4*i:])
	}
	return h
}

// split cuts in into parts of these lengths, which must add up to its size.
func split(op string, in []byte, lengths []uint32) (parts [][]byte, err error) {
	for _, n := range lengths {
		if uint64(n) > uint64(len(in)) {
			return nil, malformed(op, "length %d is too large", n)
		}
		parts = append(parts, in[:n:n])
		in = in[n:]
	}
	if len(in) > 0 {
		return nil, malformed(op, "%d bytes too many", len(in))
	}
	return parts, nil
}

// An IDBinding is the statement of a TPM 2.0 that it created an attestation key
// (TCG TPM 2.0 Library Part 3, TPM2_CertifyCreation). The fields have no size
// prefix.
type IDBinding struct {
	PublicArea   []byte // TPMT_PUBLIC of the key
	CreationData []byte // TPMS_CREATION_DATA
	Attest       []byte // TPMS_ATTEST, signed by the key itself
	Signature    []byte // TPMT_SIGNATURE over Attest
}

// Marshal returns TPM2B_PUBLIC, TPM2B_CREATION_DATA, TPM2B_ATTEST and TPMT_SIGNATURE
// in this order. The error says that a field has over 65,535 bytes.
func (b *IDBinding) Marshal() ([]byte, error) {
	out, err := sized(nil, b.PublicArea, b.CreationData, b.Attest)
	if err != nil {
		return nil, err
	}
	return append(out, b.Signature...), nil
}

// sized appends a TPM2B with each value to out.
func sized(out []byte, values ...[]byte) ([]byte, error) {
	for _, v := range values {
		if len(v) > math.MaxUint16 {
			return nil, fmt.Errorf("wcce: %d bytes do not fit a TPM structure", len(v))
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(v)))
		out = append(out, v...)
	}
	return out, nil
}

// ParseIDBinding reads the IDBinding of a KAST of platform TPM 2.0. Its signature
// must be RSASSA, RSAPSS or ECDSA and end where the input ends; it is not verified.
// The error wraps [ErrFormat].
func ParseIDBinding(in []byte) (*IDBinding, error) {
	const op = "idBinding"
	var public, creation, attest cryptobyte.String
	s := cryptobyte.String(in)
	if len(in) > maxSize || !s.ReadUint16LengthPrefixed(&public) ||
		!s.ReadUint16LengthPrefixed(&creation) || !s.ReadUint16LengthPrefixed(&attest) {
		return nil, malformed(op, "bad structure")
	}
	if public.Empty() || creation.Empty() || attest.Empty() || !isSignature(s) {
		return nil, malformed(op, "a part is missing or does not end")
	}
	return &IDBinding{PublicArea: public, CreationData: creation, Attest: attest, Signature: s}, nil
}

// Signature algorithms (TCG TPM 2.0 Library Part 2, TPM_ALG_ID).
const (
	algRSASSA = 0x0014
	algRSAPSS = 0x0016
	algECDSA  = 0x0018
)

// isSignature reports whether s is a whole TPMT_SIGNATURE.
func isSignature(s cryptobyte.String) bool {
	var alg, hash uint16
	var v cryptobyte.String
	if !s.ReadUint16(&alg) || !s.ReadUint16(&hash) || !s.ReadUint16LengthPrefixed(&v) {
		return false
	}
	switch alg {
	case algRSASSA, algRSAPSS:
		return s.Empty()
	case algECDSA:
		return s.ReadUint16LengthPrefixed(&v) && s.Empty()
	}
	return false
}
