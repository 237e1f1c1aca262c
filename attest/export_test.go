package attest

import (
	"context"
	"crypto"
)

// KeyParent returns the parent of k as in key files.
func KeyParent(k *Key) uint32 { return k.parent }

// Remarshal reads and writes a TPMT_PUBLIC.
func Remarshal(b []byte) ([]byte, error) {
	a, err := parseArea(b)
	if err != nil {
		return nil, err
	}
	return a.marshal(), nil
}

// ParseKey reads a key file without a TPM.
func ParseKey(text []byte) (*Key, error) { return new(TPM).parseKey(text) }

// EKTemplates returns the TPMT_PUBLIC of the default EK templates, in the order
// of EKs, and PolicyA, PolicyB and PolicyC by name algorithm.
func EKTemplates() (templates [][]byte, policies []map[uint16][]byte) {
	for _, k := range ekKinds {
		templates = append(templates, k.template().marshal())
	}
	for _, policy := range []func(hash uint16) []byte{policyA, policyB, policyC} {
		byHash := make(map[uint16][]byte)
		for _, hash := range []uint16{algSHA256, algSHA384, algSHA512, algSM3} {
			byHash[hash] = policy(hash)
		}
		policies = append(policies, byHash)
	}
	return templates, policies
}

// Handles lists handles.
func Handles(t *TPM, first, last uint32) (all []uint32, err error) {
	ctx := context.Background()
	err = t.do(ctx, func() (err error) {
		all, err = t.handles(ctx, first, last)
		return err
	})
	return all, err
}

// KDFa derives a key.
func KDFa(h crypto.Hash, key []byte, label string, u, v []byte, bits int) []byte {
	return kdfa(h, key, label, u, v, bits)
}

// KDFe derives a key.
func KDFe(h crypto.Hash, z []byte, label string, u, v []byte) []byte {
	return kdfe(h, z, label, u, v)
}

// IsKey reports whether pub is the key of a TPMT_PUBLIC.
func IsKey(b []byte, pub crypto.PublicKey) bool {
	a, err := parseArea(b)
	return err == nil && a.check() == nil && a.is(pub)
}
