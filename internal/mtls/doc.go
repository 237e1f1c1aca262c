// Package mtls makes TLS configurations and HTTP clients that authenticate a
// device by its certificate, with a key that may be held by a TPM.
package mtls
