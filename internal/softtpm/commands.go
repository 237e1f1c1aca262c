package softtpm

import "sync"

// Command codes (part 2, 6.5.2).
const (
	ccEvictControl        = 0x120
	ccNVUndefineSpace     = 0x122
	ccHierarchyChangeAuth = 0x129
	ccNVDefineSpace       = 0x12A
	ccCreatePrimary       = 0x131
	ccLockReset           = 0x139
	ccLockParameters      = 0x13A
	ccNVWrite             = 0x137
	ccSelfTest            = 0x143
	ccStartup             = 0x144
	ccShutdown            = 0x145
	ccActivateCredential  = 0x147
	ccCertify             = 0x148
	ccCertifyCreation     = 0x14A
	ccNVRead              = 0x14E
	ccPolicySecret        = 0x151
	ccCreate              = 0x153
	ccECDHZGen            = 0x154
	ccLoad                = 0x157
	ccQuote               = 0x158
	ccRSADecrypt          = 0x159
	ccSign                = 0x15D
	ccFlushContext        = 0x165
	ccLoadExternal        = 0x167
	ccMakeCredential      = 0x168
	ccNVReadPublic        = 0x169
	ccPolicyAuthValue     = 0x16B
	ccPolicyCommandCode   = 0x16C
	ccPolicyOR            = 0x171
	ccReadPublic          = 0x173
	ccRSAEncrypt          = 0x174
	ccStartAuthSession    = 0x176
	ccVerifySignature     = 0x177
	ccGetCapability       = 0x17A
	ccGetRandom           = 0x17B
	ccHash                = 0x17D
	ccPCRRead             = 0x17E
	ccPolicyPCR           = 0x17F
	ccPCRExtend           = 0x182
	ccPolicyGetDigest     = 0x189
	ccCreateLoaded        = 0x191
)

// h puts the handles of a command together.
func h(s ...slot) []slot { return s }

var table struct {
	sync.Once
	m map[uint32]*command
}

// commands returns the table of what is implemented, by command code.
func commands() map[uint32]*command {
	table.Do(func() {
		m := map[uint32]*command{}
		sessionCommands(m)
		objectCommands(m)
		keyCommands(m)
		storageCommands(m)
		generalCommands(m)
		table.m = m
	})
	return table.m
}

func sessionCommands(m map[uint32]*command) {
	pol := slot{isPolicy, none}
	m[ccStartAuthSession] = &command{name: "TPM2_StartAuthSession", handles: h(slot{isObjectNull, none}, slot{isEntityNull, none}), handleOut: true, decrypt: true, encrypt: true, run: startAuthSession}
	m[ccPolicySecret] = &command{name: "TPM2_PolicySecret", handles: h(slot{isEntity, user}, pol), decrypt: true, encrypt: true, run: policySecret}
	m[ccPolicyOR] = &command{name: "TPM2_PolicyOR", handles: h(pol), run: policyOR}
	m[ccPolicyCommandCode] = &command{name: "TPM2_PolicyCommandCode", handles: h(pol), run: policyCommandCode}
	m[ccPolicyAuthValue] = &command{name: "TPM2_PolicyAuthValue", handles: h(pol), run: policyAuthValue}
	m[ccPolicyPCR] = &command{name: "TPM2_PolicyPCR", handles: h(pol), decrypt: true, run: policyPCR}
	m[ccPolicyGetDigest] = &command{name: "TPM2_PolicyGetDigest", handles: h(pol), encrypt: true, run: policyGetDigest}
}

func objectCommands(m map[uint32]*command) {
	m[ccCreatePrimary] = &command{name: "TPM2_CreatePrimary", handles: h(slot{isHierarchy, user}), handleOut: true, decrypt: true, encrypt: true, run: createPrimary}
	m[ccCreate] = &command{name: "TPM2_Create", handles: h(slot{isObject, user}), decrypt: true, encrypt: true, run: create}
	m[ccCreateLoaded] = &command{name: "TPM2_CreateLoaded", handles: h(slot{isParentLike, user}), handleOut: true, decrypt: true, encrypt: true, run: createLoaded}
	m[ccLoad] = &command{name: "TPM2_Load", handles: h(slot{isObject, user}), handleOut: true, decrypt: true, encrypt: true, run: load}
	m[ccLoadExternal] = &command{name: "TPM2_LoadExternal", handleOut: true, decrypt: true, encrypt: true, run: loadExternal}
	m[ccReadPublic] = &command{name: "TPM2_ReadPublic", handles: h(slot{isObject, none}), encrypt: true, run: readPublic}
	m[ccFlushContext] = &command{name: "TPM2_FlushContext", noSessions: true, run: flushContext}
	m[ccEvictControl] = &command{name: "TPM2_EvictControl", handles: h(slot{isProvision, user}, slot{isObject, none}), run: evictControl}
	m[ccLockReset] = &command{name: "TPM2_DictionaryAttackLockReset", handles: h(slot{isLockout, user}), run: lockReset}
	m[ccLockParameters] = &command{name: "TPM2_DictionaryAttackParameters", handles: h(slot{isLockout, user}), run: lockParameters}
	m[ccHierarchyChangeAuth] = &command{name: "TPM2_HierarchyChangeAuth", handles: h(slot{isHierAuth, user}), decrypt: true, run: hierarchyChangeAuth}
}

func keyCommands(m map[uint32]*command) {
	m[ccMakeCredential] = &command{name: "TPM2_MakeCredential", handles: h(slot{isObject, none}), decrypt: true, encrypt: true, run: makeCredential}
	m[ccActivateCredential] = &command{name: "TPM2_ActivateCredential", handles: h(slot{isObject, admin}, slot{isObject, user}), decrypt: true, encrypt: true, run: activateCredential}
	m[ccCertify] = &command{name: "TPM2_Certify", handles: h(slot{isObject, admin}, slot{isObjectNull, user}), decrypt: true, encrypt: true, run: certify}
	m[ccCertifyCreation] = &command{name: "TPM2_CertifyCreation", handles: h(slot{isObjectNull, user}, slot{isObject, none}), decrypt: true, encrypt: true, run: certifyCreation}
	m[ccQuote] = &command{name: "TPM2_Quote", handles: h(slot{isObjectNull, user}), decrypt: true, encrypt: true, run: quote}
	m[ccSign] = &command{name: "TPM2_Sign", handles: h(slot{isObject, user}), decrypt: true, run: sign}
	m[ccVerifySignature] = &command{name: "TPM2_VerifySignature", handles: h(slot{isObject, none}), decrypt: true, run: verifySignature}
	m[ccECDHZGen] = &command{name: "TPM2_ECDH_ZGen", handles: h(slot{isObject, user}), decrypt: true, encrypt: true, run: ecdhZGen}
	m[ccRSADecrypt] = &command{name: "TPM2_RSA_Decrypt", handles: h(slot{isObject, user}), decrypt: true, encrypt: true, run: rsaDecrypt}
	m[ccRSAEncrypt] = &command{name: "TPM2_RSA_Encrypt", handles: h(slot{isObject, none}), decrypt: true, encrypt: true, run: rsaEncrypt}
}

func storageCommands(m map[uint32]*command) {
	m[ccNVDefineSpace] = &command{name: "TPM2_NV_DefineSpace", handles: h(slot{isProvision, user}), decrypt: true, run: nvDefineSpace}
	m[ccNVUndefineSpace] = &command{name: "TPM2_NV_UndefineSpace", handles: h(slot{isProvision, user}, slot{isNV, none}), run: nvUndefineSpace}
	m[ccNVReadPublic] = &command{name: "TPM2_NV_ReadPublic", handles: h(slot{isNV, none}), encrypt: true, run: nvReadPublic}
	m[ccNVWrite] = &command{name: "TPM2_NV_Write", handles: h(slot{isNVAuth, user}, slot{isNV, none}), decrypt: true, writesNV: true, run: nvWrite}
	m[ccNVRead] = &command{name: "TPM2_NV_Read", handles: h(slot{isNVAuth, user}, slot{isNV, none}), encrypt: true, run: nvRead}
	m[ccPCRRead] = &command{name: "TPM2_PCR_Read", run: pcrRead}
	m[ccPCRExtend] = &command{name: "TPM2_PCR_Extend", handles: h(slot{isPCRNull, user}), run: pcrExtend}
}

func generalCommands(m map[uint32]*command) {
	m[ccStartup] = &command{name: "TPM2_Startup", noSessions: true, run: startup}
	m[ccShutdown] = &command{name: "TPM2_Shutdown", run: shutdown}
	m[ccSelfTest] = &command{name: "TPM2_SelfTest", run: selfTest}
	m[ccGetCapability] = &command{name: "TPM2_GetCapability", run: getCapability}
	m[ccGetRandom] = &command{name: "TPM2_GetRandom", encrypt: true, run: getRandom}
	m[ccHash] = &command{name: "TPM2_Hash", decrypt: true, encrypt: true, run: hashCommand}
}

// CommandName returns the name of a command code, such as TPM2_Create, or ""
// if it is not implemented.
func CommandName(cc uint32) string {
	if c := commands()[cc]; c != nil {
		return c.name
	}
	return ""
}
