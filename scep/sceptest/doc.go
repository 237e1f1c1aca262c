// Package sceptest has a SCEP server and its CA for tests: a strict one, that
// checks signature, nonce, transaction and request as a careful CA would, and
// keeps why it refused what it refused.
//
// The zero value of [Server] certifies every well-formed request and renews its
// own certificates. Fields have requests wait, ask for a password, announce the
// next CA or, as [Quirk], spoil replies in one of the ways that a client must
// see through. A hook refuses with any failInfo by returning it in a
// [scep.Error]. Hooks make
// other CAs of it: package aiktest an attestation CA, ekcerttest a TPM maker's.
//
// Messages pass through two implementations of CMS: the client's is this
// module's own, while the server verifies, opens, encrypts and signs with
// go.mozilla.org/pkcs7. That one picks its cipher by a global variable, which
// the servers of a process share under a lock: a process that has a Server
// must not use it otherwise to encrypt.
package sceptest
