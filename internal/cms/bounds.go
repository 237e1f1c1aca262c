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

// Limits of the RSA keys of others. The time of one signature check grows with the
// square of the modulus and with the length of the exponent: 65,000 bits take 60
// times as long as 8192.
const (
	maxRSABits      = 8192
	maxExponentBits = 32
)

// ErrKeySize is wrapped if a certificate has an RSA key with a modulus over 8192 bits
// or an exponent over 32 bits. The stranger who sends it would choose how long the
// check of a signature takes.
var ErrKeySize = errors.New("RSA key is too large")

// CheckKey checks that pub, from a certificate or request of others, is not an RSA key
// whose use takes long. It accepts keys of other kinds, and nil. Call it before any
// signature is checked. The error wraps [ErrKeySize].
func CheckKey(pub crypto.PublicKey) error {
	k, ok := pub.(*rsa.PublicKey)
	if !ok || k == nil || k.N == nil {
		return nil
	}
	if n, e := k.N.BitLen(), bits.Len(uint(k.E)); n > maxRSABits || e > maxExponentBits {
		return fmt.Errorf("%w: %d bits with an exponent of %d bits, at most %d and %d", ErrKeySize, n, e, maxRSABits, maxExponentBits)
	}
	return nil
}

// Leading tells which of certs, sent by others, lead to a root. verify checks one
// certificate, whose issuer may be among the certificates in between; it returns nil
// if the certificate leads to a root. why has an error for each certificate, nil for
// those that do.
//
// between holds the CA certificates that verify may use at the beginning, and may be
// nil; Leading adds to a copy of it, which it returns, the CA certificates that lead
// to a root, and no other. Thus whoever sends certificates that could form many paths
// gets none of these paths tried, unless a trusted CA issued them.
//
// The error is that of ctx, at which Leading looks before each certificate.
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
