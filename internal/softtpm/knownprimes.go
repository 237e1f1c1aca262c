package softtpm

import (
	"encoding/hex"
	"math/big"
	"sync"
)

// knownPrimes are the primes of the two RSA primaries that nearly every test
// needs, by the key of their stream: those of the RSA EK (template L-1) and of
// the RSA SRK of the seed that package attesttest uses unless told otherwise.
// They are what the search finds, which a test checks.
var knownPrimes = sync.OnceValue(func() map[string][2]*big.Int {
	m := map[string][2]*big.Int{}
	for _, k := range []struct{ stream, p, q string }{
		{ // RSA EK
			stream: "f21b6fd830c243f5967ca55fc627b8b07c9bfd416e370dbd7cb7a5008cf03818",
			p: "" +
				"ca46d8369d43c9543016d76702a61a5e167cd0fa4dbe9f7ab89320657d51b67a35f38b7dc16e0c32e100d8b9e85be2ecf7e64eea33bf15a7c5b55b65eb3d1cc9" +
				"017444ddf81c9e68c8d0c5e1bda2c14914ab716fc0ab0319156656b0d1a3f8e78df3d6c7a361dacdbf06f956ecb99ac5daf94df4ab704c724b74e9941a428f15",
			q: "" +
				"e0640d5dcc76f6d2049bf69ccf2381f49a0e270e2632c9a36383c23de21e2ae83fd77e631e1b8115a4004cafb645648c565a50e045e31ed0b893bdbe87c144fe" +
				"3590a0fb662e8e469c34a9680a5da9121dd1638434f654cf541eaf030bf1549b86b2c7c2b253b4c70a1b92d495399b8cf401d268219643cf6d6c7e2176a042df",
		},
		{ // RSA SRK
			stream: "ba540c29d9a45b0cb0045729c7d412444490633a2969a8d320872eff61bfbbd2",
			p: "" +
				"e716aa0b0ae01c4ecf79597aedb150e5e6481a4be6e110bc5aab2a603b876c32c87c95bf98d079daf04a94b3e28b6fdaa3ea4433ba7542472c81e2dd97df6ab5" +
				"c74f5f8e1576aee21c4a89172995a4e2bc2460a6b02624c92a646bdeea05b57556ae9aaaa87abefc0026779718b0c7df1549891bb575cf2744fe2ef63848347f",
			q: "" +
				"f4e4f3dde9d66e8ebb0ffedd7e660e99e6099dd73287c3406e0363954263bdedf5fc572f4bcb191da1cb0787c96b85c9543c2b20f7dad3beea3942237956cedd" +
				"454e279a4e5f65379d0b7d22edd1f53e3fa3cd417ef970facb72d10ed7a4d7a7f4a0722e53dbc0457ef537cd8181ac49513dbd15f94a8e17b2b9cbd0bc97d26d",
		},
	} {
		key, err := hex.DecodeString(k.stream)
		p, ok1 := new(big.Int).SetString(k.p, 16)
		q, ok2 := new(big.Int).SetString(k.q, 16)
		if err == nil && ok1 && ok2 {
			m[string(key)] = [2]*big.Int{p, q}
		}
	}
	return m
})
