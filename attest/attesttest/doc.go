// Package attesttest provides TPMs for tests and trials: [New] returns a TPM 2.0
// in pure Go that runs in the process, and [StartSWTPM] a swtpm child process,
// as a second opinion. Both are a transport.TPM of go-tpm, so that package
// attest can drive them, and both carry endorsement key (EK) certificates of the
// same maker, [DefaultMaker].
//
//	chip, err := attesttest.New(attesttest.Config{})
//	if err != nil {
//		t.Fatal(err)
//	}
//	defer chip.Close()
//	tpm := &attest.TPM{Transport: chip}
//
// After a test, [TPM.Loaded] tells what was left in the TPM; [Counter] counts the
// commands that were sent. For a whole device with all the services it talks to,
// see package provisiontest.
//
// # The TPMs protect nothing
//
// The seed of a TPM from New is a string, and its state file is not encrypted.
// The private keys of the maker's root and issuing CA are computed from text in
// this package, so that two processes agree on a root without exchanging one.
// Anybody can make certificates that lead to [Root]. Never put it into a pool
// that something real relies on.
//
// # How close the emulator is to a chip
//
// The emulator has three slots for transient objects and three for sessions,
// and takes a slot for a persistent object while a command uses it. It checks
// authorizations, sessions, tickets and attributes, and answers with the
// response codes of the TPM 2.0 Library specification, revision 1.59. Package
// internal/softtpm lists what it leaves out. The authorization value of the
// platform hierarchy is random after each start, as firmware leaves it. The same
// list of conformance tests runs on the emulator and on swtpm.
//
// [Config] also has what real TPMs do at times: padding and headers around
// certificates, certificates for other keys, other endorsement keys than the
// default, TPM_RC_RETRY, and commands that are slow or fail.
package attesttest
