package ekcert_test

import (
	"context"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/scep"
)

func TestEnroll(t *testing.T) {
	d := theDevice(t)
	ca := &ekcerttest.Server{AnyEK: true}
	server := serve(t, ca)
	c := &ekcert.Client{SCEPURL: server.URL + "/ek", Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}}
	for _, ek := range d.eks {
		cert, err := c.Enroll(t.Context(), d.enrollment(ek))
		if err != nil {
			t.Fatalf("%T: %v, the CA: %q", ek.Public, err, ca.Refusals())
		}
		if cert.Vendor() != attesttest.Vendor || cert.Model != "emulator" || cert.Version != "id:00010002" ||
			cert.Origin != server.URL+"/ek" || len(cert.Issuers) != 2 {
			t.Errorf("%T: %+v", ek.Public, cert)
		}
		report, err := c.Verify(t.Context(), cert, ek.Public)
		if err != nil || len(report.Findings) != 0 || !report.Chain[2].Equal(ca.Certificates()[1]) {
			t.Errorf("%T: %+v, %v", ek.Public, report, err)
		}
		if report, err := x509.ParseCertificate(cert.Raw); err != nil || len(report.Subject.Names) != 0 {
			t.Errorf("%T: subject is not empty, or %v", ek.Public, err)
		}
	}
	if r := ca.Refusals(); len(r) != 0 {
		t.Errorf("refusals: %q", r)
	}
}

// TestEnrollWithRSAKey uses an attestation key like those that Windows makes.
func TestEnrollWithRSAKey(t *testing.T) {
	d, err := newDevice(attesttest.Config{NoCertificate: true}, attest.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	ca := &ekcerttest.Server{AnyEK: true}
	c := &ekcert.Client{SCEPURL: serve(t, ca).URL, Roots: ekcert.Roots{"": ca.Roots()}}
	if _, err := c.Enroll(t.Context(), d.enrollment(d.eks[0])); err != nil {
		t.Errorf("%v, the CA: %q", err, ca.Refusals())
	}
}

func TestEnrollRefusals(t *testing.T) {
	d := theDevice(t)
	spki, err := x509.MarshalPKIXPublicKey(d.eks[0].Public)
	if err != nil {
		t.Fatal(err)
	}
	bad := sha256.Sum256(spki)
	odd := newECKey(t, elliptic.P224()).Public()

	for name, tt := range map[string]struct {
		ca   *ekcerttest.Server
		edit func(*ekcert.Request)
		want error
		code uint32
		says string
	}{
		"at risk": {
			ca: &ekcerttest.Server{AnyEK: true, AtRisk: func(tpm ekcerttest.TPM) string {
				if tpm.Vendor == "SIM0" && tpm.Version == "id:00010002" && tpm.Model == "emulator" {
					return "SIM-SA-0001"
				}
				return ""
			}},
			want: ekcert.ErrAtRisk, code: 0x81039024, says: "tpm-at-risk: SIM-SA-0001",
		},
		"revoked": {
			ca:   &ekcerttest.Server{AnyEK: true, Revoked: func(sum [32]byte) bool { return sum == bad }},
			want: ekcert.ErrRevoked, code: 0x800B010C, says: "tpm-revoked",
		},
		"maker unknown": {
			ca:   &ekcerttest.Server{AnyEK: true, Vendors: []string{"INTC", "AMD"}},
			want: ekcert.ErrUnknownManufacturer, code: 0x80070032, says: "manufacturer-unknown",
		},
		"key of an odd kind": {
			ca: &ekcerttest.Server{AnyEK: true}, edit: func(e *ekcert.Request) { e.EK = odd },
			want: ekcert.ErrUnsupportedEK, code: 0x80070032, says: "ek-unsupported",
		},
	} {
		server := serve(t, tt.ca)
		c := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{"": tt.ca.Roots()}}
		e := d.enrollment(d.eks[0])
		if tt.edit != nil {
			tt.edit(e)
		}
		_, err := c.Enroll(t.Context(), e)
		var ee *ekcert.Error
		if !errors.Is(err, tt.want) || !errors.As(err, &ee) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ee.Retryable() || ee.HRESULT() != tt.code || ee.Remedy() == "" || ee.Message != tt.says ||
			ee.Vendor != "SIM0" || ee.Origin != server.URL || ee.Op != "enroll" {
			t.Errorf("%s: %+v, %#x", name, ee, ee.HRESULT())
		}
		var se *scep.Error
		if !errors.As(err, &se) || se.FailInfo != scep.BadRequest {
			t.Errorf("%s: no SCEP error in %v", name, err)
		}
		if r := tt.ca.Refusals(); len(r) != 1 || !strings.Contains(r[0], tt.says) {
			t.Errorf("%s: refusals %q", name, r)
		}
	}
}

// TestEnrollTellsNothing checks that a CA that is refused learns nothing about the TPM.
func TestEnrollTellsNothing(t *testing.T) {
	d := theDevice(t)
	without := func(names ...string) scep.Caps {
		caps := scep.Caps{"POSTPKIOperation", "SHA-256", "AES128", "EndorsementKeyEnrollment"}
		return slices.DeleteFunc(caps, func(s string) bool { return slices.Contains(names, s) })
	}
	other := &ekcerttest.Server{AnyEK: true}
	otherRoots := ekcert.Roots{"SIM0": other.Roots()}
	gone := func(op string, w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusNotFound)
		return true
	}
	busy := func(op string, w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	for name, tt := range map[string]struct {
		ca        *ekcerttest.Server
		roots     ekcert.Roots // if nil, those of the CA
		want      error
		code      uint32
		retryable bool
	}{
		"plain SCEP CA":        {ca: &ekcerttest.Server{AnyEK: true, Caps: without("EndorsementKeyEnrollment")}, want: ekcert.ErrNoEnrollment, code: 0x80070032},
		"another challenge":    {ca: &ekcerttest.Server{AnyEK: true, Caps: append(without("EndorsementKeyEnrollment"), "IdentityKeyAttestation")}, want: ekcert.ErrNoEnrollment, code: 0x80070032},
		"no POST":              {ca: &ekcerttest.Server{AnyEK: true, Caps: without("POSTPKIOperation")}, want: ekcert.ErrNoEnrollment, code: 0x80070032},
		"no SHA-256":           {ca: &ekcerttest.Server{AnyEK: true, Caps: without("SHA-256")}, want: ekcert.ErrNoEnrollment, code: 0x80070032},
		"no AES":               {ca: &ekcerttest.Server{AnyEK: true, Caps: without("AES128")}, want: ekcert.ErrNoEnrollment, code: 0x80070032},
		"not there":            {ca: &ekcerttest.Server{AnyEK: true, Fail: gone}, want: ekcert.ErrNoEnrollment, code: 0x80190194},
		"busy":                 {ca: &ekcerttest.Server{AnyEK: true, Fail: busy}, code: 0x801901F7, retryable: true},
		"foreign root":         {ca: &ekcerttest.Server{AnyEK: true}, roots: otherRoots, want: ekcert.ErrUntrustedCA, code: 0x800B0109},
		"root of another":      {ca: other, roots: ekcert.Roots{"INTC": other.Roots()}, want: ekcert.ErrUntrustedCA, code: 0x800B0109},
		"no roots":             {ca: other, roots: ekcert.Roots{}, want: ekcert.ErrUntrustedCA, code: 0x800B0109},
		"foreign for any, too": {ca: &ekcerttest.Server{AnyEK: true}, roots: ekcert.Roots{"SIM0": other.Roots(), "": other.Roots()}, want: ekcert.ErrUntrustedCA, code: 0x800B0109},
	} {
		server := serve(t, tt.ca)
		c := &ekcert.Client{SCEPURL: server.URL, Roots: tt.roots}
		if tt.roots == nil {
			c.Roots = ekcert.Roots{"SIM0": tt.ca.Roots()}
		}
		_, err := c.Enroll(t.Context(), d.enrollment(d.eks[0]))
		var e *ekcert.Error
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e.HRESULT() != tt.code || e.Retryable() != tt.retryable {
			t.Errorf("%s: %v, %#x, retryable %v", name, err, e.HRESULT(), e.Retryable())
		}
		if n := server.posts(); n != 0 {
			t.Errorf("%s: %d messages were sent", name, n)
		}
	}
}

func TestEnrollSecondPool(t *testing.T) {
	d := theDevice(t)
	ca, other := &ekcerttest.Server{AnyEK: true}, &ekcerttest.Server{AnyEK: true}
	c := &ekcert.Client{SCEPURL: serve(t, ca).URL, Roots: ekcert.Roots{"SIM0": other.Roots(), "": ca.Roots()}}
	if _, err := c.Enroll(t.Context(), d.enrollment(d.eks[0])); err != nil {
		t.Errorf("%v, the CA: %q", err, ca.Refusals())
	}
}

// TestEnrollProof checks that only the TPM with both keys gets a certificate.
func TestEnrollProof(t *testing.T) {
	d := theDevice(t)
	thief, err := newDevice(attesttest.Config{Seed: "thief", NoCertificate: true}, attest.P256)
	if err != nil {
		t.Fatal(err)
	}
	ca := &ekcerttest.Server{AnyEK: true}
	c := &ekcert.Client{SCEPURL: serve(t, ca).URL, Roots: ekcert.Roots{"SIM0": ca.Roots()}}
	flip := func(b []byte) []byte {
		b = slices.Clone(b)
		b[len(b)-1] ^= 1
		return b
	}
	clear := func(area []byte, at int, bit byte) []byte { // a bit of the attributes, bytes 4 to 7
		area = slices.Clone(area)
		area[at] &^= bit
		return area
	}
	wrong := func(secret []byte) func(context.Context, []byte, []byte) ([]byte, error) {
		return func(context.Context, []byte, []byte) ([]byte, error) { return secret, nil }
	}
	for name, tt := range map[string]struct {
		edit    func(*ekcert.Request)
		refused string // the CA's reason; empty if the TPM refuses
	}{
		"wrong secret":           {func(e *ekcert.Request) { e.Activate = wrong(make([]byte, 32)) }, "secret is wrong"},
		"short secret":           {func(e *ekcert.Request) { e.Activate = wrong([]byte{0}) }, "secret is wrong"},
		"EK of another TPM":      {func(e *ekcert.Request) { e.EK = thief.eks[0].Public }, ""},
		"AIK of another TPM":     {func(e *ekcert.Request) { e.AIKCreation = (*ekcert.Statement)(thief.ak.Creation()) }, ""},
		"area of another AIK":    {func(e *ekcert.Request) { e.AIKCreation.PublicArea = thief.ak.PublicArea() }, "proof does not hold"},
		"creation changed":       {func(e *ekcert.Request) { e.AIKCreation.CreationData = flip(e.AIKCreation.CreationData) }, "proof does not hold"},
		"signature changed":      {func(e *ekcert.Request) { e.AIKCreation.Signature = flip(e.AIKCreation.Signature) }, "proof does not hold"},
		"unrestricted key":       {func(e *ekcert.Request) { e.AIKCreation.PublicArea = clear(e.AIKCreation.PublicArea, 5, 1) }, "attributes"},
		"key that may leave":     {func(e *ekcert.Request) { e.AIKCreation.PublicArea = clear(e.AIKCreation.PublicArea, 7, 1<<1) }, "attributes"},
		"EK as attestation key":  {func(e *ekcert.Request) { e.AIKCreation.PublicArea = d.eks[0].PublicArea }, "attributes"},
		"statement of a nothing": {func(e *ekcert.Request) { e.AIKCreation.Attest = []byte{1} }, "proof does not hold"},
	} {
		before := len(ca.Refusals())
		e := d.enrollment(d.eks[0])
		tt.edit(e)
		_, err := c.Enroll(t.Context(), e)
		if err == nil {
			t.Errorf("%s: got a certificate", name)
			continue
		}
		refused := strings.Join(ca.Refusals()[before:], "\n")
		if tt.refused == "" {
			var ae *attest.Error
			if !errors.As(err, &ae) || refused != "" {
				t.Errorf("%s: %v, refusals %q", name, err, refused)
			}
			continue
		}
		var se *scep.Error
		if !errors.As(err, &se) || se.FailInfo != scep.BadRequest || !strings.Contains(refused, tt.refused) {
			t.Errorf("%s: %v, refusals %q", name, err, refused)
		}
		var ee *ekcert.Error
		if errors.As(err, &ee); ee.Retryable() {
			t.Errorf("%s: can be repeated", name)
		}
	}
}

func TestEnrollIncomplete(t *testing.T) {
	d := theDevice(t)
	server := serve(t, http.NotFoundHandler())
	for name, edit := range map[string]func(*ekcert.Request){
		"no maker":     func(e *ekcert.Request) { e.Vendor = "" },
		"odd maker":    func(e *ekcert.Request) { e.Vendor = "id:Intel" },
		"no model":     func(e *ekcert.Request) { e.Model = "" },
		"no version":   func(e *ekcert.Request) { e.Version = "" },
		"odd version":  func(e *ekcert.Request) { e.Version = "1.2.3" },
		"huge version": func(e *ekcert.Request) { e.Version = "1.2.3.65536" },
		"no EK":        func(e *ekcert.Request) { e.EK = nil },
		"weak EK":      func(e *ekcert.Request) { e.EK = weakKey(t, false) },
		"no statement": func(e *ekcert.Request) { e.AIKCreation.CreationData = nil },
		"nothing said": func(e *ekcert.Request) { e.AIKCreation = nil },
		"no function":  func(e *ekcert.Request) { e.Activate = nil },
	} {
		e := d.enrollment(d.eks[0])
		edit(e)
		c := &ekcert.Client{SCEPURL: server.URL, Roots: ekcert.Roots{"": x509.NewCertPool()}}
		_, err := c.Enroll(t.Context(), e)
		var ee *ekcert.Error
		if !errors.As(err, &ee) || errors.Is(err, ekcert.ErrNoEnrollment) || server.all != 0 {
			t.Errorf("%s: %v after %d requests", name, err, server.all)
		}
	}
}

// TestHalves enrolls with Begin and Complete on one machine and the TPM on another.
func TestHalves(t *testing.T) {
	d := theDevice(t)
	ca := &ekcerttest.Server{AnyEK: true}
	c := &ekcert.Client{SCEPURL: serve(t, ca).URL, Roots: ekcert.Roots{attesttest.Vendor: ca.Roots()}}
	e := d.enrollment(d.eks[0])
	e.Activate = nil
	if _, err := c.Enroll(t.Context(), e); err == nil {
		t.Error("enrolled without opening the challenge")
	}
	ch, err := c.Begin(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := d.tpm.ActivateCredential(t.Context(), d.eks[0], d.ak, &attest.Credential{Blob: ch.Blob, EncryptedSecret: ch.EncryptedSecret})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := c.Complete(t.Context(), ch, secret)
	if err != nil {
		t.Fatalf("%v, the CA: %q", err, ca.Refusals())
	}
	if _, err := c.Verify(t.Context(), cert, e.EK); err != nil {
		t.Error(err)
	}
	if _, err := c.Complete(t.Context(), ch, secret); err == nil {
		t.Error("a challenge is good twice")
	}
	if _, err := c.Complete(t.Context(), new(ekcert.Challenge), secret); err == nil {
		t.Error("a challenge of nobody is answered")
	}
	if ch, err = c.Begin(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(t.Context(), ch, []byte("wrong")); err == nil {
		t.Error("a wrong secret is accepted")
	}
}
