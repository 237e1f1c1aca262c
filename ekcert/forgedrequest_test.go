package ekcert_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
)

// TestForgedRequests sends requests that the client would not send. The values that a
// CA looks up in its lists must be those that it certifies.
func TestForgedRequests(t *testing.T) {
	d := theDevice(t)
	spki, err := x509.MarshalPKIXPublicKey(d.eks[0].Public)
	if err != nil {
		t.Fatal(err)
	}
	revoked := sha256.Sum256(spki)
	ca := &ekcerttest.Server{AnyEK: true, Revoked: func(sum [32]byte) bool { return sum == revoked }}
	server := serve(t, ca)
	info, err := (&scep.Client{URL: server.URL, Roots: ca.Roots()}).CA(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		edit   func(*ekcert.Request)
		change func(*testing.T, *wcce.CSR, *x509.Certificate)
		says   string
	}{
		"revoked":                  {says: "tpm-revoked"},
		"revoked, in another form": {change: longerKey, says: "not in canonical DER form"},
		"maker in letters":         {change: named(wcce.Device{Manufacturer: "SIM0", Model: "m", Version: "id:00010002"}), says: "not an ID"},
		"version in small letters": {change: named(wcce.Device{Manufacturer: "id:53494D30", Model: "m", Version: "id:0001000a"}), says: "not an ID"},
		"no version":               {change: named(wcce.Device{Manufacturer: "id:53494D30", Model: "m"}), says: "not an ID"},
		"no model":                 {change: named(wcce.Device{Manufacturer: "id:53494D30", Version: "id:00010002"}), says: "model"},
		"weak":                     {edit: func(e *ekcert.Request) { e.EK = weakKey(t, false) }, says: "tpm-at-risk: CVE-2017-15361"},
	} {
		before := len(ca.Refusals())
		e := d.enrollment(d.eks[0])
		if tt.edit != nil {
			tt.edit(e)
		}
		csr, err := ekcert.CSR(e, info.Recipient)
		if err != nil {
			t.Fatal(err)
		}
		if tt.change != nil {
			csr = forged(t, csr, tt.change, info.Recipient)
		}
		if err := post(t, server.URL, csr, info.Recipient); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r := strings.Join(ca.Refusals()[before:], "\n"); !strings.Contains(r, tt.says) {
			t.Errorf("%s: refusals %q", name, r)
		}
	}
}

// forged returns a request with a change, and with the right null signature.
func forged(t *testing.T, der []byte, change func(*testing.T, *wcce.CSR, *x509.Certificate), recipient *x509.Certificate) []byte {
	t.Helper()
	csr, err := wcce.ParseCSR(der)
	if err != nil {
		t.Fatal(err)
	}
	change(t, csr, recipient)
	if der, err = wcce.MarshalCSR(csr.PublicKey, csr.Attributes); err != nil {
		t.Fatal(err)
	}
	return der
}

// replace replaces the attribute of the same type.
func replace(csr *wcce.CSR, with wcce.Attribute) {
	for i, a := range csr.Attributes {
		if a.Type.Equal(with.Type) {
			csr.Attributes[i] = with
		}
	}
}

// longerKey adds NULL at the end of the SubjectPublicKeyInfo, which crypto/x509 ignores
// there, and of the one in EK_INFO.
func longerKey(t *testing.T, csr *wcce.CSR, recipient *x509.Certificate) {
	t.Helper()
	in, body := cryptobyte.String(csr.PublicKey), cryptobyte.String(nil)
	in.ReadASN1(&body, asn1.SEQUENCE)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(body)
		b.AddASN1NULL()
	})
	csr.PublicKey = b.BytesOrPanic()
	info, err := (&wcce.EKInfo{PublicKey: csr.PublicKey}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := cms.Encrypt(info, recipient, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	replace(csr, wcce.EKInfoAttribute(sealed))
}

// named changes the name of the TPM.
func named(device wcce.Device) func(*testing.T, *wcce.CSR, *x509.Certificate) {
	return func(t *testing.T, csr *wcce.CSR, _ *x509.Certificate) {
		t.Helper()
		name, err := device.AltName(true)
		if err != nil {
			t.Fatal(err)
		}
		attribute, err := wcce.ExtensionsAttribute([]pkix.Extension{name})
		if err != nil {
			t.Fatal(err)
		}
		replace(csr, attribute)
	}
}

// post sends a request in a SCEP message. The server's refusals have the answer.
func post(t *testing.T, url string, csr []byte, recipient *x509.Certificate) error {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := scep.ProtocolCertificate(key, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := cms.Encrypt(csr, recipient, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	message, err := pkimsg.Sign(&pkimsg.Info{
		Type: 19, TransactionID: rand.Text(), SenderNonce: nonce, Status: pkimsg.None, FailInfo: pkimsg.None,
	}, sealed, crypto.SHA256, key, cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url+"?operation=PKIOperation", "application/x-pki-message", bytes.NewReader(message))
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// TestEnrollNothing leaves out required fields.
func TestEnrollNothing(t *testing.T) {
	c := new(ekcert.Client)
	_, enroll := c.Enroll(t.Context(), nil)
	_, begin := c.Begin(t.Context(), nil)
	_, complete := c.Complete(t.Context(), nil, nil)
	_, fetch := new(ekcert.Service).Fetch(t.Context(), ekKey(t).Public())
	for name, err := range map[string]error{"Enroll": enroll, "Begin": begin, "Complete": complete, "Fetch": fetch} {
		var e *ekcert.Error
		if !errors.As(err, &e) || e.Retryable() {
			t.Errorf("%s: %v", name, err)
		}
	}
}
