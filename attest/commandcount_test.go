package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// A tap sits between the package and a TPM: it writes commands down and can
// change answers.
type tap struct {
	transport.TPM
	mu     sync.Mutex
	log    []string
	change func(command, answer []byte) []byte // if not nil
	before func(command []byte) []byte         // if it returns an answer, the TPM is not asked
}

var ccNames = map[tpm2.TPMCC]string{
	tpm2.TPMCCActivateCredential: "ActivateCredential", tpm2.TPMCCCertify: "Certify",
	tpm2.TPMCCCertifyCreation: "CertifyCreation", tpm2.TPMCCCreate: "Create",
	tpm2.TPMCCCreateLoaded: "CreateLoaded", tpm2.TPMCCCreatePrimary: "CreatePrimary",
	tpm2.TPMCCEvictControl: "EvictControl",
	tpm2.TPMCCFlushContext: "FlushContext", tpm2.TPMCCGetCapability: "GetCapability",
	tpm2.TPMCCLoad: "Load", tpm2.TPMCCNVRead: "NV_Read", tpm2.TPMCCNVReadPublic: "NV_ReadPublic",
	tpm2.TPMCCPolicySecret: "PolicySecret", tpm2.TPMCCPolicyOR: "PolicyOR", tpm2.TPMCCReadPublic: "ReadPublic",
	tpm2.TPMCCPCRRead: "PCR_Read", tpm2.TPMCCQuote: "Quote", tpm2.TPMCCRSADecrypt: "RSA_Decrypt", tpm2.TPMCCSign: "Sign", tpm2.TPMCCStartAuthSession: "StartAuthSession",
}

func commandCode(command []byte) tpm2.TPMCC {
	return tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))
}

func (p *tap) Send(command []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.before != nil {
		if answer := p.before(command); answer != nil {
			return answer, nil
		}
	}
	answer, err := p.TPM.Send(command)
	if err != nil {
		return nil, err
	}
	p.log = append(p.log, ccNames[commandCode(command)])
	if p.change != nil {
		answer = p.change(command, bytes.Clone(answer))
	}
	return answer, nil
}

func (p *tap) reset() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	log := p.log
	p.log = nil
	return log
}

// TestCommands counts the commands of one enrollment and bounds them, and the
// transient objects there are at a time.
//
// The shortest sequence of go-tpm calls known for it has 16 on a TPM with a
// persistent EK and SRK, and 19 on one with only certificates. Ours has
//   - one more for the session that protects the bus (its start serves the
//     endorsement key's policy too, so only its end is extra),
//   - two more for the creation statement: TPM2_CreateLoaded gives no creation
//     data, so that Create, Load and CertifyCreation stand for it,
//   - where nothing is persistent, one more to find that out.
//
// A storage key that is not persistent is the third object: with two slots, an
// attestation key and the key it certifies could not both be loaded. To make it
// persistent costs one command more, and one to learn that the endorsement key
// is not.
//
// The endorsement key is known from its certificate; that the TPM has it is
// checked by the HMAC of the activation, or by the name of the key it makes.
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		state         string
		enroll        func(testing.TB, transport.TPM)
		most, objects int
	}{{"ready", enroll, 19, 2}, {"fresh", enroll, 23, 3}, {"fresh", enrollPersisting, 25, 2}, {"persisted", enroll, 22, 2}} {
		state := c.state
		if state == "persisted" {
			state = "fresh"
		}
		forBackends(t, state, func(t *testing.T, tr transport.TPM) {
			if c.state == "persisted" {
				if err := (&attest.TPM{Transport: tr}).PersistSRK(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			p := &tap{TPM: tr}
			objects := 0
			p.change = func(_, answer []byte) []byte {
				objects = max(objects, len(handles(t, tr, 0x80000000)))
				return answer
			}
			c.enroll(t, p)
			log := p.reset()
			var b strings.Builder
			for i, n := range log {
				fmt.Fprintf(&b, "%2d %s\n", i+1, n)
			}
			t.Logf("%s: %d commands, at most %d transient objects\n%s", c.state, len(log), objects, b.String())
			if len(log) > c.most || objects > c.objects {
				t.Errorf("%d commands, more than %d, or %d objects, more than %d", len(log), c.most, objects, c.objects)
			}
		})
	}
}

// enrollPersisting is enroll with the storage key made persistent.
func enrollPersisting(t testing.TB, tr transport.TPM) {
	t.Helper()
	enrollment(t, tr, (*attest.TPM).PersistSRK)
}

// enroll does what an enrollment asks of a TPM.
func enroll(t testing.TB, tr transport.TPM) {
	t.Helper()
	enrollment(t, tr, func(*attest.TPM, context.Context) error { return nil })
}

func enrollment(t testing.TB, tr transport.TPM, setUp func(*attest.TPM, context.Context) error) {
	t.Helper()
	ctx := context.Background()
	tpm := &attest.TPM{Transport: tr}
	release := tpm.Keep()
	if err := setUp(tpm, ctx); err != nil {
		t.Fatal(err)
	}
	der, err := tpm.ReadNV(ctx, 0x01C00002)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ek, err := attest.DefaultEK(cert.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	aik := create(t, tpm, attest.Template{Usage: attest.Attest})
	secret := []byte("the secret of the attestation CA")
	cred, err := attest.MakeCredential(ek.PublicArea, aik.Name(), secret)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tpm.ActivateCredential(ctx, ek, aik, cred)
	if err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("ActivateCredential: %q, %v", got, err)
	}
	dk := create(t, tpm, attest.Template{Usage: attest.Sign})
	certify(t, tpm, dk, aik, []byte("join"))
	digest := sha256.Sum256([]byte("request"))
	sig, err := dk.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(dk.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], sig); err != nil {
		t.Error(err)
	}
	tk := create(t, tpm, attest.Template{Usage: attest.Decrypt})
	certify(t, tpm, tk, aik, []byte("join"))
	openOAEP(t, tk)
	if err := release(ctx); err != nil {
		t.Fatal(err)
	}
}

func firstEK(t testing.TB, tpm *attest.TPM) *attest.EK {
	t.Helper()
	for ek, err := range tpm.EKs(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		return ek
	}
	t.Fatal("no endorsement key")
	return nil
}

func create(t testing.TB, tpm *attest.TPM, tmpl attest.Template) *attest.Key {
	t.Helper()
	k, err := tpm.CreateKey(context.Background(), tmpl)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func certify(t testing.TB, tpm *attest.TPM, key, aik *attest.Key, nonce []byte) *attest.Statement {
	t.Helper()
	s, err := tpm.Certify(context.Background(), key, aik, nonce)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(aik.Public(), nonce); err != nil {
		t.Fatal(err)
	}
	return s
}

// sessionKeyOfTests is what openOAEP has a key decrypt.
const sessionKeyOfTests = "a session key of 32 bytes length"

func openOAEP(t testing.TB, tk *attest.Key) {
	t.Helper()
	want := []byte(sessionKeyOfTests)
	box, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, tk.Public().(*rsa.PublicKey), want, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tk.Decrypt(nil, box, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("Decrypt: %q, %v", got, err)
	}
}
