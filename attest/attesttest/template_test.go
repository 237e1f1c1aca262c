package attesttest_test

import "github.com/google/go-tpm/tpm2"

// A shape says what template to make.
type shape struct {
	restricted, sign, decrypt, da bool
	policy                        []byte // also for ADMIN
	hash                          tpm2.TPMIAlgHash
}

func (s shape) attributes() tpm2.TPMAObject {
	return tpm2.TPMAObject{
		FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: !s.da,
		AdminWithPolicy: s.policy != nil, Restricted: s.restricted, SignEncrypt: s.sign, Decrypt: s.decrypt,
	}
}

func (s shape) scheme() tpm2.TPMIAlgHash {
	if s.hash == 0 {
		return tpm2.TPMAlgSHA256
	}
	return s.hash
}

// ecc is a template of an ECC key; a restricted one signs with ECDSA.
func (s shape) ecc(curve tpm2.TPMECCCurve) tpm2.TPMTPublic {
	parms := &tpm2.TPMSECCParms{CurveID: curve}
	if s.restricted && s.sign {
		parms.Scheme = tpm2.TPMTECCScheme{
			Scheme:  tpm2.TPMAlgECDSA,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: s.scheme()}),
		}
	}
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: s.attributes(),
		AuthPolicy: tpm2.TPM2BDigest{Buffer: s.policy},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, parms),
	}
}

// rsa is a template of an RSA key; a restricted one signs with RSASSA.
func (s shape) rsa(bits tpm2.TPMKeyBits) tpm2.TPMTPublic {
	parms := &tpm2.TPMSRSAParms{KeyBits: bits}
	if s.restricted && s.sign {
		parms.Scheme = tpm2.TPMTRSAScheme{
			Scheme:  tpm2.TPMAlgRSASSA,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: s.scheme()}),
		}
	}
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: s.attributes(),
		AuthPolicy: tpm2.TPM2BDigest{Buffer: s.policy},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, parms),
	}
}

// ecdsaScheme, rsassa and rsapss are signing schemes.
func ecdsaScheme(h tpm2.TPMIAlgHash) tpm2.TPMTSigScheme {
	return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSchemeHash{HashAlg: h})}
}

func rsassa(h tpm2.TPMIAlgHash) tpm2.TPMTSigScheme {
	return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSchemeHash{HashAlg: h})}
}

func rsapss(h tpm2.TPMIAlgHash) tpm2.TPMTSigScheme {
	return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgRSAPSS, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSAPSS, &tpm2.TPMSSchemeHash{HashAlg: h})}
}

// oaep and rsaes are decryption schemes.
func oaep(h tpm2.TPMIAlgHash) tpm2.TPMTRSADecrypt {
	return tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgOAEP, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: h})}
}

func rsaes() tpm2.TPMTRSADecrypt {
	return tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgRSAES, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAES, &tpm2.TPMSEncSchemeRSAES{})}
}

// ek384 is the template H-3 of the EK credential profile: P-384, with the
// policies that its authPolicy is the OR of.
func ek384() (template tpm2.TPMTPublic, a, c []byte) {
	a = unhex("8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53")
	b := unhex("b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12")
	c = unhex("d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165")
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA384,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, AdminWithPolicy: true,
			Restricted: true, Decrypt: true,
		},
		AuthPolicy: tpm2.TPM2BDigest{Buffer: b},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			CurveID: tpm2.TPMECCNistP384,
			Symmetric: tpm2.TPMTSymDefObject{
				Algorithm: tpm2.TPMAlgAES,
				KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(256)),
				Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
			},
		}),
	}, a, c
}
