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
//	profile   before the rest, if there is a hardware hash: compare it  autopilot
//	          with the EK, then download the deployment profile
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
//	trace              what a run said to its servers and its TPM, written out
//	provision          the run: steps, stored state, retries
//	prove              what a TPM proves to the services, for their clients' requests
//	diagnose/evidence  why a setup failed, from a device's own records
//	diagnose           codes and errors in words
//	autopilot/graph    devices registered by their hardware hashes
//	autopilot          hardware hashes, files of them, deployment profiles
//	drs                device registration and sign-in
//	mdm/esp            the enrollment status page
//	mdm/omadm          management sessions: SyncML and the tree of nodes
//	mdm                management token, discovery, policy, enrollment, renewal
//	aik                a certificate for an attestation key, from an attestation CA
//	verify             a device's evidence, checked as a relying party does
//	ekcert             endorsement key certificates: find, parse, check, enroll
//	scep               SCEP (RFC 8894) and the challenge exchange of Windows
//	attest             the device's TPM: keys, sessions, proofs
//
// A package imports only packages below it in this list. Only package attest sends
// TPM commands. Packages autopilot, drs, mdm, ekcert and scep do not import it:
// they take [crypto.Signer], [crypto.Decrypter], certificates and bytes, so that a
// key may live anywhere. Package aik uses its types, package prove fills in the
// requests of these clients for a key in a TPM, and package provision connects them all.
//
// Every nil or zero field has a stated meaning, and every call that may take time
// takes a context first. Each client package (attest, ekcert, scep, aik, drs, mdm,
// autopilot, autopilot/graph), package verify and package provision has one error type, Error, which
// says what failed, whether it may pass, which code Windows has for it and what
// helps; mdm/omadm and mdm/esp use that of mdm.
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
// For each service there is a test server, which refuses what the real service
// should refuse: ekcert/ekcerttest is a TPM maker's CA, scep/sceptest a SCEP CA,
// aik/aiktest an attestation CA, drs/drstest a directory, mdm/mdmtest a management
// server and autopilot/autopilottest the services that register devices by their
// hashes. attest/attesttest is a TPM, and verify/verifytest gives it the past of a real
// machine. provision/provisiontest is all of
// them behind one listener, with emulated devices; examples/mockserver is a program
// around it.
package whiteglove
