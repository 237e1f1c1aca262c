// Package aiktest has an attestation CA for tests: a server to which a client
// of package aik is to prove that its keys lie in a genuine TPM.
//
// A [Server] refuses whatever a real CA must: an endorsement certificate that
// does not lead to its maker's roots or is for another key, an endorsement key
// on the deny list, an attestation key that is not restricted to what the TPM
// made, a statement that is not signed by that key, a wrong, late or repeated
// answer. [Server.Refusals] says what was refused and why; what is wrong with a
// client should be found here rather than in the field.
//
// [Server.Misbehave] has it do wrong itself, as a real CA or somebody in its place
// might, to see what a client makes of that.
//
// Statements are judged, and most credentials made, by
// github.com/google/go-attestation, which shares no code with package attest.
package aiktest
