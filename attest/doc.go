// Package attest drives a TPM 2.0 as far as proving a device's identity needs
// it: it finds the endorsement keys, makes and loads keys, has them certified
// by an attestation key, activates credentials, and checks such proofs without
// a TPM.
//
// Statements and quotes are go-attestation's, too: see package attestga. How
// Windows wraps them (KAST, KADS) is the matter of the clients that send them.
//
// A [Key] is a crypto.Signer and crypto.Decrypter, so it goes into
// certificate requests, TLS, CMS and JOSE as any other. It is stored as the PEM
// block "TSS2 PRIVATE KEY", which openssl's TPM provider reads too.
//
// # Protection on the way to the chip
//
// Commands that carry a secret or make a key run in one session, salted to the
// storage key, with AES-128-CFB encryption of the first parameter both ways and
// an HMAC over command and answer. An answer whose HMAC does not fit is
// refused. Primary keys are made outside it: the session is salted to one of
// them, and their templates are public.
//
// That keeps secrets from whoever listens on the bus. Whoever can replace the
// chip's answers from the first one on could pass off a storage key of his own;
// no session can tell, but a verifier does, because such a key cannot activate
// a credential made for a certified endorsement key. The text of a key has the
// name of its storage key, so that later runs take no other.
//
// # What stays loaded
//
// Methods load what they need and leave nothing loaded, unless the caller holds
// [TPM.Keep]. Nothing is made persistent, unless the caller asks for it with
// [TPM.PersistSRK]. Unless [Template] gives a key an authorization value,
// whoever may use the TPM and has the key's text may use the key.
//
// # Commands
//
// Each command costs milliseconds on a chip. With Keep, an enrollment (read the
// endorsement key and its certificate, make an attestation key with creation
// statement, activate, make and certify a signing and a decryption key, sign,
// decrypt, drop all) takes, if the endorsement key is known from its
// certificate ([DefaultEK]) or if it is asked for ([TPM.EKs]),
//
//   - 19 or 20 on a TPM with a persistent EK and RSA SRK, as Windows leaves it,
//     with at most two transient objects at a time,
//   - 22 or 23 on one with a persistent P-256 SRK alone, with two,
//   - 23 or 25 on one with neither, with three,
//   - 25 or 26 on such a one if PersistSRK comes first, with two.
package attest
