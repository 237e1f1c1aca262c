package main

import (
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// Bits of TPMA_PERMANENT and TPMA_STARTUP_CLEAR (TCG TPM 2.0 Library Part 2,
// sections 8.6 and 8.7).
const (
	endorsementAuthSet = 1 << 1
	inLockout          = 1 << 9
	generatedEPS       = 1 << 10

	ownerEnabled       = 1 << 1
	endorsementEnabled = 1 << 2
)

// state checks the lockout and the hierarchies.
func (c *tpmCheck) state() {
	r := c.add("lockout")
	p, err := properties(c.dev, tpm2.TPMPTPermanent, 32)
	if err != nil {
		r.failed(err, "Restart the machine and try again.")
		return
	}
	judgeLockout(r, p)
	judgeHierarchies(c.add("hierarchies"), p)
}

// judgeLockout notes how close the TPM is to a lockout after wrong authorization
// values.
func judgeLockout(r *result, p map[tpm2.TPMPT]uint32) {
	tries, most := p[tpm2.TPMPTLockoutCounter], p[tpm2.TPMPTMaxAuthFail]
	each := time.Duration(p[tpm2.TPMPTLockoutInterval]) * time.Second
	detail := fmt.Sprintf("%d of %d wrong authorization values; one is forgotten every %v", tries, most, each)
	wait := fmt.Sprintf("Leave the machine on for %v, or clear the TPM.", each)
	switch {
	case p[tpm2.TPMPTPermanent]&inLockout != 0:
		r.note(fail, "locked: "+detail, wait)
	case most > 0 && tries > most/2:
		r.note(warn, detail, wait)
	default:
		r.note(pass, detail, "")
	}
}

// judgeHierarchies notes whether the hierarchies can be used, and who made the
// endorsement seed.
func judgeHierarchies(r *result, p map[tpm2.TPMPT]uint32) {
	permanent, enabled := p[tpm2.TPMPTPermanent], p[tpm2.TPMPTStartupClear]
	switch {
	case enabled&ownerEnabled == 0 || enabled&endorsementEnabled == 0:
		r.note(fail, "the owner or the endorsement hierarchy is turned off until the next start", "Turn on the TPM fully in the firmware's setup, and restart.")
	case permanent&generatedEPS != 0:
		r.note(warn, "the TPM made the endorsement seed, not its maker: a certificate of the maker is for another key", "If the EK certificate does not match, the maker has to repair the TPM or issue a new one.")
	case permanent&endorsementAuthSet != 0:
		r.note(warn, "the endorsement hierarchy has an authorization value, as Windows sets it", "The endorsement key cannot be used without the value: check on the system that set it, or clear the TPM.")
	default:
		r.note(pass, "owner and endorsement hierarchies are on", "")
	}
}
