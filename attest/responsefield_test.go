package attest_test

import (
	"encoding/binary"
	"strings"

	"github.com/google/go-tpm/tpm2"
)

// layouts are the parameters of answers: 2 for a TPM2B, 4 for an integer, T for
// a ticket, * for the rest.
var layouts = map[tpm2.TPMCC][]string{
	tpm2.TPMCCActivateCredential: {"2secret"},
	tpm2.TPMCCCertify:            {"2statement", "*signature"},
	tpm2.TPMCCCertifyCreation:    {"2statement", "*signature"},
	tpm2.TPMCCCreate:             {"2private", "2public", "2creation data", "2creation hash", "Tticket"},
	tpm2.TPMCCCreateLoaded:       {"2private", "2public", "2name"},
	tpm2.TPMCCCreatePrimary:      {"2public", "2creation data", "2creation hash", "Tticket", "2name"},
	tpm2.TPMCCGetCapability:      {"1more", "4capability", "*values"},
	tpm2.TPMCCLoad:               {"2name"},
	tpm2.TPMCCNVRead:             {"2data"},
	tpm2.TPMCCNVReadPublic:       {"2public", "2name"},
	tpm2.TPMCCPCRRead:            {"4counter", "*values"},
	tpm2.TPMCCPolicySecret:       {"2timeout", "Tticket"},
	tpm2.TPMCCQuote:              {"2statement", "*signature"},
	tpm2.TPMCCReadPublic:         {"2public", "2name", "2qualified name"},
	tpm2.TPMCCRSADecrypt:         {"2message"},
	tpm2.TPMCCSign:               {"*signature"},
	tpm2.TPMCCStartAuthSession:   {"2nonce"},
}

// fieldOf returns what the byte of an answer belongs to.
func fieldOf(m message, at int) string {
	b, off, end := m.bytes, 10, len(m.bytes)
	if binary.BigEndian.Uint32(b[6:]) != 0 {
		return "refusal"
	}
	if at < off {
		return "header"
	}
	if strings.Contains("CreatePrimary CreateLoaded Load StartAuthSession", ccNames[m.cc]) {
		if off += 4; at < off {
			return "handle"
		}
	}
	if b[1] == 2 { // TPM_ST_SESSIONS
		off += 4
		if end = off + int(binary.BigEndian.Uint32(b[off-4:])); at < off {
			return "size of the parameters"
		}
	}
	if at >= end {
		return authorizationOf(b[end:], at-end)
	}
	for _, f := range layouts[m.cc] {
		switch f[0] {
		case '1':
			off++
		case '4':
			off += 4
		case 'T':
			off += 8 + int(binary.BigEndian.Uint16(b[off+6:]))
		case '2':
			size := int(binary.BigEndian.Uint16(b[off:]))
			if off += 2; at < off {
				return "size of the " + f[1:]
			}
			off += size
		default:
			off = end
		}
		if at < off {
			return f[1:]
		}
	}
	return "?"
}

// authorizationOf returns what the byte of an authorization area belongs to.
func authorizationOf(b []byte, at int) string {
	nonce := int(binary.BigEndian.Uint16(b))
	mac := int(binary.BigEndian.Uint16(b[3+nonce:]))
	switch next := 5 + nonce + mac; {
	case at >= next:
		return authorizationOf(b[next:], at-next)
	case nonce+mac == 0:
		return "password"
	}
	return "session"
}
