// Package keyfiles tests that github.com/foxboron/go-tpm-keyfiles reads the key files
// of package attest, and the other way round. It is a module of its own, so that no
// other package requires that module.
package keyfiles
