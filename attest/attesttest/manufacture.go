package attesttest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/whiteglove/whiteglove/internal/softtpm"
)

// The NV indexes and persistent handles that the TCG and Windows use.
const (
	nvRSACertificate  = 0x01C00002
	nvRSANonce        = 0x01C00003
	nvRSATemplate     = 0x01C00004
	nvECCCertificate  = 0x01C0000A
	nvHighCertificate = 0x01C0001C // of H-6
	nvChain           = 0x01C00100
	handleEK          = 0x81010001
	handleSRK         = 0x81000001
	maxStateFile      = 4 << 20
	ownerRoot         = softtpm.Owner
	endorsementRoot   = softtpm.Endorsement
)

// templateRSAEK, templateECCEK and templateSRK return the TPMT_PUBLIC of the
// templates L-1 and L-2 of the TCG EK Credential Profile and of the RSA SRK.
func templateRSAEK() []byte { return tpm2.Marshal(tpm2.RSAEKTemplate) }
func templateECCEK() []byte { return tpm2.Marshal(tpm2.ECCEKTemplate) }
func templateSRK() []byte   { return tpm2.Marshal(tpm2.RSASRKTemplate) }

// templateHighEK returns the TPMT_PUBLIC of the TCG's template H-6: RSA 3072
// with SHA-384 and AES-256, and PolicyB.
func templateHighEK() []byte {
	policy := []byte("\xb2\x6e\x7d\x28\xd1\x1a\x50\xbc\x53\xd8\x82\xbc\xf5\xfd\x3a\x1a\x07\x41\x48\xbb\x35\xd3\xb4\xe4" +
		"\xcb\x1c\x0a\xd9\xbd\xe4\x19\xca\xcb\x47\xba\x09\x69\x96\x46\x15\x0f\x9f\xc0\x00\xf3\xf8\x0e\x12")
	b := []byte{0, 1, 0, 0x0C, 0, 3, 0, 0xF2, 0, byte(len(policy))}
	b = append(b, policy...)
	return append(b, 0, 6, 1, 0, 0, 0x43, 0, 0x10, 0x0C, 0, 0, 0, 0, 0, 0, 0)
}

func (t *TPM) maker() *Maker {
	if t.cfg.Maker != nil {
		return t.cfg.Maker
	}
	return DefaultMaker()
}

// An endorsement is an EK: its template and the index of its certificate.
type endorsement struct {
	template    []byte
	certificate uint32
}

// endorsements returns the EKs of a TPM; the first is the one that Windows keeps.
func (t *TPM) endorsements() []endorsement {
	first := endorsement{templateRSAEK(), nvRSACertificate}
	if t.cfg.EKTemplate != nil {
		first.template = t.cfg.EKTemplate
	}
	if n := t.cfg.EKNonce; n != nil {
		first.template = withNonce(first.template, n)
	}
	if t.cfg.RSA3072Default {
		first = endorsement{templateHighEK(), nvHighCertificate}
	}
	return []endorsement{first, {templateECCEK(), nvECCCertificate}}
}

// withNonce puts a nonce into the unique field of an RSA 2048 template, its
// last.
func withNonce(template, nonce []byte) []byte {
	at := bytes.LastIndex(template, append([]byte{1, 0}, make([]byte, 256)...))
	if at < 0 {
		return template
	}
	b := bytes.Clone(template)
	copy(b[at+2:], nonce)
	return b
}

// manufacture makes a new TPM from a seed.
func (t *TPM) manufacture(seed []byte) (*softtpm.TPM, error) {
	core := softtpm.New(t.identity(), seed)
	eks := t.endorsements()
	if !t.cfg.Fresh {
		if _, err := core.Primary(endorsementRoot, eks[0].template, handleEK); err != nil {
			return nil, fmt.Errorf("attesttest: EK: %w", err)
		}
		if _, err := core.Primary(ownerRoot, templateSRK(), handleSRK); err != nil {
			return nil, fmt.Errorf("attesttest: SRK: %w", err)
		}
	}
	if err := t.writeNV(core, seed, eks); err != nil {
		return nil, err
	}
	core.SetEndorsementAuth(t.cfg.EndorsementAuth)
	if r := t.cfg.Recovery; r != 0 {
		core.SetLockout(softtpm.Lockout{MaxTries: 32, Recovery: uint32(r / time.Second), Reset: 86400})
	}
	return core, nil
}

// writeNV writes what the maker puts into NV memory.
func (t *TPM) writeNV(core *softtpm.TPM, seed []byte, eks []endorsement) error {
	contents := map[uint32][]byte{}
	if t.cfg.EKNonce != nil {
		contents[nvRSANonce] = t.cfg.EKNonce
	}
	if t.cfg.EKTemplate != nil {
		contents[nvRSATemplate] = t.cfg.EKTemplate
	}
	if !t.cfg.NoCertificate {
		owner := core
		if t.cfg.ForeignEK {
			owner = softtpm.New(t.identity(), append([]byte("foreign "), seed...))
		}
		for _, ek := range eks {
			cert, err := t.certificate(owner, ek.template)
			if err != nil {
				return err
			}
			contents[ek.certificate] = cert
		}
		if !t.cfg.NoChain {
			contents[nvChain] = t.maker().issuing.Raw
		}
	}
	for index, data := range contents {
		if err := core.WriteNV(index, softtpm.NVCertificate, data); err != nil {
			return fmt.Errorf("attesttest: %w", err)
		}
	}
	return nil
}

// certificate returns the certificate of an EK of core in the form that it has in
// NV memory.
func (t *TPM) certificate(core *softtpm.TPM, template []byte) ([]byte, error) {
	area, err := core.Primary(endorsementRoot, template, 0)
	if err != nil {
		return nil, fmt.Errorf("attesttest: EK: %w", err)
	}
	cert, err := certificateOf(t.maker(), area)
	if err != nil {
		return nil, err
	}
	if t.cfg.TCGHeader {
		head := binary.BigEndian.AppendUint16([]byte{0x10, 0x01, 0}, uint16(len(cert)))
		cert = append(head, cert...)
	}
	if t.cfg.Padded && len(cert) < paddedSize {
		cert = append(cert, bytes.Repeat([]byte{0xFF}, paddedSize-len(cert))...)
	}
	return cert, nil
}

const paddedSize = 1600

// certificateOf returns the EK certificate of a TPMT_PUBLIC, in DER.
func certificateOf(m *Maker, area []byte) ([]byte, error) {
	p, err := tpm2.Unmarshal[tpm2.TPMTPublic](area)
	if err != nil {
		return nil, fmt.Errorf("attesttest: EK: %w", err)
	}
	key, err := tpm2.Pub(*p)
	if err != nil {
		return nil, fmt.Errorf("attesttest: EK: %w", err)
	}
	cert, err := m.EKCertificate(key)
	if err != nil {
		return nil, err
	}
	return cert.Raw, nil
}
