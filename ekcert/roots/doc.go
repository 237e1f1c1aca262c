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
// 2026, which documents the source of each. Google's are those of
// github.com/google/go-tpm-tools (Apache-2.0), version v0.4.7, folder server/ca-certs. The
// program internal/gen generates the bundle from them; the go command checks the modules
// against its go.sum. The header of the bundle has their versions and hashes. They are no
// dependencies of this module.
//
// Trust in the bundle is trust in the authors of these modules. If you need more, build
// your own pools, for example from Microsoft's TrustedTpm.cab.
//
// # Contents
//
// The bundle has AMD, GOOG (the virtual TPMs of Google's cloud), IFX (Infineon), INTC (Intel On-Die CA, for the 11th generation and
// later), MSFT (Pluton, and the TPM root of 2014), NSG (NSING), NTC (Nuvoton) and STM
// (STMicroelectronics, with the GlobalSign roots above it). One of the roots is not
// self-signed: AMD's Pluton Global Factory ICA, whose root is not published. The bundle
// lacks:
//
//   - Intel's root for machines before the 11th generation (EPID), under which Intel's
//     service issues;
//   - Nuvoton's roots 0100 and 2110, the CAs of some families of AMD, and
//     Infineon's third generation of roots;
//   - the roots above four of its own intermediate CAs, of STM for ECC keys (ECC 02 and
//     03, ECC384 01 and 02). Six of AMD's for Pluton lead to Microsoft's root, so they
//     are for certificates that name Microsoft as maker;
//   - NTZ (Nationz), QCOM (Qualcomm), ATML (Atmel) and all other makers;
//   - the virtual TPMs of VMW, AMZN, Alibaba and swtpm;
//   - certificates that had expired when the module was made, or are signed with SHA-1,
//     as for TPM 1.2, which crypto/x509 does not verify.
//
// For some of the missing roots, [Pins] has the SHA-256, so that an ekcert.Client
// accepts them when it finds them. Add others to the pools that [Load] returns.
package roots

//go:generate go -C internal/gen run . -o ../../bundle.pem
