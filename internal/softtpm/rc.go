package softtpm

// A code is a TPM_RC (part 2, 6.6).
type code uint32

// Format-zero codes and warnings: they take no number.
const (
	rcInitialize      code = 0x100
	rcFailure         code = 0x101
	rcAuthType        code = 0x124
	rcAuthMissing     code = 0x125
	rcCommandSize     code = 0x142
	rcCommandCode     code = 0x143
	rcAuthSize        code = 0x144
	rcAuthContext     code = 0x145
	rcNVRange         code = 0x146
	rcNVLocked        code = 0x148
	rcNVAuthorization code = 0x149
	rcNVUninitialized code = 0x14A
	rcNVSpace         code = 0x14B
	rcNVDefined       code = 0x14C
	rcCpHash          code = 0x151
	rcPCRChanged      code = 0x128
	rcAuthUnavailable code = 0x12F
	rcBadTag          code = 0x01E
	rcObjectMemory    code = 0x902
	rcSessionMemory   code = 0x903
	rcReferenceH0     code = 0x910
	rcReferenceS0     code = 0x918
	rcLockout         code = 0x921
)

// Format-one codes: parameter, handle or session numbers are added.
const (
	rcAttributes   code = 0x082
	rcHash         code = 0x083
	rcValue        code = 0x084
	rcHierarchy    code = 0x085
	rcKeySize      code = 0x087
	rcMode         code = 0x089
	rcType         code = 0x08A
	rcHandle       code = 0x08B
	rcKDF          code = 0x08C
	rcRange        code = 0x08D
	rcAuthFail     code = 0x08E
	rcNonce        code = 0x08F
	rcScheme       code = 0x092
	rcSize         code = 0x095
	rcSymmetric    code = 0x096
	rcTag          code = 0x097
	rcInsufficient code = 0x09A
	rcSignature    code = 0x09B
	rcKey          code = 0x09C
	rcPolicyFail   code = 0x09D
	rcIntegrity    code = 0x09F
	rcTicket       code = 0x0A0
	rcReservedBits code = 0x0A1
	rcBadAuth      code = 0x0A2
	rcExpired      code = 0x0A3
	rcPolicyCC     code = 0x0A4
	rcBinding      code = 0x0A5
	rcCurve        code = 0x0A6
	rcECCPoint     code = 0x0A7
)

// plain reports whether c is of format one and bears no number yet.
func (c code) plain() bool { return c&0x80 != 0 && c&0xF40 == 0 && c < 0x100 }

// param numbers c as a fault of parameter n.
func (c code) param(n int) code {
	if !c.plain() {
		return c
	}
	return c | 0x40 | code(n)<<8
}

// handle numbers c as a fault of handle n.
func (c code) handle(n int) code {
	if !c.plain() {
		return c
	}
	return c | code(n)<<8
}

// session numbers c as a fault of session n.
func (c code) session(n int) code {
	if !c.plain() {
		return c
	}
	return c | 0x800 | code(n)<<8
}
