// Package whiteglove is the map of a module that takes a device from a bare TPM
// to an enrolled, managed device, the way Windows Autopilot pre-provisioning
// ("white glove") does. The package itself is empty: import those below.
//
// # The flow
//
// Each step is a small protocol client in a package of its own, which can be
// imported and used alone. Package provision runs them all, side by side where
// it can; any step can be left out, taken alone or done by a function of the
// caller's.
//
//	step      what happens                                              package
//	ek        read the endorsement key (EK); find its certificate in    attest, ekcert
//	          NV memory, or have one issued by the maker's CA over
//	          SCEP; check it
//	aik       make an attestation key (AIK) and have it certified:      aik on scep
//	          GetCACaps, GetCACertChain, PKCSReq, challenge,
//	          TPM2_ActivateCredential, answer, certificate
//	discover  find the tenant's registration and token endpoints        drs
//	token     prove the EK to the directory by a challenge; get the     drs
//	          device token, which is never stored
//	keys      make the device key (DK, signs) and the transport key     attest
//	          (TK, decrypts)
//	join      the join request: CSR signed by DK, TK blob, device       drs
//	          token, both keys certified by the AIK
//	enroll    trade the device certificate for a management token;      mdm
//	          discovery, policy, RST and RSTR, provisioning document
//	session   management sessions (SyncML) until the enrollment         mdm/omadm, mdm/esp
//	          status page is over
//	seal      leave the tenant, still managed, so that the device can   drs
//	          be handed to its user
//	rejoin    the user's phase: join again with the user's token, the   drs
//	          same device, new keys
//	signin    get the user's primary refresh token; its session key     drs
//	          opens with TK only
//	owner     tell the tenant of the owner; how Windows does it is      (the caller's)
//	          not public
//
// # The house
//
//	provision  the run: steps, stored state, retries
//	trace      what a run said to its servers and its TPM, written out
//	diagnose   codes and errors in words
//	drs        device registration and sign-in
//	mdm        management token, discovery, policy, enrollment, renewal
//	mdm/omadm  management sessions: SyncML and the tree of nodes
//	mdm/esp    the enrollment status page
//	aik        an attestation key certified by an attestation CA
//	ekcert     endorsement key certificates: find, parse, check, enroll
//	scep       SCEP (RFC 8894) and the Windows challenge exchange
//	attest     the device's TPM: keys, sessions, proofs
//
// Imports point down this list. Package attest drives the TPM, and it is the
// only one that does. The others take plain values, [crypto.Signer] and
// [crypto.Decrypter], so that a key may live anywhere. Every nil or zero field
// has a stated meaning, every call takes a context first, and each package has
// one typed Error.
//
// # What is Microsoft's and what is ours
//
// SCEP is RFC 8894; the attestation exchange, the join and the enrollment
// follow what is published or known of Windows' protocols ([MS-WCCE],
// [MS-DVRD], [MS-DVRJ], [MS-MDE2]). How a device without a user proves its EK
// to Microsoft's directory is not public: step token speaks a documented
// profile of this module (ek-jwt-v1), as does the EK certificate by SCEP
// (ek-scep-v1). Nothing here talks to Microsoft's account service or forges a
// hardware identity.
//
// # Secrets
//
// Keys are made in the TPM and never leave it. A stored state holds them
// wrapped by the TPM that made them; tokens, nonces and challenge secrets are
// not stored and do not print.
//
// # Test doubles
//
// Every package has a server for tests that checks what a real service must:
// attest/attesttest is a TPM, ekcert/ekcerttest its maker's CA, scep/sceptest
// a SCEP CA, aik/aiktest an attestation CA, drs/drstest a directory and
// mdm/mdmtest a management server. provision/provisiontest is all of them
// behind one listener, with emulated devices.
package whiteglove
