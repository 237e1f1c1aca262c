package hresult

// Facilities, the upper 16 bits of a code, whose codes follow a rule: the lower bits
// are a Win32 error, an HTTP status or a TPM 2.0 response code.
const (
	FacilityWin32 = 0x8007
	FacilityHTTP  = 0x8019
	FacilityTPM   = 0x8028
)

// facilities maps the upper 16 bits of a code to the name of its family.
var facilities = map[uint32]string{
	0x8007: "WIN32",
	0x8009: "SSPI",
	0x800B: "TRUST",
	0x8018: "MENROLL",
	0x8019: "HTTP",
	0x801C: "DSREG",
	0x8024: "WU",
	0x8028: "TPM20",
	0x8029: "PCP",
	0x80D0: "DO",
	0x8103: "AUTOPILOT",
	0xC103: "AUTOPILOT",
	0x87D1: "INTUNE",
	0x87D3: "INTUNE",
	0xCAA1: "ADAL",
	0xCAA2: "ADAL",
	0xCAA3: "ADAL",
	0xCAA5: "ADAL",
	0xCAA6: "ADAL",
	0xCAA7: "ADAL",
	0xCAA8: "ADAL",
	0xCAA9: "ADAL",
	0xC004: "CLOUDAP",
}

// FamilyOf returns the family of an HRESULT, also if the table does not have the code.
// It returns nil if the family is not known.
func FamilyOf(code uint32) *Family {
	if rows := Find(code); len(rows) > 0 {
		return rows[0].Family
	}
	if rows := loaded().families[facilities[code>>16]]; len(rows) > 0 {
		return rows[0].Family
	}
	return nil
}

// Inner returns the code that another one wraps: that of WinINet for 0x80192EE1 to
// 0x80192F8F and 0xCAA82EE1 to 0xCAA82F8F, and that of an HTTP status for 0xCAA3xxxx. It
// returns 0 if code wraps none that the table has.
func Inner(code uint32) uint32 {
	inner := uint32(0)
	switch low := code & 0xFFFF; code >> 16 {
	case FacilityHTTP, 0xCAA8:
		inner = FacilityWin32<<16 | low
	case 0xCAA3:
		inner = FacilityHTTP<<16 | low
	}
	if rows := Find(inner); inner == 0 || len(rows) == 0 || rows[0].Family.Name != "WININET" && rows[0].Family.Name != "HTTP" {
		return 0
	}
	return inner
}

// Alias returns the form of code that the table has. That is the code without bit 28,
// which marks an NTSTATUS, or, for Autopilot, without bit 30, which is part of the
// severity.
func Alias(code uint32) uint32 {
	switch {
	case code>>28 == 0xD:
		return code &^ (1 << 28)
	case code>>16 == 0xC103:
		return code &^ (1 << 30)
	}
	return code
}

// A Subject is the input of a TPM command that a response code of format one refers
// to.
type Subject struct {
	Kind   string // "parameter", "handle", "session", or "" if the code does not say
	Number int    // counted from 1; 0 if Kind is empty
}

// SubjectOf returns the subject of a TPM 2.0 response code (TCG TPM 2.0 Library Part 2,
// section 6.6.2). The result is the zero value if the code has none.
func SubjectOf(rc uint32) Subject {
	const parameter, session = 0x40, 8
	n := int(rc >> 8 & 0xF)
	switch {
	case rc&format1 == 0, rc&parameter == 0 && n&^session == 0, n == 0:
		return Subject{}
	case rc&parameter != 0:
		return Subject{"parameter", n}
	case n < session:
		return Subject{"handle", n}
	}
	return Subject{"session", n - session}
}
