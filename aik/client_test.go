package aik_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

func TestEnroll(t *testing.T) {
	for _, tt := range []struct {
		name     string
		ek       func(crypto.PublicKey) bool
		template attest.Template
	}{
		{"RSA", isRSA, rsaAIK},
		{"as Windows's", isRSA, aik.WindowsTemplate()},
		{"P-256", isCurve(256), attest.Template{Algorithm: attest.P256, Usage: attest.Attest}},
		{"P-384 endorsement key", isCurve(384), rsaAIK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, s := newDevice(t, tt.ek, tt.template), server()
			d.Signer = nil // one is made
			c := start(t, s, s.Roots())
			chain, err := c.Enroll(t.Context(), d.Request)
			if err != nil {
				t.Fatalf("%v; refusals %q", err, s.Refusals())
			}
			if len(chain) != 3 || !d.key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(chain[0].PublicKey) {
				t.Errorf("a chain of %d certificates, or for another key", len(chain))
			}
			if got := aik.Trust(chain[0]); got != aik.TrustCertificate {
				t.Errorf("trust is %v", got)
			}
			if r := s.Refusals(); len(r) > 0 {
				t.Errorf("refusals %q", r)
			}
		})
	}
}

// TestEnrollSWTPM is TestEnroll with a TPM by somebody else, and with halves that
// are carried.
func TestEnrollSWTPM(t *testing.T) {
	tpm, err := attesttest.StartSWTPM(t.TempDir())
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer tpm.Close()
	s := server()
	c := start(t, s, s.Roots())
	for name, template := range map[string]attest.Template{"ours": rsaAIK, "Windows's": aik.WindowsTemplate()} {
		d := deviceOn(t, tpm, isRSA, template)
		chain, err := c.Enroll(t.Context(), d.Request)
		if err != nil || len(chain) != 3 {
			t.Errorf("%s: %d certificates, %v; refusals %q", name, len(chain), err, s.Refusals())
		}
		ch, err := c.Begin(t.Context(), d.Request)
		if err != nil {
			t.Fatal(err)
		}
		ch = carry(t, ch)
		secret, err := d.activate(t.Context(), ch.Credential)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Complete(t.Context(), ch, secret); err != nil {
			t.Errorf("%s, carried: %v; refusals %q", name, err, s.Refusals())
		}
	}
}

// TestProfile compares a certificate with those of the real service.
func TestProfile(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), server()
	chain, err := start(t, s, s.Roots()).Enroll(t.Context(), d.Request)
	if err != nil {
		t.Fatal(err)
	}
	leaf := chain[0]
	if string(leaf.RawSubject) != "\x30\x00" {
		t.Errorf("subject %x", leaf.RawSubject)
	}
	if !leaf.NotAfter.Equal(chain[1].NotAfter) || leaf.SerialNumber.BitLen() < 121 {
		t.Errorf("ends %v, serial number %x", leaf.NotAfter, leaf.SerialNumber)
	}
	for _, want := range windowsProfile {
		i := indexOf(leaf.Extensions, want.id)
		if i < 0 {
			t.Errorf("no extension %s", want.id)
			continue
		}
		got := leaf.Extensions[i]
		if got.Critical != want.critical || want.value != "" && hex.EncodeToString(got.Value) != want.value || len(got.Value) < 2 {
			t.Errorf("extension %s: critical %v, %x", want.id, got.Critical, got.Value)
		}
	}
}

func indexOf(exts []pkix.Extension, id string) int {
	for i, e := range exts {
		if e.Id.String() == id {
			return i
		}
	}
	return -1
}

func TestHalves(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	c := start(t, s, s.Roots())
	ch, err := c.Begin(t.Context(), d.Request)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := d.activate(t.Context(), ch.Credential)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(t.Context(), ch, secret); err != nil {
		t.Fatal(err)
	}
	// The same answer again.
	_, err = c.Complete(t.Context(), ch, secret)
	wantRefusal(t, s, err, "no challenge is open")
	if !strings.HasPrefix(ch.URL, c.URL[:10]) || strings.Contains(ch.URL, "{") {
		t.Errorf("URL %q", ch.URL)
	}
}

// wantRefusal checks that the server refused for a reason, and err says so.
func wantRefusal(t *testing.T, s interface{ Refusals() []string }, err error, reason string) {
	t.Helper()
	var e *aik.Error
	var se *scep.Error
	if !errors.As(err, &e) || !errors.As(err, &se) {
		t.Fatalf("error is %v", err)
	}
	if e.RequestID == "" || e.Retryable() {
		t.Errorf("request %q, retryable %v", e.RequestID, e.Retryable())
	}
	for _, r := range s.Refusals() {
		if strings.Contains(r, reason) {
			return
		}
	}
	t.Errorf("refusals %q, not %q", s.Refusals(), reason)
}

func TestWrongSecret(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	c := start(t, s, s.Roots())
	activate := d.Activate
	d.Activate = func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error) {
		secret, err := activate(ctx, blob, encryptedSecret)
		if err == nil {
			secret[0] ^= 1
		}
		return secret, err
	}
	_, err := c.Enroll(t.Context(), d.Request)
	wantRefusal(t, s, err, "secret is wrong")
	var se *scep.Error
	if errors.As(err, &se) && (se.HTTPStatus != 400 || se.HRESULT() != 0x80190190) {
		t.Errorf("status %d, code %#x", se.HTTPStatus, se.HRESULT())
	}
}

func TestExpiredChallenge(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	late := time.Duration(0)
	s.Now = func() time.Time { return time.Now().Add(late) }
	c := start(t, s, s.Roots())
	activate := d.Activate
	d.Activate = func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error) {
		late = 6 * time.Minute
		return activate(ctx, blob, encryptedSecret)
	}
	_, err := c.Enroll(t.Context(), d.Request)
	wantRefusal(t, s, err, "challenge has expired")
}

func TestDenied(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	denied := sha256.Sum256(d.EKChain[0].RawSubjectPublicKeyInfo)
	s.Deny = func(ek [32]byte) bool { return ek == denied }
	_, err := start(t, s, s.Roots()).Enroll(t.Context(), d.Request)
	wantRefusal(t, s, err, "deny list")
	var e *aik.Error
	if errors.As(err, &e) && (e.Op != "enroll" || !strings.Contains(e.Remedy(), "issuers") || e.HRESULT() != 0x80190190) {
		t.Errorf("op %q, remedy %q, code %#x", e.Op, e.Remedy(), e.HRESULT())
	}
}

// TestOtherMaker shows a certificate by somebody who calls himself as the maker
// does, down to the key identifier.
func TestOtherMaker(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	issuing := attesttest.Certificates()[0]
	forger, err := sceptest.NewAuthority("", nil, &x509.Certificate{RawSubject: issuing.RawSubject, SubjectKeyId: issuing.SubjectKeyId})
	if err != nil {
		t.Fatal(err)
	}
	template := *d.EKChain[0]
	template.ExtraExtensions = template.Extensions
	forged, err := forger.Issue(&template, d.EK)
	if err != nil {
		t.Fatal(err)
	}
	d.EKChain = []*x509.Certificate{forged, forger.Certificate}
	_, err = start(t, s, s.Roots()).Enroll(t.Context(), d.Request)
	wantRefusal(t, s, err, "trusted root of its maker")
}

func TestNoAuthority(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), &aiktest.Server{}
	_, err := start(t, s, s.Roots()).Enroll(t.Context(), d.Request)
	wantRefusal(t, s, err, "does not exist")
	var e *aik.Error
	var se *scep.Error
	if !errors.Is(err, aik.ErrNoAuthority) || !errors.As(err, &e) || !errors.As(err, &se) {
		t.Fatalf("error is %v", err)
	}
	if e.Op != "authority" || e.HRESULT() != 0x80190194 || e.Remedy() == "" || !strings.Contains(se.Message, `-keyid-`) {
		t.Errorf("op %q, code %#x, remedy %q, message %q", e.Op, e.HRESULT(), e.Remedy(), se.Message)
	}
}

// TestNextAuthority is for makers whose authority is named after an issuer
// further up.
func TestNextAuthority(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	stranger := *d.EKChain[0]
	stranger.AuthorityKeyId = []byte{1, 2, 3}
	d.EKChain[0] = &stranger
	if _, err := start(t, s, s.Roots()).Enroll(t.Context(), d.Request); err != nil {
		t.Errorf("%v; refusals %q", err, s.Refusals())
	}
	if r := s.Refusals(); len(r) != 1 || !strings.Contains(r[0], "-keyid-010203") {
		t.Errorf("refusals %q", r)
	}
}

func TestNoCapability(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	s.Caps = scep.Caps{"SHA-256", "AES128", "POSTPKIOperation", "GetCaCertChain"}
	asked := false
	d.Activate = func(context.Context, []byte, []byte) ([]byte, error) {
		asked = true
		return nil, nil
	}
	_, err := start(t, s, s.Roots()).Enroll(t.Context(), d.Request)
	if !errors.Is(err, scep.ErrCapability) || asked {
		t.Errorf("error is %v, activation asked for: %v", err, asked)
	}
	var e *aik.Error
	if !errors.As(err, &e) || !strings.Contains(e.Remedy(), "does not offer attestation") {
		t.Errorf("remedy of %v", err)
	}
	old := &aik.Error{Op: "enroll", Err: &scep.Error{Op: "PKCSReq", Err: fmt.Errorf("%w: %w", scep.ErrCapability, scep.ErrLegacy)}}
	if !strings.Contains(old.Remedy(), "permit older algorithms") {
		t.Errorf("remedy of %v: %q", old, old.Remedy())
	}
}

func TestForeignRA(t *testing.T) {
	d, s, other := newDevice(t, isRSA, rsaAIK), newServer(), newServer()
	_, err := start(t, s, other.Roots()).Enroll(t.Context(), d.Request)
	if !errors.Is(err, scep.ErrUntrusted) {
		t.Errorf("error is %v", err)
	}
}

// TestBadRequest shows that nothing is sent that cannot be certified.
func TestBadRequest(t *testing.T) {
	d := newDevice(t, isRSA, rsaAIK)
	elsewhere := newDevice(t, isRSA, rsaAIK)
	used := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	c := start(t, used, nil)
	forged := *d.AIKCreation
	forged.Signature = elsewhere.AIKCreation.Signature
	for name, change := range map[string]func(*aik.Request){
		"no key":         func(r *aik.Request) { r.EK = nil },
		"no certificate": func(r *aik.Request) { r.EKChain = nil },
		"gap":            func(r *aik.Request) { r.EKChain = append(r.EKChain, nil) },
		"other key": func(r *aik.Request) {
			r.EK = &attest.EK{Public: d.key.Public()}
		},
		"no statement":  func(r *aik.Request) { r.AIKCreation = nil },
		"both":          func(r *aik.Request) { r.MakeAIK = made(t, d) },
		"wrong signer":  func(r *aik.Request) { r.AIKCreation = &forged },
		"certification": func(r *aik.Request) { s := *d.AIKCreation; s.CreationData = nil; r.AIKCreation = &s },
		"no name": func(r *aik.Request) {
			cert := *d.EKChain[0]
			cert.Extensions = nil
			r.EKChain = []*x509.Certificate{&cert}
		},
	} {
		req := *d.Request
		change(&req)
		if _, err := c.Begin(t.Context(), &req); !errors.Is(err, aik.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHTTPS trusts the CA as far as TLS is.
func TestHTTPS(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), server()
	var header http.Header
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		s.ServeHTTP(w, r)
	}))
	defer srv.Close()
	c := &aik.Client{
		URL: srv.URL + "/{authority}/templates/Aik/scep", HTTPClient: srv.Client(),
		Header: http.Header{"User-Agent": {"test"}}, Logger: slog.New(slog.DiscardHandler),
	}
	chain, err := c.Enroll(t.Context(), d.Request)
	if err != nil || len(chain) != 3 {
		t.Fatalf("%d certificates, %v", len(chain), err)
	}
	if len(header.Get("X-Ms-Client-Request-Id")) != 36 || header.Get("User-Agent") != "test" || header.Get("Pragma") != "no-cache" {
		t.Errorf("headers %v", header)
	}
	// Over plain HTTP there is nothing to trust.
	if _, err := start(t, s, nil).Begin(t.Context(), d.Request); err == nil {
		t.Error("plain HTTP is taken without roots")
	}
}

func TestActivationFails(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), server()
	fail := errors.New("the TPM is gone")
	d.Activate = func(context.Context, []byte, []byte) ([]byte, error) { return nil, fail }
	_, err := start(t, s, s.Roots()).Enroll(t.Context(), d.Request)
	var e *aik.Error
	if !errors.As(err, &e) || e.Op != "activate" || !errors.Is(err, fail) {
		t.Errorf("error is %v", err)
	}
}

func TestHTTPErrors(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	var status int
	var message string
	s.Fail = func(op string, w http.ResponseWriter) bool {
		if op != "PKIOperation" {
			return false
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"Message": message})
		return true
	}
	c := start(t, s, s.Roots())
	for _, tt := range []struct {
		status    int
		message   string
		retryable bool
		remedy    string
	}{
		{http.StatusTooManyRequests, "slow down", true, ""},
		{http.StatusBadRequest, "Failed to parse SCEP request.", true, ""},
		{http.StatusBadRequest, "Attestation statement cannot be verified, rejecting request. TPM firmware needs update.", false, "firmware"},
		{http.StatusForbidden, "not from here", false, ""},
		{http.StatusInternalServerError, "an error has occurred", true, ""},
		{http.StatusServiceUnavailable, "later", true, ""},
		{http.StatusBadRequest, "P-256 ECC AIK requests not supported", false, "RSA"},
	} {
		status, message = tt.status, tt.message
		_, err := c.Begin(t.Context(), d.Request)
		var e *aik.Error
		if !errors.As(err, &e) || e.Retryable() != tt.retryable || !strings.Contains(e.Remedy(), tt.remedy) || e.HRESULT() != 0x80190000+uint32(tt.status) ||
			!strings.HasPrefix(err.Error(), "aik: enroll: scep: PKCSReq http") || !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%q: error %v", tt.message, err)
		}
	}
}
