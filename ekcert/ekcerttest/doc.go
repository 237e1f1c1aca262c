// Package ekcerttest has a TPM maker's CA for tests: a SCEP server that
// certifies endorsement keys by the profile of ekcert.Client.Enroll, and
// checks all that a real one would.
package ekcerttest
