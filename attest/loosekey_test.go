package attest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
)

// certifyAs returns a statement that a good attestation key, which is a key of
// software here, has made about a key with other attributes: s with the attributes of
// its area changed, its name made right and its signature made anew.
func certifyAs(t *testing.T, s *attest.Statement, aik *ecdsa.PrivateKey, change func(uint32) uint32) *attest.Statement {
	t.Helper()
	area := slices.Clone(s.PublicArea)
	at := area[4:8] // after type and nameAlg
	binary.BigEndian.PutUint32(at, change(binary.BigEndian.Uint32(at)))
	body, err := tpm2.Unmarshal[tpm2.TPMSAttest](s.Attest)
	if err != nil {
		t.Fatal(err)
	}
	info, err := body.Attested.Certify()
	if err != nil {
		t.Fatal(err)
	}
	if info.Name.Buffer, err = attest.Name(area); err != nil {
		t.Fatal(err)
	}
	body.Attested = tpm2.NewTPMUAttest(tpm2.TPMSTAttestCertify, info)
	out := &attest.Statement{PublicArea: area, Attest: tpm2.Marshal(body)}
	sum := sha256.Sum256(out.Attest)
	r, q, err := ecdsa.Sign(rand.Reader, aik, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	out.Signature = []byte{0x00, 0x18, 0x00, 0x0B} // TPM_ALG_ECDSA, TPM_ALG_SHA256
	for _, n := range [][]byte{r.FillBytes(make([]byte, 32)), q.FillBytes(make([]byte, 32))} {
		out.Signature = append(binary.BigEndian.AppendUint16(out.Signature, uint16(len(n))), n...)
	}
	return out
}

// TestLooseKey verifies statements of a good attestation key about keys that can leave
// their TPM or came from outside it.
func TestLooseKey(t *testing.T) {
	all, _ := proofs(t, emulator(t, "ready"))
	aik, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const fixedTPM, fixedParent, sensitiveDataOrigin = 1 << 1, 1 << 4, 1 << 5
	for i, s := range all {
		if s.CreationData != nil {
			continue
		}
		same := certifyAs(t, s, aik, func(a uint32) uint32 { return a })
		if err := same.Verify(aik.Public(), []byte("nonce")); err != nil {
			t.Errorf("statement %d: the key as it is: %v", i, err)
		}
		for name, bit := range map[string]uint32{
			"fixedTPM": fixedTPM, "fixedParent": fixedParent, "sensitiveDataOrigin": sensitiveDataOrigin,
			"all": fixedTPM | fixedParent | sensitiveDataOrigin,
		} {
			loose := certifyAs(t, s, aik, func(a uint32) uint32 { return a &^ bit })
			if err := loose.Verify(aik.Public(), []byte("nonce")); !errors.Is(err, attest.ErrProof) {
				t.Errorf("statement %d: without %s: %v", i, name, err)
			}
		}
	}
}
