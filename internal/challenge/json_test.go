package challenge_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// exchange returns an Exchange that is to be completed.
func exchange(t testing.TB) *challenge.Exchange {
	t.Helper()
	ca, err := sceptest.NewAuthority("CA", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	x := &challenge.Exchange{
		URL: "https://ca.test/scep", Transaction: "42", Blob: []byte{1}, EncryptedSecret: []byte{2}, Context: []byte{3},
		CA:  &scep.CA{Caps: scep.Caps{"AES"}, Chain: []*x509.Certificate{ca.Certificate}, Recipient: ca.Certificate, Signer: ca.Certificate},
		CSR: request(t, key),
	}
	if err := x.SignAs(key, time.Now()); err != nil {
		t.Fatal(err)
	}
	return x
}

var device = wcce.Device{Manufacturer: "id:53494D30", Model: "model", Version: "id:00010002"}

// request returns a CSR for the key of device.
func request(t testing.TB, key *rsa.PrivateKey) []byte {
	t.Helper()
	name, err := device.AltName(true)
	if err != nil {
		t.Fatal(err)
	}
	exts, err := wcce.ExtensionsAttribute([]pkix.Extension{name})
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	csr, err := wcce.MarshalCSR(spki, []wcce.Attribute{exts})
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestCarry(t *testing.T) {
	x := exchange(t)
	text, err := x.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	y, err := challenge.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := y.Marshal()
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("carried twice it is %s, %v", again, err)
	}
	subject, err := challenge.Requested(y.CSR)
	if err != nil || subject.Device != device || !x.Signer.Public().(*rsa.PublicKey).Equal(subject.Key) {
		t.Errorf("it is for %+v, %v", subject, err)
	}
	if err := y.CheckTrust(nil, time.Now()); err != nil {
		t.Error(err)
	}
	if err := y.CheckTrust(x509.NewCertPool(), time.Now()); err == nil {
		t.Error("a CA without root is trusted")
	}
	if err := y.CheckTrust(nil, time.Now().AddDate(1000, 0, 0)); err == nil {
		t.Error("a CA is trusted forever")
	}
}

// FuzzParse checks that an Exchange that was parsed encodes to JSON that parses to
// the same Exchange.
func FuzzParse(f *testing.F) {
	x := exchange(f)
	x.Signer = nil // parsing the key would take most of the time
	text, err := x.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1}`))
	f.Add(bytes.Replace(text, []byte(`"url":"https:`), []byte(`"requestId":"1","url":"file:`), 1))
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := challenge.Parse(in)
		if err != nil {
			return
		}
		once, err := x.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(once) {
			t.Errorf("%s is no JSON", once)
		}
		y, err := challenge.Parse(once)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := y.Marshal(); err != nil || !bytes.Equal(once, again) {
			t.Errorf("%s, then %s, %v", once, again, err)
		}
	})
}
