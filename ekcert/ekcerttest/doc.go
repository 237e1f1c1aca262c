// Package ekcerttest has what a TPM maker runs, for tests: [Server], a SCEP CA
// that certifies endorsement keys by the profile of ekcert.Client.Enroll and
// checks all that a real one would; and [Maker], a service that gives out
// certificates in the ways of Intel and AMD, with issuers and CRLs, and with
// the oddities that real certificates and services have.
package ekcerttest
