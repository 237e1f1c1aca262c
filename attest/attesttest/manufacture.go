package attesttest

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/whiteglove/whiteglove/internal/softtpm"
)

// Where the TCG and Windows put things.
const (
	nvRSACertificate = 0x01C00002
	nvECCCertificate = 0x01C0000A
	nvChain          = 0x01C00100
	handleEK         = 0x81010001
	handleSRK        = 0x81000001
	maxStateFile     = 4 << 20
	stateFileMode    = 0o600
	ownerRoot        = softtpm.Owner
	endorsementRoot  = softtpm.Endorsement
)

// templateRSAEK and the others return the TPMT_PUBLIC of the TCG's templates
// L-1 and L-2 and of the RSA SRK.
func templateRSAEK() []byte { return tpm2.Marshal(tpm2.RSAEKTemplate) }
func templateECCEK() []byte { return tpm2.Marshal(tpm2.ECCEKTemplate) }
func templateSRK() []byte   { return tpm2.Marshal(tpm2.RSASRKTemplate) }

func (t *TPM) maker() *Maker {
	if t.cfg.Maker != nil {
		return t.cfg.Maker
	}
	return DefaultMaker()
}

// manufacture makes a new TPM of a seed.
func (t *TPM) manufacture(seed []byte) (*softtpm.TPM, error) {
	core := softtpm.New(identity, seed)
	if !t.cfg.Fresh {
		if _, err := core.Primary(endorsementRoot, templateRSAEK(), handleEK); err != nil {
			return nil, fmt.Errorf("attesttest: EK: %w", err)
		}
		if _, err := core.Primary(ownerRoot, templateSRK(), handleSRK); err != nil {
			return nil, fmt.Errorf("attesttest: SRK: %w", err)
		}
	}
	if t.cfg.NoCertificate {
		return core, nil
	}
	for index, template := range map[uint32][]byte{nvRSACertificate: templateRSAEK(), nvECCCertificate: templateECCEK()} {
		area, err := core.Primary(endorsementRoot, template, 0)
		if err != nil {
			return nil, fmt.Errorf("attesttest: EK: %w", err)
		}
		cert, err := certificateOf(t.maker(), area)
		if err != nil {
			return nil, err
		}
		if err := core.WriteNV(index, softtpm.NVCertificate, cert); err != nil {
			return nil, fmt.Errorf("attesttest: %w", err)
		}
	}
	if err := core.WriteNV(nvChain, softtpm.NVCertificate, t.maker().issuing.Raw); err != nil {
		return nil, fmt.Errorf("attesttest: %w", err)
	}
	return core, nil
}

// certificateOf returns the EK certificate of a TPMT_PUBLIC.
func certificateOf(m *Maker, area []byte) ([]byte, error) {
	p, err := tpm2.Unmarshal[tpm2.TPMTPublic](area)
	if err != nil {
		return nil, fmt.Errorf("attesttest: EK: %w", err)
	}
	key, err := tpm2.Pub(*p)
	if err != nil {
		return nil, fmt.Errorf("attesttest: EK: %w", err)
	}
	return m.EKCertificate(key)
}
