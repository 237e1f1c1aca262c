package ekcert_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// begun returns a challenge in JSON, and the CA that sent it.
func begun(t testing.TB) (text []byte, d *device, ca *ekcerttest.Server, server *web) {
	t.Helper()
	d, ca = theDevice(t), &ekcerttest.Server{AnyEK: true}
	server = serve(t, ca)
	c := &ekcert.Client{SCEPURL: server.URL + "/ek", Roots: ekcert.Roots{"": ca.Roots()}}
	ch, err := c.Begin(t.Context(), d.enrollment(d.eks[0]))
	if err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(ch); err != nil {
		t.Fatal(err)
	}
	return text, d, ca, server
}

// TestCarried completes an enrollment in another process, which knows the roots but
// neither the URL nor the TPM.
func TestCarried(t *testing.T) {
	text, d, ca, server := begun(t)
	var ch ekcert.Challenge
	if err := json.Unmarshal(text, &ch); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(ch); err != nil || !bytes.Equal(again, text) {
		t.Errorf("carried twice it is %s, %v", again, err)
	}
	secret, err := d.tpm.ActivateCredential(t.Context(), d.eks[0], d.ak, &attest.Credential{Blob: ch.Blob, EncryptedSecret: ch.EncryptedSecret})
	if err != nil {
		t.Fatal(err)
	}

	posts := server.posts()
	for name, roots := range map[string]ekcert.Roots{
		"no roots":       nil,
		"foreign roots":  {"SIM0": x509.NewCertPool()},
		"another's root": {"INTC": ca.Roots()},
	} {
		_, err := (&ekcert.Client{Roots: roots}).Complete(t.Context(), &ch, secret)
		var e *ekcert.Error
		if !errors.Is(err, ekcert.ErrUntrustedCA) || !errors.As(err, &e) || e.Origin != server.URL+"/ek" || e.Vendor != "SIM0" || server.posts() != posts {
			t.Errorf("%s: %v after %d messages", name, err, server.posts()-posts)
		}
	}

	cert, err := (&ekcert.Client{Roots: ekcert.Roots{"INTC": x509.NewCertPool(), "": ca.Roots()}}).Complete(t.Context(), &ch, secret)
	if err != nil {
		t.Fatalf("%v, the CA: %q", err, ca.Refusals())
	}
	c := &ekcert.Client{Roots: ekcert.Roots{"SIM0": ca.Roots()}}
	if _, err := c.Verify(t.Context(), cert, d.eks[0].Public); err != nil || cert.Origin != server.URL+"/ek" {
		t.Errorf("origin %q, %v", cert.Origin, err)
	}
}

// TestCarriedChanged decodes challenges that were changed.
func TestCarriedChanged(t *testing.T) {
	text, _, _, _ := begun(t)
	for name, change := range map[string]func(map[string]any){
		"version":   func(m map[string]any) { m["version"] = 2 },
		"no URL":    func(m map[string]any) { delete(m, "url") },
		"no blob":   func(m map[string]any) { delete(m, "credentialBlob") },
		"no key":    func(m map[string]any) { delete(m, "signerKey") },
		"no CA":     func(m map[string]any) { delete(m, "certificates") },
		"no CSR":    func(m map[string]any) { delete(m, "csr") },
		"not JSON":  nil,
		"too large": func(m map[string]any) { m["more"] = make([]byte, 256<<10) },
	} {
		var ch ekcert.Challenge
		var e *ekcert.Error
		if err := ch.UnmarshalJSON(changed(t, text, change)); !errors.As(err, &e) || e.Op != "enroll" || e.Retryable() || ch.Blob != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var e *ekcert.Error
	if _, err := json.Marshal(ekcert.Challenge{}); !errors.As(err, &e) {
		t.Errorf("marshalling nothing: %v", err)
	}
}

// changed returns a JSON object after a change, or text that is not JSON.
func changed(t testing.TB, text []byte, change func(map[string]any)) []byte {
	t.Helper()
	if change == nil {
		return text[1:]
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
