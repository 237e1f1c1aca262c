package wcce

import (
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
)

const (
	kadsMagic  = 0x5344414B // "KADS", little-endian
	kadsHeader = 24
	pcpMagic   = 0x4D504350 // "PCPM", little-endian
	pcpHeader  = 52
	pcpHeader2 = 54 // with the PCR bank's algorithm
)

// A KADS is the keyAttestation of a [KAST]: the statement of an attestation key
// on a key beside it (PCP_KEY_ATTESTATION_BLOB of Windows's provider).
type KADS struct {
	Platform uint32 // 0 is written as PlatformTPM20
	Attest   []byte // TPMS_ATTEST of type certify

	// Signature is the attestation key's. Windows's provider writes the bare
	// RSA signature, others a TPMT_SIGNATURE; [RSASignature] reads both.
	Signature []byte

	KeyBlob []byte // the key itself; see [PCPKey]
}

// Marshal encodes k.
func (k *KADS) Marshal() []byte {
	platform := k.Platform
	if platform == 0 {
		platform = PlatformTPM20
	}
	out := words(kadsMagic, platform, kadsHeader,
		uint32(len(k.Attest)), uint32(len(k.Signature)), uint32(len(k.KeyBlob)))
	out = append(out, k.Attest...)
	out = append(out, k.Signature...)
	return append(out, k.KeyBlob...)
}

// ParseKADS reads a statement, whose lengths must add up and of which no part
// may be empty.
func ParseKADS(in []byte) (*KADS, error) {
	const op = "KADS"
	h, parts, err := blob(op, in, kadsMagic, kadsHeader, 2)
	if err != nil {
		return nil, err
	}
	if p := h[1]; p != PlatformTPM12 && p != PlatformTPM20 {
		return nil, malformed(op, "platform %d", p)
	}
	k := &KADS{Platform: h[1], Attest: parts[0], Signature: parts[1], KeyBlob: parts[2]}
	if len(k.Attest) == 0 || len(k.Signature) == 0 || len(k.KeyBlob) == 0 {
		return nil, malformed(op, "a part is missing")
	}
	return k, nil
}

// RSASignature returns the bare RSA signature in the Signature of a [KADS]: that
// of a TPMT_SIGNATURE, or the whole of what is none. The sizes of RSA keys are
// multiples of 512 bits, so neither is taken for the other.
func RSASignature(sig []byte) []byte {
	s := cryptobyte.String(sig)
	var alg, hash uint16
	var v cryptobyte.String
	if s.ReadUint16(&alg) && (alg == algRSASSA || alg == algRSAPSS) && s.ReadUint16(&hash) &&
		s.ReadUint16LengthPrefixed(&v) && s.Empty() && len(v)%64 == 0 {
		return v
	}
	return sig
}

// A PCPKey is a key of Windows's provider (PCP_KEY_BLOB_WIN8, "PCPM"), as far as
// a verifier needs it.
type PCPKey struct {
	PublicArea []byte // TPMT_PUBLIC, without a size prefix
	Private    []byte // as the provider keeps it; none if it is nobody's business
}

// Marshal encodes k for TPM 2.0.
func (k *PCPKey) Marshal() ([]byte, error) {
	public, err := sized(nil, k.PublicArea)
	if err != nil {
		return nil, err
	}
	// What follows are: flags; lengths of public and private part; then of
	// migration keys, policies, PCRs and secrets, of which there are none.
	out := words(pcpMagic, pcpHeader, PlatformTPM20, 0,
		uint32(len(public)), uint32(len(k.Private)), 0, 0, 0, 0, 0, 0, 0)
	out = append(out, public...)
	return append(out, k.Private...), nil
}

// ParsePCPKey reads a key of a TPM 2.0, whose lengths must add up.
func ParsePCPKey(in []byte) (*PCPKey, error) {
	const op = "PCP key"
	header := pcpHeader
	if len(in) >= pcpHeader2 && binary.LittleEndian.Uint32(in[4:]) == pcpHeader2 {
		header = pcpHeader2
	}
	if len(in) < header || len(in) > maxSize {
		return nil, malformed(op, "%d bytes", len(in))
	}
	h := headerWords(in[:pcpHeader])
	if h[0] != pcpMagic || h[1] != uint32(header) || h[2] != PlatformTPM20 {
		return nil, malformed(op, "bad header")
	}
	parts, err := split(op, in[header:], h[4:])
	if err != nil {
		return nil, err
	}
	var public cryptobyte.String
	s := cryptobyte.String(parts[0])
	if !s.ReadUint16LengthPrefixed(&public) || !s.Empty() || public.Empty() {
		return nil, malformed(op, "no public key")
	}
	return &PCPKey{PublicArea: public, Private: parts[1]}, nil
}
