package roots_test

// pins has the SHA-256 of the roots by maker. They do not come from the bundle.
var pins = map[string][]string{
	"AMD": {
		"593a1794f9e17476c7ad427d2908a97c451451c9e0939fdc80d5d662c232d401", // AMD Pluton Global Factory ICA
		"14aac9fd58471a612afd75d8c0955daf99f091b1863702f9e0d4113faf234f9d", // AMDTPM ECC
		"67bd2472a546751caca5f358a78f80727531671338960a9bcfdfbe6a34d0c6a1", // AMDTPM RSA
	},
	"GOOG": {
		"594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2", // EK/AK CA Root
		"9bd5285f8fb18502a7947e621ffd470266f49fcd3b73e19a190f690ad32a7caf", // tpm_ek_v1_cloud_host_root
	},
	"IFX": {
		"cfeb02fecd55ad7a73c6e1d11985d4c47dee248ab63dcb66091a2489660443c3", // Infineon OPTIGA(TM) ECC Root CA
		"ee0c827555c4e9012037df4257bb8aaa26084a17b13ede41cd7895c8d6c11190", // Infineon OPTIGA(TM) ECC Root CA 2
		"899e35474c9807eb4c7f2f7a12da0028fb250cd02154d0009fca7d9c66574f3b", // Infineon OPTIGA(TM) RSA Root CA
		"b413c71580af3ec5efe83fad31db2d4af4612355e3b01e50903b10763d738894", // Infineon OPTIGA(TM) RSA Root CA 2
	},
	"INTC": {
		"beb40bb7507b33967226aa80e084749fbb6593893c642e818d682e9a8d07fc24", // Intel OnDie CA root
	},
	"MSFT": {
		"32ab5fe7cb4396659fcb621ca14c6fb8fc2420f64050637d77e45a86c5d3916e", // Microsoft Pluton Root CA 2021
		"870c7a35ceab3d59979f2c6a524042d404cb71518004350925fb2ced79a999da", // Microsoft TPM Root Certificate Authority 2014
	},
	"NSG": {
		"6ccf8a8a803d07a002a15d4889ffa0b125e4a82a1fe4211db3c6e8592919f9dc", // NSING TPM ECC ROOT CA 001
		"72ca00612395af027cd84c5514219f110e964dfa0bfc1efbb3ac147e3b173971", // NSING TPM RSA ROOT CA 001
	},
	"NTC": {
		"083e7bd13e8fe0bb9b0c64db9e0c8356681df65714d2d5c4925eb98ae1369d40", // NPCTxxx ECC521 RootCA
		"2782e51a95e86d9557fe4204316cf805bd6f5898f81f9732e944d742bcdc5f54", // Nuvoton TPM Root CA 1110
		"e38c280f7c0e0b49f31efc7531032bb6a86c3fba4eb89beb1d510eaa4510ae4a", // Nuvoton TPM Root CA 1111
		"cd8185ff8995ed09811970090a8c36fafab34ef87f47fa51fdb9ecf95c9c2e04", // Nuvoton TPM Root CA 2111
		"66e3a1013d4f697700f731e7d68c69b58351f90ec9580d85862d020ab4abf1af", // Nuvoton TPM Root CA 2112
		"ba70a6ea7b77c7fee8947a07b1e70e0b26d39ce5e6307f63d5e4b9507f19a157", // NuvotonTPMRootCA1210
		"fc61abbc18100f460205ebe09d8c3e6995ac2be2234344a7facb62e15f9a7584", // NuvotonTPMRootCA2210
		"2bbc5db224b8f28a6d2cf336d4da7ab21c8c490e3d60ef497801dc0b6ac00227", // NuvotonTPMRootCA2211
	},
	"STM": {
		"5a8c7b5eb888cfce9322068e80e82b28b554ffeb7fdc9638dcb3763077401d26", // GlobalSign Trusted Platform Module ECC Root CA
		"f27bf02c6e00c73d915eeb6a6a2f5fbf0c31ae0393149e6b5c31e41b113841c3", // GlobalSign Trusted Platform Module Root CA
		"c541d7e5b9e3f935621acbd403896225ec641036c9ae3b5f7ac793a606ff9b79", // STM TPM ECC Root CA 01
		"f8e37a86b689a20a6cc0c40cc3f81fb130fa9f44ce7ffa60d62590aaf87273a9", // STM TPM EK Root CA
		"fd1e7b68accd825636b27b3177c67402d463a7f04c97b6c47ab705fcdc1a04f6", // STSAFE ECC Root CA 02
		"c8f179943356e13d9d84b100201cefabbf408880241e5329e60d950ce1dea623", // STSAFE RSA Root CA 02
	},
}
