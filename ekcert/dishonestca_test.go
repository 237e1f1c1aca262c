package ekcert_test

import (
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.mozilla.org/pkcs7"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// liar returns a CA under the right roots that issues wrong certificates.
func liar(t *testing.T, issue func(*sceptest.Authority) (*x509.Certificate, error)) *sceptest.Server {
	t.Helper()
	root, err := sceptest.NewAuthority("Root", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := sceptest.NewAuthority("Issuing CA", root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &sceptest.Server{
		Authority: ca, RA: true,
		Caps:     scep.Caps{"POSTPKIOperation", "SHA-256", "AES", "EndorsementKeyEnrollment"},
		CheckCSR: func(*sceptest.Request) error { return nil },
		Challenge: func(*sceptest.Request) ([]byte, error) {
			tach, err := (&wcce.TACH{Blob: []byte{1}, EncryptedSecret: []byte{2}}).Marshal()
			if err != nil {
				return nil, err
			}
			state, err := wcce.MarshalContext([]byte{3})
			if err != nil {
				return nil, err
			}
			return (&wcce.Challenge{TACH: tach, Context: state}).Marshal()
		},
		Check: func(*sceptest.Request, []byte) error { return nil },
		Issue: func(*sceptest.Request) (*x509.Certificate, error) { return issue(ca) },
	}
}

// showing returns a Request whose proof nobody checks.
func showing(t *testing.T) *ekcert.Request {
	t.Helper()
	return &ekcert.Request{
		Vendor: "INTC", Model: "PTT", Version: "id:00070055", EK: ekKey(t).Public(),
		AIKCreation: &ekcert.Statement{PublicArea: []byte{1}, Attest: []byte{2}, Signature: []byte{3}, CreationData: []byte{4}},
		Activate:    func(context.Context, []byte, []byte) ([]byte, error) { return []byte("secret"), nil },
	}
}

func TestEnrollWithLiar(t *testing.T) {
	ek := ekKey(t).Public()
	elsewhere := newMaker(t, "Elsewhere")
	for name, tt := range map[string]struct {
		issue func(*sceptest.Authority) (*x509.Certificate, error)
		want  error // nil if the certificate is accepted
	}{
		"honest": {func(a *sceptest.Authority) (*x509.Certificate, error) {
			return a.Issue(profile(t, intel), ek)
		}, nil},
		"of another key": {func(a *sceptest.Authority) (*x509.Certificate, error) {
			cert, err := a.Issue(profile(t, intel), newECKey(t, elliptic.P256()).Public())
			if err == nil {
				cert.PublicKey = ek // for the check of sceptest, which sends cert.Raw
			}
			return cert, err
		}, scep.ErrMismatch},
		"of another CA": {func(*sceptest.Authority) (*x509.Certificate, error) {
			return elsewhere.issue(t, ek, intel), nil
		}, scep.ErrUntrusted},
		"of another maker": {func(a *sceptest.Authority) (*x509.Certificate, error) {
			return a.Issue(profile(t, amd), ek)
		}, ekcert.ErrUntrusted},
		"without a maker": {func(a *sceptest.Authority) (*x509.Certificate, error) {
			tmpl := profile(t, intel)
			tmpl.ExtraExtensions = nil
			return a.Issue(tmpl, ek)
		}, ekcert.ErrUntrusted},
		"for an attestation key": {func(a *sceptest.Authority) (*x509.Certificate, error) {
			tmpl := profile(t, intel)
			tmpl.UnknownExtKeyUsage = []asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK}
			return a.Issue(tmpl, ek)
		}, ekcert.ErrNotEK},
		"expired": {func(a *sceptest.Authority) (*x509.Certificate, error) {
			tmpl := profile(t, intel)
			tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
			return a.Issue(tmpl, ek)
		}, scep.ErrUntrusted},
	} {
		ca := liar(t, tt.issue)
		c := &ekcert.Client{SCEPURL: serve(t, ca).URL, Roots: ekcert.Roots{"INTC": ca.Roots(), "AMD": ca.Roots()}}
		cert, err := c.Enroll(t.Context(), showing(t))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v; the CA: %q", name, err, tt.want, ca.Refusals())
		}
		var e *ekcert.Error
		if tt.want != nil && (cert != nil || !errors.As(err, &e) || e.Retryable()) {
			t.Errorf("%s: %v, %v", name, cert, err)
		}
	}
}

// TestEnrollWithoutChallenge uses a CA that demands no proof of the key. Its
// certificates are worthless and must be refused.
func TestEnrollWithoutChallenge(t *testing.T) {
	ca := liar(t, func(a *sceptest.Authority) (*x509.Certificate, error) {
		return a.Issue(profile(t, intel), ekKey(t).Public())
	})
	ca.Challenge, ca.Check = nil, nil
	c := &ekcert.Client{SCEPURL: serve(t, ca).URL, Roots: ekcert.Roots{"INTC": ca.Roots()}}
	if _, err := c.Enroll(t.Context(), showing(t)); !errors.Is(err, ekcert.ErrNoEnrollment) {
		t.Errorf("got %v; the CA: %q", err, ca.Refusals())
	}
}

func TestEnrollEndsWithContext(t *testing.T) {
	ca := liar(t, nil)
	c := &ekcert.Client{SCEPURL: serve(t, ca).URL, Roots: ekcert.Roots{"INTC": ca.Roots()}}
	ctx, cancel := context.WithCancel(t.Context())
	e := showing(t)
	e.Activate = func(ctx context.Context, _, _ []byte) ([]byte, error) {
		cancel()
		return nil, ctx.Err()
	}
	_, err := c.Enroll(ctx, e)
	var ee *ekcert.Error
	if !errors.Is(err, context.Canceled) || !errors.As(err, &ee) || ee.Retryable() {
		t.Errorf("got %v", err)
	}
}

// TestEnrollWithTPMKeyAsCA uses an impostor of the CA that has only an endorsement or
// attestation key with a certificate of the same maker.
func TestEnrollWithTPMKeyAsCA(t *testing.T) {
	for _, purpose := range []asn1.ObjectIdentifier{wcce.OIDKeyPurposeEK, wcce.OIDKeyPurposeAIK} {
		enrollWithTPMKeyAsCA(t, purpose)
	}
}

func enrollWithTPMKeyAsCA(t *testing.T, purpose asn1.ObjectIdentifier) {
	t.Helper()
	m := newMaker(t, "Intel")
	cert := m.issue(t, ekKey(t).Public(), intel, func(c *x509.Certificate) {
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{purpose}
		c.KeyUsage = x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature
	})
	bag, err := pkcs7.DegenerateCertificate(join(cert.Raw, m.ca.Raw, m.root.Raw))
	if err != nil {
		t.Fatal(err)
	}
	server := serve(t, &sceptest.Server{
		Caps: scep.Caps{"POSTPKIOperation", "SHA-256", "AES", "EndorsementKeyEnrollment"},
		Fail: func(op string, w http.ResponseWriter) bool {
			if op != "GetCACert" {
				return false
			}
			w.Header().Set("Content-Type", "application/x-x509-ca-ra-cert")
			_, err := w.Write(bag)
			return err == nil
		},
	})
	c := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{"INTC": m.roots()}}
	_, err = c.Enroll(t.Context(), showing(t))
	if !errors.Is(err, scep.ErrCapability) || server.posts() != 0 { // it is no RA's, and the CA has an ECDSA key
		t.Errorf("over plain http: %v after %d messages", err, server.posts())
	}
	secure := httptest.NewTLSServer(server.Config.Handler)
	defer secure.Close()
	c.SCEPURL, c.HTTPClient = secure.URL, secure.Client()
	_, err = c.Enroll(t.Context(), showing(t))
	if !errors.Is(err, ekcert.ErrUntrustedCA) || !strings.Contains(err.Error(), "belongs to a key of a TPM") || server.posts() != 0 {
		t.Errorf("over TLS: %v after %d messages", err, server.posts())
	}
}
