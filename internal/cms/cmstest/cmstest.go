// Package cmstest makes certificates with RSA keys that are too large, for tests of the
// limits in package cms.
package cmstest

import (
	"crypto/rand"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidSHA256RSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidCommonName    = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidBasic         = asn1.ObjectIdentifier{2, 5, 29, 19}
	basicConstraints = []byte{0x30, 0x03, 0x01, 0x01, 0xFF}
)

// HugeCA returns the DER of a CA certificate with a random RSA modulus of the given
// size and an exponent. Subject and issuer have the same name, so that certificates with
// one name look as if they issued each other. The signature is wrong, but its check takes
// as long as that of a right one. The error is of no exported type.
func HugeCA(name string, bits int, exponent int64) ([]byte, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
	if err != nil {
		return nil, err
	}
	n.SetBit(n, bits-1, 1)
	n.SetBit(n, 0, 1)
	key, err := asn1.Marshal(struct {
		N *big.Int
		E int64
	}{n, exponent})
	if err != nil {
		return nil, err
	}
	signature := make([]byte, (bits+7)/8)
	_, _ = rand.Read(signature[1:])
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { tbs(b, name, n, key) })
		algorithm(b, oidSHA256RSA)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

// tbs adds the fields of a TBSCertificate (RFC 5280, section 4.1).
func tbs(b *cryptobyte.Builder, name string, serial *big.Int, key []byte) {
	b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(2) })
	b.AddASN1BigInt(new(big.Int).And(serial, big.NewInt(1<<62-1)))
	algorithm(b, oidSHA256RSA)
	distinguished(b, name)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1UTCTime(time.Now().Add(-time.Hour))
		b.AddASN1UTCTime(time.Now().AddDate(1, 0, 0))
	})
	distinguished(b, name)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		algorithm(b, oidRSA)
		b.AddASN1BitString(key)
	})
	b.AddASN1(cbasn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidBasic)
				b.AddASN1Boolean(true)
				b.AddASN1OctetString(basicConstraints)
			})
		})
	})
}

func algorithm(b *cryptobyte.Builder, id asn1.ObjectIdentifier) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1NULL()
	})
}

func distinguished(b *cryptobyte.Builder, name string) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidCommonName)
				b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
			})
		})
	})
}
