// Package roots has the root certificates and the intermediate CAs of TPM makers, for
// the fields Roots, Pins and Intermediates of an ekcert.Client:
//
//	makers, intermediates, err := roots.Load()
//	...
//	client := &ekcert.Client{Roots: makers, Pins: roots.Pins(), Intermediates: intermediates}
//
// Each root is trusted for its own maker only.
//
// # Origin
//
// The certificates are those of the Go module
// github.com/loicsikidi/tpm-ca-certificates (BSD-3-Clause), version v0.9.0 of April
// 2026, which documents the source of each. The program internal/gen generates the
// bundle from it; the go command checks the module against its go.sum. The header of the
// bundle has the module's version and hash. The module is not a dependency of this one.
//
// Trust in the bundle is trust in the author of that module. If you need more, build
// your own pools, for example from Microsoft's TrustedTpm.cab.
//
// # Contents
//
// The bundle has AMD, IFX (Infineon), INTC (Intel On-Die CA, for the 11th generation and
// later), MSFT (Pluton, and the TPM root of 2014), NSG (NSING), NTC (Nuvoton) and STM
// (STMicroelectronics, with the GlobalSign roots above it). One of the roots is not
// self-signed: AMD's Pluton Global Factory ICA, whose root is not published. The bundle
// lacks:
//
//   - Intel's root for machines before the 11th generation (EPID), under which Intel's
//     service issues;
//   - Nuvoton's roots 0100 and 2110, the CAs of some families of AMD, and
//     Infineon's third generation of roots;
//   - the roots above ten of its own intermediate CAs: four of STM for ECC keys (ECC 02
//     and 03, ECC384 01 and 02) and the first six of AMD's Pluton;
//   - NTZ (Nationz), QCOM (Qualcomm), ATML (Atmel) and all other makers;
//   - the virtual TPMs of GOOG (Google), VMW, AMZN, Alibaba and swtpm;
//   - certificates that had expired when the module was made, or are signed with SHA-1,
//     as for TPM 1.2, which crypto/x509 does not verify.
//
// For some of the missing roots, [Pins] has the SHA-256, so that an ekcert.Client
// accepts them when it finds them. Add others to the pools that [Load] returns.
package roots

//go:generate go -C internal/gen run . -o ../../bundle.pem
