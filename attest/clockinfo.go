package attest

// A ClockInfo is what a TPM says in a statement or quote of its time and its
// firmware (TPMS_CLOCK_INFO, TCG Part 2, 10.11.1).
//
// Two of the same TPM, made for nonces that a verifier gave one after the
// other, say what happened in between: if Resets is the same, the machine was
// not started anew; if Restarts is too, it did not sleep either; if Firmware is
// the same, the TPM's firmware was not changed.
//
// A TPM adds to Resets, Restarts and Firmware a secret number for each
// attestation key that is not under the endorsement or the platform hierarchy,
// as no key of CreateKey is, so that they do not tell who it is (TCG Part 3,
// 18.1). So compare them only with those of the same key, for being the same
// or, with Resets, for the difference; and Firmware cannot be looked up.
type ClockInfo struct {
	Clock    uint64 // milliseconds that the TPM was on since it was last cleared
	Resets   uint32 // how often the TPM was reset since then, as at each start of the machine
	Restarts uint32 // how often it went on after hibernation or sleep since the last reset
	Safe     bool   // Clock was never above this before; false for a time after a loss of power
	Firmware uint64 // version
}

func readClockInfo(r *reader) ClockInfo {
	m := ClockInfo{Clock: r.u64(), Resets: r.u32(), Restarts: r.u32()}
	safe := r.u8()
	if safe > 1 { // a TPMI_YES_NO
		r.bad = true
	}
	m.Safe, m.Firmware = safe == 1, r.u64()
	return m
}

// ClockInfo returns when s was made. It is to be believed once Verify has passed.
func (s *Statement) ClockInfo() (ClockInfo, error) { return clockInfoOf(s.Attest) }

// ClockInfo returns when q was made. It is to be believed once Verify has passed.
func (q *Quote) ClockInfo() (ClockInfo, error) { return clockInfoOf(q.Attest) }

func clockInfoOf(b []byte) (ClockInfo, error) {
	a, err := parseAttest(b)
	if err != nil {
		return ClockInfo{}, &Error{Op: "ClockInfo", Err: err}
	}
	return a.clock, nil
}
