// Package judge judges attestation keys for the test servers. Each statement has
// two judges, package attest and github.com/google/go-attestation, which share
// no code; most credentials are made by the latter.
package judge
