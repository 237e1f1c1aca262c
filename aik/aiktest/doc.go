// Package aiktest provides an attestation CA for tests of clients such as package aik.
//
// A [Server] refuses everything that a real CA has to refuse: an endorsement
// certificate that is for another key or does not lead to a root of its maker, an
// endorsement key on the deny list, an attestation key that is not restricted to what
// its TPM made, a statement that is not signed by that key, and a wrong, late or
// repeated answer. [Server.Refusals] says what was refused and why, so that faults of a
// client are found here and not in the field.
//
// [Server.Misbehave] lets the server itself do something wrong, as a real CA or an
// attacker in its place might, to test what a client makes of that.
//
// Each statement is checked by package attest and by
// github.com/google/go-attestation, which share no code; most credentials are made by
// the latter.
package aiktest
