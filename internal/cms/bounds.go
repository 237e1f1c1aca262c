package cms

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/bits"
)

// Limits of RSA keys from other parties, because the time of one signature check grows
// with the square of the modulus's size and with the size of the exponent: 65,000 bits
// take 60 times as long as 8192.
const (
	maxRSABits      = 8192
	maxExponentBits = 32
)

// ErrKeySize is wrapped if a certificate has an RSA key with a modulus over 8192 bits or
// an exponent over 32 bits. Such a key would let its sender decide how long the check of
// a signature takes.
var ErrKeySize = errors.New("RSA key is too large")

// CheckKey checks that pub, from another party's certificate or request, is not an RSA
// key that is too large. It accepts keys of other kinds, and nil. Call it before any
// signature is checked with pub. The error wraps [ErrKeySize].
func CheckKey(pub crypto.PublicKey) error {
	k, ok := pub.(*rsa.PublicKey)
	if !ok || k == nil || k.N == nil {
		return nil
	}
	if n, e := k.N.BitLen(), bits.Len(uint(k.E)); n > maxRSABits || e > maxExponentBits {
		return fmt.Errorf("%w: it has %d bits and an exponent of %d bits; the limits are %d and %d", ErrKeySize, n, e, maxRSABits, maxExponentBits)
	}
	return nil
}

// Leading determines which of certs, from another party, lead to a root. verify checks
// one certificate with the intermediate certificates in between; it returns nil if the
// certificate leads to a root. why has the error of verify for each certificate in certs.
//
// between has the CA certificates that verify may use at the beginning; it may be nil.
// The result trusted is a copy of it with those CA certificates in certs that lead to a
// root, and no others. So a sender of certificates that could form many paths does not
// make verify try them, unless a trusted CA issued these certificates.
//
// The error is that of ctx, which Leading checks before each certificate.
func Leading(ctx context.Context, certs []*x509.Certificate, between *x509.CertPool,
	verify func(cert *x509.Certificate, between *x509.CertPool) error,
) (trusted *x509.CertPool, why []error, err error) {
	trusted = x509.NewCertPool()
	if between != nil {
		trusted = between.Clone()
	}
	why = make([]error, len(certs))
	leads := make([]bool, len(certs))
	for more := true; more; {
		more = false
		var found []*x509.Certificate
		for i, cert := range certs {
			if leads[i] {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			why[i] = verify(cert, trusted)
			if leads[i] = why[i] == nil; leads[i] && cert.IsCA {
				found = append(found, cert)
			}
		}
		for _, cert := range found {
			trusted.AddCert(cert)
			more = true
		}
	}
	return trusted, why, nil
}
