// Package attest drives a TPM 2.0 as far as proving a device's identity requires.
//
// With a [TPM] it finds the endorsement keys ([TPM.EK], [TPM.EKs]), creates and loads keys
// ([TPM.CreateKey], [TPM.LoadKey]), lets an attestation key certify other keys and
// quote PCRs ([TPM.Certify], [TPM.Quote]), opens credentials
// ([TPM.ActivateCredential]) and reads NV memory ([TPM.ReadNV]). It also checks
// such proofs and makes credentials, for which no TPM is needed
// ([Statement.Verify], [Quote.Verify], [MakeCredential]).
//
// [Open] opens the TPM of the machine. A [TPM] works with any other
// transport.TPM as well, such as an emulator of package attesttest.
//
//	tpm, err := attest.Open("") // or &attest.TPM{Transport: emulator}
//	...
//	release := tpm.Keep() // use one session, and leave nothing loaded at the end
//	defer release(context.Background())
//	ek, err := tpm.EK(ctx) // the first of tpm.EKs(ctx)
//	...
//	aik, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Attest})
//	...
//	key, err := tpm.CreateKey(ctx, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
//	...
//	statement, err := tpm.Certify(ctx, key, aik, nonce) // that key is in this TPM
//	...
//	open := tpm.Activator(ek, aik) // what aik, ekcert and drs call to open a credential
//
// A [Key] is a crypto.Signer and crypto.Decrypter, so it can be used in
// certificate requests, TLS, CMS and JOSE like any other. It is stored as the PEM
// block "TSS2 PRIVATE KEY", which openssl's TPM provider reads, too.
//
// # Proofs
//
// A verifier that has checked the certificate of an endorsement key learns the
// rest in three steps. [Key.Creation] is an attestation key's statement on how its
// TPM created it. A [Credential] made for the two keys is opened only by the TPM
// that holds both. From then on, the statements of [TPM.Certify] say that a key is
// in the same TPM, and those of [TPM.Quote] what the machine booted.
//
// All structures are in the TPM's own encoding, big-endian (TCG TPM 2.0 Library,
// Part 2). A field or parameter that holds one has it without the size prefix of
// its TPM2B form. The public area of a key is its TPMT_PUBLIC: the public key with
// its attributes, policy and schemes. The name of a key is a hash of its public
// area.
//
// Package attestga converts these proofs to and from go-attestation's types. How
// Windows wraps them (KAST, KADS) is left to the clients that send them.
//
// # Errors
//
// Functions and methods fail with an [*Error]. If the cleanup after a failed command
// fails as well, the error joins several of them, in which errors.As finds the
// first. If ctx ends first, the error wraps the error of ctx. A TPM that does not answer
// holds no method for long: see [TPM] and [ErrNoAnswer].
//
// # Protection on the way to the chip
//
// Commands that carry a secret or make a key run in one session, salted to the
// storage key, with AES-128-CFB encryption of the first parameter both ways and
// an HMAC over command and answer. An answer with a wrong HMAC is refused.
// Primary keys are made outside the session: it is salted to one of them, and
// their templates are public.
//
// That keeps secrets from an eavesdropper on the bus. An attacker who can replace
// the chip's answers from the first one on could pass off a storage key of their
// own. No session can tell, but a verifier can, because such a key cannot activate
// a credential made for a certified endorsement key. The text of a key contains
// the name of its storage key, so that later runs accept no other.
//
// If the TPM refuses a session that is salted to its RSA storage key, as some
// firmware does, the session is salted to a key of the null hierarchy. No text has
// the name of that key, so an attacker who replaces answers can bring this about in
// later runs, too, and read what the session encrypts.
//
// # What stays loaded
//
// Methods load what they need and leave nothing loaded, unless the caller holds
// [TPM.Keep]. Nothing is made persistent, unless the caller asks for it with
// [TPM.PersistSRK]. Unless [Template] gives a key an authorization value, anyone
// who may use the TPM and has the key's text may use the key.
//
// # Commands
//
// Each command costs milliseconds on a chip. With Keep, an enrollment (read the
// endorsement key and its certificate, make an attestation key with creation
// statement, activate, make and certify a signing and a decryption key, sign,
// decrypt, drop all) takes the following numbers of commands. The lower number is
// for an endorsement key known from its certificate ([DefaultEK]), the higher for
// one found with [TPM.EKs].
//
//   - 19 or 20 on a TPM with a persistent EK and RSA SRK, as Windows leaves it,
//     with at most two transient objects at a time,
//   - 22 or 23 on a TPM with only a persistent P-256 SRK, with two,
//   - 23 or 25 on a TPM with neither, with three,
//   - 25 or 26 on a TPM with neither if PersistSRK comes first, with two.
package attest
