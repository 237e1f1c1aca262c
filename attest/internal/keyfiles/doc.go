// Package keyfiles has github.com/foxboron/go-tpm-keyfiles judge the key files
// of package attest, and the other way round. It is a module of its own, so
// that its requirements are nobody else's.
package keyfiles
