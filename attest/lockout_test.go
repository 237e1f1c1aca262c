package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

// lockParameters sets when the TPM locks itself, and resets it.
func lockParameters(t *testing.T, tr transport.TPM, tries, recovery byte) {
	t.Helper()
	lockout := []byte{0x40, 0, 0, 0x0A, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0}
	for _, command := range [][]byte{
		append([]byte{0x80, 2, 0, 0, 0, 27, 0, 0, 1, 0x39}, lockout...),
		append(append([]byte{0x80, 2, 0, 0, 0, 39, 0, 0, 1, 0x3A}, lockout...), 0, 0, 0, tries, 0, 0, 0, recovery, 0, 0, 0, 9),
	} {
		answer, err := tr.Send(command)
		if err != nil || !bytes.Equal(answer[6:10], make([]byte, 4)) {
			t.Fatalf("% x, %v", answer, err)
		}
	}
}

// countingKey makes a key without noDA, with an authorization value, as other
// tools do, and returns its key file.
func countingKey(t *testing.T, tr transport.TPM, auth string) []byte {
	t.Helper()
	template := tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, SignEncrypt: true},
		Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256}),
	}
	srk, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000001)}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	k, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: 0x81000001, Name: srk.Name, Auth: tpm2.PasswordAuth(nil)},
		InPublic:     tpm2.New2B(template),
		InSensitive:  tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte(auth)}}},
	}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
	return keyFile(t, k.OutPublic.Bytes(), k.OutPrivate.Buffer)
}

// keyFile returns a key file of a key under the persistent SRK.
func keyFile(t *testing.T, public, private []byte) []byte {
	t.Helper()
	sized := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	der, err := asn1.Marshal(struct {
		Type            asn1.ObjectIdentifier
		Parent          int64
		Public, Private []byte
	}{asn1.ObjectIdentifier{2, 23, 133, 10, 1, 3}, 0x81000001, sized(public), sized(private)})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "TSS2 PRIVATE KEY", Bytes: der})
}

// Lockout is reported with the time it lasts, which is then over.
func TestLockout(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		lockParameters(t, tr, 2, 2)
		tpm := &attest.TPM{Transport: tr}
		k, err := tpm.LoadKey(context.Background(), countingKey(t, tr, "right"))
		if err != nil {
			t.Fatal(err)
		}
		good, bad := k.WithAuth([]byte("right")), k.WithAuth([]byte("wrong"))
		signs(t, good)
		for i := range uint32(2) {
			if _, err := bad.Sign(nil, make32(), crypto.SHA256); !errors.Is(err, tpm2.TPMRCAuthFail) {
				t.Fatal(err)
			}
			if n := lockoutCounter(t, tr); n != i+1 {
				t.Errorf("%d wrong values counted after %d calls", n, i+1)
			}
		}
		_, err = good.Sign(nil, make32(), crypto.SHA256)
		var e *attest.Error
		if !errors.As(err, &e) || e.RC != tpm2.TPMRCLockout || e.After != 2*time.Second || !e.Retryable() || !strings.Contains(e.Remedy(), "2s") {
			t.Fatalf("%v: %+v", err, e)
		}
		noneLoaded(t, tr)
		// Keys of ours are of use all the same: they do not count.
		signs(t, create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign, Auth: []byte("x")}))
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(e.After / 4) {
			if _, err := good.Sign(nil, make32(), crypto.SHA256); err == nil {
				break
			} else if time.Now().After(end) {
				t.Fatal(err)
			}
		}
		noneLoaded(t, tr)
	})
}

// A TPM that is locked and does not say for how long, or answers another question.
func TestLockoutUnknown(t *testing.T) {
	tr := emulator(t, "ready")
	properties := func(list ...uint32) []byte { // TPM_CAP_TPM_PROPERTIES
		b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, 6}, uint32(len(list)/2))
		for _, word := range list {
			b = binary.BigEndian.AppendUint32(b, word)
		}
		return append([]byte{0x80, 1, 0, 0, 0, byte(10 + len(b)), 0, 0, 0, 0}, b...)
	}
	const interval = 0x210 // TPM_PT_LOCKOUT_INTERVAL
	for name, tt := range map[string]struct {
		answer []byte
		after  time.Duration
	}{
		"refused":          {rcAnswer(0x143), 0},
		"said":             {properties(interval, 7), 7 * time.Second},
		"nothing":          {properties(), 0},
		"another property": {properties(interval+1, 7), 0},
		"two":              {properties(interval, 7, interval+1, 8), 0},
		"handles":          {[]byte{0x80, 1, 0, 0, 0, 23, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 2, 0x10}, 0},
	} {
		p := &tap{TPM: tr, before: func(command []byte) []byte {
			switch commandCode(command) {
			case tpm2.TPMCCSign:
				return rcAnswer(0x921)
			case tpm2.TPMCCGetCapability:
				return tt.answer
			}
			return nil
		}}
		k := create(t, &attest.TPM{Transport: p}, attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		_, err := k.Sign(nil, make32(), crypto.SHA256)
		var e *attest.Error
		if !errors.As(err, &e) || e.RC != tpm2.TPMRCLockout || e.After != tt.after || tt.after == 0 && !strings.Contains(e.Remedy(), "lockout ends") {
			t.Errorf("%s: %v, after %v", name, err, e.After)
		}
	}
}
