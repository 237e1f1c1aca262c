package wcce

import (
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
)

const (
	kadsMagic  = 0x5344414B // "KADS", little-endian
	kadsHeader = 24         // bytes
	pcpMagic   = 0x4D504350 // "PCPM", little-endian
	pcpHeader  = 52         // bytes
	pcpHeader2 = 54         // bytes, in the form with the algorithm of the PCR bank
)

// A KADS is the keyAttestation of a [KAST]: the statement of an attestation key
// about another key of the same TPM (PCP_KEY_ATTESTATION_BLOB of the Windows
// provider).
type KADS struct {
	Platform uint32 // PlatformTPM12 or PlatformTPM20; Marshal writes 0 as PlatformTPM20
	Attest   []byte // TPMS_ATTEST of type TPM_ST_ATTEST_CERTIFY

	// Signature is the signature of the attestation key over Attest. The
	// provider of Windows writes the bare RSA signature, other programs a
	// TPMT_SIGNATURE; [RSASignature] reads both.
	Signature []byte

	KeyBlob []byte // the key that Attest is about; see [PCPKey]
}

// Marshal returns k in the encoding of Windows.
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

// ParseKADS reads a KADS. Its lengths must add up to its size, and no part may be
// empty. The error wraps [ErrFormat].
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

// RSASignature returns the bare RSA signature in the Signature of a [KADS]. If sig is
// a TPMT_SIGNATURE, that is the signature in it, else all of sig. The two forms
// cannot be confused, because the sizes of RSA keys are multiples of 512 bits.
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

// A PCPKey is a key of the Windows provider (PCP_KEY_BLOB_WIN8, "PCPM"), as far as a
// verifier needs it.
type PCPKey struct {
	PublicArea []byte // TPMT_PUBLIC
	Private    []byte // encrypted private part; may be empty, because verifiers do not use it
}

// Marshal returns k in the encoding of Windows for TPM 2.0. The error says that
// PublicArea has over 65,535 bytes.
func (k *PCPKey) Marshal() ([]byte, error) {
	public, err := sized(nil, k.PublicArea)
	if err != nil {
		return nil, err
	}
	// After the platform: flags; the lengths of the public and the private part;
	// and those of seven more parts, which are absent: migration keys, policies,
	// PCR values and secrets.
	out := words(pcpMagic, pcpHeader, PlatformTPM20, 0,
		uint32(len(public)), uint32(len(k.Private)), 0, 0, 0, 0, 0, 0, 0)
	out = append(out, public...)
	return append(out, k.Private...), nil
}

// ParsePCPKey reads a key of a TPM 2.0. Its lengths must add up to its size. The error
// wraps [ErrFormat].
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
