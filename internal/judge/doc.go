// Package judge checks attestation keys for package verify and the test servers, and
// makes the challenges of the latter. Package attest and github.com/google/go-attestation, which
// share no code, both check each creation statement. go-attestation makes the
// credentials for the keys that it supports; package attest makes the others.
package judge
