// Package roots has the roots and the intermediate CAs of the makers of TPMs,
// each for its own maker only, for the Roots and Intermediates of an
// ekcert.Client.
//
// The certificates are those of the Go module
// github.com/loicsikidi/tpm-ca-certificates (BSD-3-Clause), version v0.9.0 of
// April 2026, which documents where each comes from. The bundle in this package
// is made from it by internal/gen, which has the go command check the module
// against its go.sum; the bundle's header names version and hash. The module is
// no dependency of this one, and trust in the bundle is trust in its author:
// who needs more builds pools of their own, such as from Microsoft's
// TrustedTpm.cab.
//
// It has AMD, IFX (Infineon), INTC (Intel, On-Die CA: 11th generation and
// later), MSFT (Pluton, and the TPM root of 2014), NSG (NSING), NTC (Nuvoton)
// and STM (STMicroelectronics, with the GlobalSign roots over it). Among the
// roots is one that is not self-signed: AMD's Pluton Global Factory ICA, whose
// own root nobody publishes. It lacks:
//
//   - Intel's root for machines before the 11th generation (EPID), and so what
//     Intel's service gives out;
//   - Nuvoton's roots 0100 and 2110, the CAs of some families of AMD, and
//     Infineon's third generation of roots;
//   - the roots over ten of its own intermediate CAs: four of STM's for ECC keys
//     (ECC 02 and 03, ECC384 01 and 02) and the first six of AMD's Pluton;
//   - NTZ (Nationz), QCOM (Qualcomm), ATML (Atmel) and all other makers;
//   - the virtual TPMs of GOOG (Google), VMW, AMZN, Alibaba and swtpm;
//   - whatever expired before the module was made or is signed with SHA-1, as
//     for TPM 1.2, which crypto/x509 does not verify.
//
// Of some of these [Pins] has the SHA-256, so that an ekcert.Client takes them
// where it finds them. Add what else is missing to the pools that [Load] returns: they are the caller's
// own.
package roots

//go:generate go -C internal/gen run . -o ../../bundle.pem
