package scep_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

func TestGetCACaps(t *testing.T) {
	for body, want := range map[string]scep.Caps{
		"":                               nil,
		"AES\nSHA-256\n":                 {"AES", "SHA-256"},
		"AES\r\nSHA-256":                 {"AES", "SHA-256"},
		" AES \r\n\r\n\tX-Y\r\n":         {"AES", "X-Y"},
		"<html>\n<p>Welcome</p>\n":       nil,
		"two words\nAES":                 {"AES"},
		strings.Repeat("a", 101) + "\nb": {"b"},
	} {
		var query string
		c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query = r.URL.RawQuery
			_, _ = io.WriteString(w, body)
		}), strangers(t))
		caps, err := c.GetCACaps(t.Context(), "my CA")
		if err != nil || !reflect.DeepEqual(caps, want) {
			t.Errorf("%q: got %q, %v", body, caps, err)
		}
		if query != "message=my+CA&operation=GetCACaps" {
			t.Errorf("query %q", query)
		}
	}
	caps := scep.Caps{"GetCaCertChain"}
	if !caps.Has("GETCACERTCHAIN") || caps.Has("GetCACert") {
		t.Error("Has does not compare whole words in any case")
	}
}

func TestErrorsOfHTTP(t *testing.T) {
	const json = `{"Message":"The authority \"x\" does not exist"}`
	for name, tt := range map[string]struct {
		status    int
		body      string
		kind      string
		message   string
		hresult   uint32
		retryable bool
	}{
		"404 of Windows": {404, json, "application/json", `The authority "x" does not exist`, 0x80190194, false},
		"400 in text":    {400, "no\x00 way\n", "text/plain", "no\ufffd way", 0x80190190, false},
		"500 in HTML":    {500, "<html><script>x</script><h1>No</h1>way", "text/html", "No way", 0x801901F4, true},
		"503":            {503, "", "", "", 0x801901F7, true},
		"302 to nowhere": {302, "", "", "", 0x8019012E, false},
		"long JSON":      {429, `{"Message":"` + strings.Repeat("é", 600) + `"}`, "", strings.Repeat("é", 500) + "…", 0x801901AD, true},
	} {
		c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", tt.kind)
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		}), strangers(t))
		c.Challenge = "X"
		_, err := c.CA(t.Context(), "")
		var e *scep.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: got %v", name, err)
		}
		if e.Op != "GetCACaps" || e.Message != tt.message || e.HRESULT() != tt.hresult || e.Retryable() != tt.retryable {
			t.Errorf("%s: got %#v, %#x, %v", name, e, e.HRESULT(), e.Retryable())
		}
		if tt.status != 302 && (e.HTTPStatus != tt.status || e.RetryAfter != 7*time.Second) {
			t.Errorf("%s: got %d, %v", name, e.HTTPStatus, e.RetryAfter)
		}
	}
}

func TestGarbage(t *testing.T) {
	for name, body := range map[string][]byte{
		"empty":  {},
		"HTML":   []byte("<html></html>"),
		"nested": []byte(strings.Repeat("\x30\x80", 100000)),
		"large":  make([]byte, 257<<10),
	} {
		c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(body) }), strangers(t))
		if _, err := c.GetCACert(t.Context(), ""); !errors.Is(err, scep.ErrMalformed) || len(body) == 0 && !strings.Contains(err.Error(), "malformed answer: the answer is empty") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.CA(t.Context(), ""); !errors.Is(err, scep.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCAIsChecked(t *testing.T) {
	server := &sceptest.Server{RA: true}
	other := new(sceptest.Server)
	var e *scep.Error

	c := start(t, server, other.Roots())
	_, err := c.CA(t.Context(), "")
	if !errors.Is(err, scep.ErrUntrusted) || !errors.As(err, &e) || e.Op != "GetCACert" || e.HRESULT() != 0x800B0109 ||
		e.Retryable() || e.Remedy() == "" {
		t.Errorf("another root: %v", err)
	}

	c = start(t, server, server.Roots())
	c.Now = func() time.Time { return time.Now().AddDate(20, 0, 0) }
	if _, err := c.CA(t.Context(), ""); !errors.Is(err, scep.ErrUntrusted) {
		t.Errorf("in 20 years: %v", err)
	}

	c = start(t, server, nil)
	if _, err := c.CA(t.Context(), ""); !errors.Is(err, scep.ErrUntrusted) || !errors.As(err, &e) || e.HRESULT() != 0 || e.URL != "" ||
		!strings.Contains(e.Error(), "nothing vouches for the CA") || !strings.Contains(e.Remedy(), "Nothing was sent.") {
		t.Errorf("plain http without roots: %v", err)
	}
	ts := httptest.NewTLSServer(server)
	defer ts.Close()
	c = &scep.Client{URL: ts.URL, HTTPClient: ts.Client()}
	ca, err := c.CA(t.Context(), "")
	if err != nil {
		t.Fatalf("TLS without roots: %v", err)
	}
	if ca.Signer.Subject.CommonName != "RA Signing Certificate" || ca.Recipient.Subject.CommonName != "RA Encryption Certificate" {
		t.Errorf("signer %s, recipient %s", ca.Signer.Subject, ca.Recipient.Subject)
	}
	if _, err := c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()}); err != nil {
		t.Error(err)
	}
	c.URL = "scep"
	if _, err := c.GetCACaps(t.Context(), ""); err == nil {
		t.Error("a relative URL")
	}
}

// A pool without a root trusts nothing, which is known before anything is sent.
func TestEmptyPool(t *testing.T) {
	c := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }), x509.NewCertPool())
	if _, err := c.CA(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "empty pool") {
		t.Error(err)
	}
}

// The error about a fingerprint names what the server has, to compare; at most six
// certificates.
func TestNamed(t *testing.T) {
	ca, err := sceptest.NewAuthority("CA", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for sent, want := range map[int]string{1: `"CN=CA" (SHA-256 `, 6: "", 7: ", 1 more", 8: ", 2 more"} {
		c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("operation") == "GetCACert" {
				_, _ = w.Write(bag(t, slices.Repeat([]*x509.Certificate{ca.Certificate}, sent)))
			}
		}), nil)
		c.Fingerprint = make([]byte, 32)
		_, err := c.CA(t.Context(), "")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), " more") != (sent > 6) || strings.Count(err.Error(), "CN=CA") != min(sent, 6) {
			t.Errorf("%d: %v", sent, err)
		}
	}
}

// TestRoles checks the choice of recipient and signer from odd sets of
// certificates.
func TestRoles(t *testing.T) {
	root, err := sceptest.NewAuthority("root", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := sceptest.NewAuthority("CA", root, &x509.Certificate{KeyUsage: x509.KeyUsageCertSign})
	if err != nil {
		t.Fatal(err)
	}
	ra := func(name string, usage x509.KeyUsage, ext ...asn1.ObjectIdentifier) *x509.Certificate {
		c, err := ca.Issue(&x509.Certificate{
			Subject: pkix.Name{CommonName: name}, KeyUsage: usage, UnknownExtKeyUsage: ext,
		}, testKey().Public())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	both := x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	client, err := ca.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "client"}, KeyUsage: both, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, testKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	privacy := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 36}
	agent := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 1}
	cmcRA := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 28}
	codeSigning := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	logon := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}
	other, err := sceptest.NewAuthority("other CA", root, &x509.Certificate{KeyUsage: x509.KeyUsageCertSign})
	if err != nil {
		t.Fatal(err)
	}
	byOther, err := other.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "RA of another"}, KeyUsage: both, UnknownExtKeyUsage: []asn1.ObjectIdentifier{agent},
	}, testKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		sent              []*x509.Certificate
		recipient, signer string
		want              error
	}{
		"CA alone, no usage":   {[]*x509.Certificate{ca.Certificate}, "CA", "CA", nil},
		"root first":           {[]*x509.Certificate{root.Certificate, ca.Certificate}, "CA", "CA", nil},
		"one RA for both":      {[]*x509.Certificate{ra("RA", both, agent), ca.Certificate}, "RA", "RA", nil},
		"one by CMC":           {[]*x509.Certificate{ra("RA", both, cmcRA), ca.Certificate}, "RA", "RA", nil},
		"encryption RA alone":  {[]*x509.Certificate{ra("E", x509.KeyUsageKeyEncipherment, agent), ca.Certificate}, "E", "E", nil},
		"a client as RA":       {[]*x509.Certificate{client, ca.Certificate}, "CA", "CA", nil},
		"by the extended one":  {[]*x509.Certificate{ra("S", both, agent), ra("E", x509.KeyUsageKeyEncipherment, privacy), ca.Certificate}, "E", "S", nil},
		"without a purpose":    {[]*x509.Certificate{ra("leaf", both), ca.Certificate}, "CA", "CA", nil},
		"code signing":         {[]*x509.Certificate{ra("leaf", both, codeSigning), ca.Certificate}, "CA", "CA", nil},
		"smart-card logon":     {[]*x509.Certificate{ra("leaf", both, logon), ca.Certificate}, "CA", "CA", nil},
		"unknown purpose":      {[]*x509.Certificate{ra("leaf", both, asn1.ObjectIdentifier{1, 2, 3}), ca.Certificate}, "CA", "CA", nil},
		"RA of another CA":     {[]*x509.Certificate{byOther, ca.Certificate}, "CA", "CA", nil},
		"RA without its CA":    {[]*x509.Certificate{ra("RA", both)}, "", "", scep.ErrUntrusted},
		"P-256 root alone":     {[]*x509.Certificate{root.Certificate}, "", "", scep.ErrCapability},
		"RA of another is out": {[]*x509.Certificate{selfSigned(t), ca.Certificate}, "CA", "CA", nil},
	} {
		c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("operation") == "GetCACert" {
				_, _ = w.Write(bag(t, tt.sent))
			}
		}), pool([]*x509.Certificate{root.Certificate}))
		got, err := c.CA(t.Context(), "")
		if tt.want != nil {
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Recipient.Subject.CommonName != tt.recipient || got.Signer.Subject.CommonName != tt.signer {
			t.Errorf("%s: recipient %s, signer %s", name, got.Recipient.Subject, got.Signer.Subject)
		}
	}
}

func selfSigned(t testing.TB) *x509.Certificate {
	t.Helper()
	c, err := scep.ProtocolCertificate(testKey(), nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProtocolCertificate(t *testing.T) {
	c := selfSigned(t)
	if c.Subject.String() != "CN=SCEP Protocol Certificate" || c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil ||
		len(c.SerialNumber.Bytes()) != 16 || c.IsCA || len(c.SubjectKeyId) != 20 || string(c.SubjectKeyId) != string(c.AuthorityKeyId) {
		t.Errorf("got %+v", c)
	}
	if ids := extensionIDs(c); !slices.Equal(ids, []string{"2.5.29.14", "2.5.29.35"}) {
		t.Errorf("as Windows makes it: extensions %s", ids)
	}
	named, err := scep.ProtocolCertificate(testKey(), c.RawSubject, time.Now())
	if err != nil || !slices.Equal(extensionIDs(named), []string{"2.5.29.14", "2.5.29.15", "2.5.29.35"}) {
		t.Errorf("with a name: %v, %v", named, err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scep.ProtocolCertificate(ec, nil, time.Now()); err == nil {
		t.Error("an ECDSA key")
	}
}

// extensionIDs returns the sorted identifiers of the extensions of c.
func extensionIDs(c *x509.Certificate) []string {
	var ids []string
	for _, e := range c.Extensions {
		ids = append(ids, e.Id.String())
	}
	slices.Sort(ids)
	return ids
}

func TestRequestIsChecked(t *testing.T) {
	c := start(t, http.NotFoundHandler(), strangers(t))
	ca := &scep.CA{Caps: scep.Caps{"SCEPStandard"}, Recipient: selfSigned(t)}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr := newCSR(t, testKey())
	for name, req := range map[string]*scep.Request{
		"nothing":            {},
		"no signer":          {CSR: csr},
		"no CSR":             {Signer: testKey()},
		"CSR with a tail":    {CSR: append(csr[:len(csr):len(csr)], 0), Signer: testKey()},
		"ECDSA signer":       {CSR: csr, Signer: ec},
		"other certificate":  {CSR: csr, Signer: other, Certificate: selfSigned(t)},
		"other decrypter":    {CSR: csr, Signer: testKey(), Decrypter: other},
		"odd transaction ID": {CSR: csr, Signer: testKey(), TransactionID: "a_b"},
		"attribute twice": {CSR: csr, Signer: testKey(), Attributes: []scep.Attribute{
			{Type: asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 2}, Value: asn1.RawValue{Tag: 19, Bytes: []byte("3")}},
		}},
	} {
		_, err := c.Enroll(t.Context(), ca, req)
		var e *scep.Error
		if !errors.As(err, &e) || e.HTTPStatus != 0 {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWhatIsSent(t *testing.T) {
	var got *sceptest.Request
	server := &sceptest.Server{Issue: func(r *sceptest.Request) (*x509.Certificate, error) {
		got = r
		return r.Certify(&x509.Certificate{Subject: pkix.Name{CommonName: "x"}})
	}}
	c := start(t, server, server.Roots())
	c.Header = http.Header{"x-ms-client-request-id": {"7"}}
	ca, err := c.CA(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	extra := selfSigned(t)
	id := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	req := &scep.Request{
		CSR: newCSR(t, testKey()), Signer: testKey(), TransactionID: "T 1", Extra: []*x509.Certificate{extra},
		Attributes: []scep.Attribute{{Type: id, Value: asn1.RawValue{Tag: asn1.TagOctetString, Bytes: []byte("hello")}}},
	}
	if _, err := c.Enroll(t.Context(), ca, req); err != nil {
		t.Fatal(err)
	}
	if got.TransactionID != "T 1" || got.Header.Get("X-Ms-Client-Request-Id") != "7" || string(got.CSR) != string(req.CSR) {
		t.Errorf("got %+v", got)
	}
	if len(got.Extra) != 1 || !got.Extra[0].Equal(extra) || got.Signer.Subject.CommonName != "device 7" {
		t.Errorf("%d extra certificates, signer %s", len(got.Extra), got.Signer.Subject)
	}
	if len(got.Attributes) != 1 || !got.Attributes[0].Type.Equal(id) || string(got.Attributes[0].Value.FullBytes) != "\x04\x05hello" {
		t.Errorf("attributes %v", got.Attributes)
	}

	req.TransactionID = ""
	first, err := c.Enroll(t.Context(), ca, req)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Enroll(t.Context(), ca, req)
	if err != nil {
		t.Fatal(err)
	}
	if first.TransactionID != second.TransactionID || got.TransactionID != second.TransactionID {
		t.Errorf("transactions %q, %q", first.TransactionID, second.TransactionID)
	}
}

// If a refusal is about time and the CA's clock differs, the remedy has both clocks.
func TestClocks(t *testing.T) {
	server := &sceptest.Server{Issue: func(*sceptest.Request) (*x509.Certificate, error) { return nil, &scep.Error{FailInfo: scep.BadTime} }}
	c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Fri, 29 Nov 2019 02:28:00 GMT")
		server.ServeHTTP(w, r)
	}), server.Roots())
	var e *scep.Error
	remedy := func(err error) string {
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		return e.Remedy()
	}
	ca, err := c.CA(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	const says = "The service's clock says 2019-11-29 02:28 UTC, this device's 20"
	_, err = c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
	if got := remedy(err); !strings.HasPrefix(got, says) {
		t.Errorf("%v: %s", err, got)
	}
	c.Now = func() time.Time { return time.Now().AddDate(20, 0, 0) }
	_, err = c.CA(t.Context(), "")
	if got := remedy(err); !strings.HasPrefix(got, says) {
		t.Errorf("%v: %s", err, got)
	}
	server.Issue = func(*sceptest.Request) (*x509.Certificate, error) { return nil, &scep.Error{FailInfo: scep.BadRequest} }
	c.Now = nil
	_, err = c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
	if got := remedy(err); strings.Contains(got, "clock") {
		t.Errorf("%v: %s", err, got)
	}
}

func TestFailureOfServer(t *testing.T) {
	for _, tt := range []struct {
		refuse    error
		info      scep.FailInfo
		status    int
		message   string
		retryable bool
	}{
		{&scep.Error{FailInfo: scep.BadTime, Message: "zu spät"}, scep.BadTime, 200, "zu spät", false},
		{fmt.Errorf("wrapped: %w", &scep.Error{FailInfo: scep.BadCertID}), scep.BadCertID, 200, "", false},
		{errors.New("tpm-revoked"), scep.BadRequest, 200, "tpm-revoked", false},
		{&scep.Error{HTTPStatus: 400, Message: "No valid TPM EK"}, scep.NoFailInfo, 400, "No valid TPM EK", false},
		{&scep.Error{HTTPStatus: 429, RetryAfter: time.Minute}, scep.NoFailInfo, 429, "Too Many Requests", true},
	} {
		server := &sceptest.Server{Issue: func(*sceptest.Request) (*x509.Certificate, error) { return nil, tt.refuse }}
		c := start(t, server, server.Roots())
		ca, err := c.CA(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
		var e *scep.Error
		if !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		if e.FailInfo != tt.info || e.HTTPStatus != tt.status || e.Message != tt.message || e.Retryable() != tt.retryable || e.Op != "PKCSReq" {
			t.Errorf("got %#v", e)
		}
		if !strings.Contains(err.Error(), "scep: PKCSReq http://127.0.0.1") || len(server.Refusals()) != 1 {
			t.Errorf("got %q, %q", err, server.Refusals())
		}
	}
}

func TestContext(t *testing.T) {
	server := new(sceptest.Server)
	c := start(t, server, server.Roots())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var e *scep.Error
	if _, err := c.CA(ctx, ""); !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Op != "GetCACaps" || e.Retryable() {
		t.Errorf("got %v", err)
	}
}
