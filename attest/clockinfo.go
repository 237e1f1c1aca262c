package attest

// A ClockInfo is the time and the firmware version of a TPM when it made a statement
// or quote (TPMS_CLOCK_INFO and firmwareVersion, TCG Part 2, 10.11.1 and 10.12.12).
//
// Two of them from the same TPM, made for nonces that a verifier gave one after the
// other, say what happened in between. If Resets is the same, the machine was not
// restarted. If Restarts is the same, too, it did not sleep either. If Firmware is
// the same, the TPM's firmware was not changed.
//
// For an attestation key in the owner hierarchy, like all keys of CreateKey, a TPM
// adds a secret number to Resets, Restarts and Firmware, different for each key, so
// that they do not identify the machine (TCG Part 3, 18.1). So compare them only
// with those from the same key: whether they are the same or, for Resets, by how
// much they differ. Firmware does not tell the version.
type ClockInfo struct {
	Clock    uint64 // milliseconds for which the TPM was on since it was last cleared
	Resets   uint32 // TPM resets since it was last cleared; each start of the machine is one
	Restarts uint32 // times that the TPM resumed after sleep or hibernation, since the last reset
	Safe     bool   // no higher Clock was reported before; false for some time after a loss of power
	Firmware uint64 // firmware version
}

// readClockInfo reads a TPMS_CLOCK_INFO and the firmware version.
func readClockInfo(r *reader) ClockInfo {
	m := ClockInfo{Clock: r.u64(), Resets: r.u32(), Restarts: r.u32()}
	safe := r.u8()
	if safe > 1 { // a TPMI_YES_NO
		r.bad = true
	}
	m.Safe, m.Firmware = safe == 1, r.u64()
	return m
}

// ClockInfo returns the TPM's time when it made s. It can be trusted only after
// [Statement.Verify]. The error, for a malformed s.Attest, is an [*Error].
func (s *Statement) ClockInfo() (ClockInfo, error) {
	if s == nil {
		return clockInfoOf(nil)
	}
	return clockInfoOf(s.Attest)
}

// ClockInfo returns the TPM's time when it made q. It can be trusted only after
// [Quote.Verify]. The error, for a malformed q.Attest, is an [*Error].
func (q *Quote) ClockInfo() (ClockInfo, error) {
	if q == nil {
		return clockInfoOf(nil)
	}
	return clockInfoOf(q.Attest)
}

func clockInfoOf(b []byte) (ClockInfo, error) {
	a, err := parseAttest(b)
	if err != nil {
		return ClockInfo{}, &Error{Op: "ClockInfo", Err: err}
	}
	return a.clock, nil
}
