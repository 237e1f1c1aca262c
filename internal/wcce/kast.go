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
	kastHeader = 28
	tachMagic  = 0x48434154 // "TACH", little-endian
	tachHeader = 24
)

// A KAST is a key attestation statement, [MS-WCCE] 2.2.2.5.
type KAST struct {
	Platform       uint32 // 0 is written as PlatformTPM20
	IDBinding      []byte // see [IDBinding]
	KeyAttestation []byte // see [KADS]; empty when an attestation key is certified
	AIKOpaque      []byte // echoed by some CAs
}

// Marshal encodes k.
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

// ParseKAST reads a statement, whose lengths must add up.
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

// words returns integers as KAST, KADS and TACH have them, little-endian.
func words(v ...uint32) []byte {
	var out []byte
	for _, n := range v {
		out = binary.LittleEndian.AppendUint32(out, n)
	}
	return out
}

// blob reads a header of little-endian words (magic, what is checked by the
// caller, its own size at index sizeAt, then lengths) and splits what follows by
// those lengths.
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

// split cuts in by lengths, which must add up.
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

// An IDBinding says how a TPM 2.0 made an attestation key. Its fields carry no
// size prefixes.
type IDBinding struct {
	PublicArea   []byte // TPMT_PUBLIC
	CreationData []byte // TPMS_CREATION_DATA
	Attest       []byte // TPMS_ATTEST
	Signature    []byte // TPMT_SIGNATURE
}

// Marshal encodes b: TPM2B_PUBLIC, TPM2B_CREATION_DATA, TPM2B_ATTEST,
// TPMT_SIGNATURE.
func (b *IDBinding) Marshal() ([]byte, error) {
	out, err := sized(nil, b.PublicArea, b.CreationData, b.Attest)
	if err != nil {
		return nil, err
	}
	return append(out, b.Signature...), nil
}

// sized appends a TPM2B of each value.
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

// ParseIDBinding reads the IDBinding of a KAST of platform TPM 2.0. Its
// signature must be RSASSA, RSAPSS or ECDSA and end where the input does.
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

// Signature algorithms, TPM 2.0 Library part 2, section 6.3.
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
