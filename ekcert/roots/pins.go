package roots

import (
	"crypto/sha256"
	"encoding/hex"
)

// pins has the SHA-256 of roots that the bundle lacks. They were computed from the
// certificate stores of keylime (INTC, NTC) and ibmtss (NTZ).
var pins = map[string][]string{
	"INTC": {"2e1b3ba79af56d758be51697621bc4b9e8cee0983db3e749c55eb9b37c6d2ae0"}, // EPID, for Intel's service
	"NTC": {
		"887bc9658ffc6ad7f4eeb85c8819772ff609ee64c4dac4a6dca654a39e94b289", // Nuvoton TPM Root CA 0100
		"4aebe77a51ed29959a7f9f5e07a24a558dee8167f3985d724995a541c258dfda", // Nuvoton TPM Root CA 2110
	},
	"NTZ": {"1293d71d6f61c86b98102fd3d4085ff12538f108e925489c0d545059e5f89c36"}, // Nationz TPM Root CA
}

// Pins returns the SHA-256 digests of root certificates (DER) that the bundle lacks, by
// maker, for the Pins of an ekcert.Client: Intel's root for machines before the 11th
// generation, under which its service issues, Nuvoton's 0100 and 2110, and Nationz's. The
// client must get the certificates themselves from elsewhere: with the
// certificate of a TPM, or from the network. The map is the caller's own.
func Pins() map[string][][sha256.Size]byte {
	out := make(map[string][][sha256.Size]byte, len(pins))
	for vendor, list := range pins {
		for _, s := range list {
			var sum [sha256.Size]byte
			if n, err := hex.Decode(sum[:], []byte(s)); err != nil || n != len(sum) {
				continue // a test checks that this does not happen
			}
			out[vendor] = append(out[vendor], sum)
		}
	}
	return out
}
