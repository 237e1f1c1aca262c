package scep_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// TestAlgorithms describes what capabilities lead to.
func TestAlgorithms(t *testing.T) {
	for caps, want := range map[string][2]string{ // without and with older algorithms
		"SCEPStandard Renewal":        {"SHA-256, AES-128-CBC, POST, RenewalReq", "SHA-256, AES-128-CBC, POST, RenewalReq"},
		"SHA-512 AES256":              {"SHA-512, AES-256-CBC, GET, PKCSReq for renewals", "SHA-512, AES-256-CBC, GET, PKCSReq for renewals"},
		"SHA-256 POSTPKIOperation":    {"", "SHA-256, 3DES-CBC, POST, PKCSReq for renewals"},
		"AES DES3 SHA-1":              {"", "SHA-1, AES-128-CBC, GET, PKCSReq for renewals"},
		"DES3 SHA-1 POSTPKIOperation": {"", "SHA-1, 3DES-CBC, POST, PKCSReq for renewals"},
	} {
		for i, want := range want {
			got, err := scep.Caps(strings.Fields(caps)).Algorithms(i == 1)
			if got != want || (err == nil) != (want != "") || err != nil && !(errors.Is(err, scep.ErrLegacy) && errors.Is(err, scep.ErrCapability)) {
				t.Errorf("%s: %q, %v; want %q", caps, got, err, want)
			}
		}
	}
}

// TestCapsAtTheirLimits has words of the greatest length, and as many as are kept.
func TestCapsAtTheirLimits(t *testing.T) {
	long := strings.Repeat("a", 100)
	c := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s\n~x\nx~\n\x7f\n{x\n", long)
		for i := range 200 {
			fmt.Fprintf(w, "c%d\n", i)
		}
	}), strangers(t))
	caps, err := c.GetCACaps(t.Context(), "")
	if err != nil || len(caps) != 100 || !slices.Equal(caps[:4], []string{long, "~x", "x~", "c0"}) {
		t.Errorf("%d: %q, %v", len(caps), caps, err)
	}
}

// asks records the operations and messages of requests, and passes them on.
type asks struct {
	http.Handler
	list []string
}

func (a *asks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	message := r.URL.Query().Get("message")
	a.list = append(a.list, strings.TrimSpace(r.Method+" "+r.URL.Query().Get("operation")+" "+message[:min(len(message), 10)]+" "+r.Header.Get("Content-Type")))
	a.Handler.ServeHTTP(w, r)
}

// TestRequestsOfCA checks which requests are sent for the certificates of a CA.
func TestRequestsOfCA(t *testing.T) {
	none := &sceptest.Server{Fail: func(op string, w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusNotFound)
		return true
	}}
	chain := &sceptest.Server{Caps: scep.Caps{"SCEPStandard", "GetCACertChain", "X"}}
	for _, tt := range []struct {
		server    *sceptest.Server
		challenge string
		call      func(*scep.Client) error
		want      []string
	}{
		{none, "X", func(c *scep.Client) error { return second(c.CA(t.Context(), "")) }, []string{"GET GetCACaps"}},
		{chain, "X", func(c *scep.Client) error { return second(c.CA(t.Context(), "")) }, []string{"GET GetCACaps", "GET GetCACertChain default"}},
		{chain, "", func(c *scep.Client) error { return second(c.GetCACertChain(t.Context(), "my CA")) }, []string{"GET GetCACertChain my CA"}},
		{chain, "", func(c *scep.Client) error { return second(c.GetCACert(t.Context(), "")) }, []string{"GET GetCACert"}},
		{chain, "", func(c *scep.Client) error { return second(c.GetCACert(t.Context(), "x")) }, []string{"GET GetCACert x"}},
	} {
		a := &asks{Handler: tt.server}
		c := start(t, a, tt.server.Roots())
		c.Challenge = tt.challenge
		if err := tt.call(c); (err == nil) != (tt.server == chain) || !slices.Equal(a.list, tt.want) {
			t.Errorf("%v: sent %q, want %q", err, a.list, tt.want)
		}
	}
}

// TestContentType checks that only a body has a content type.
func TestContentType(t *testing.T) {
	server := new(sceptest.Server)
	a := &asks{Handler: server}
	c := start(t, a, server.Roots())
	ca := asked(t, start(t, server, server.Roots()))
	ca.Caps = scep.Caps{"SCEPStandard"}
	get := *ca
	get.Caps = scep.Caps{"SHA-256", "AES"}
	for _, ca := range []*scep.CA{ca, &get} {
		if _, err := c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()}); err != nil {
			t.Error(err)
		}
	}
	if len(a.list) != 2 || a.list[0] != "POST PKIOperation  application/x-pki-message" || !strings.HasPrefix(a.list[1], "GET PKIOperation M") || strings.Contains(a.list[1], "application") {
		t.Errorf("sent %q", a.list)
	}
}

// TestAddresses has addresses that are not absolute URLs.
func TestAddresses(t *testing.T) {
	for _, url := range []string{"scep", "", "http://[::1", "/scep"} {
		_, err := (&scep.Client{URL: url, Roots: x509.NewCertPool()}).GetCACaps(t.Context(), "")
		if !strings.Contains(failed(t, err).Err.Error(), "not an absolute URL") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestWordsAtTheirLimit has a text of the greatest length, and a longer one.
func TestWordsAtTheirLimit(t *testing.T) {
	for n, want := range map[int]int{500: 500, 501: 100 + len("…")} {
		c := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, strings.Repeat("x", n))
		}), strangers(t))
		_, err := c.GetCACaps(t.Context(), "")
		if got := failed(t, err).Message; len(got) != want {
			t.Errorf("%d characters became %d", n, len(got))
		}
	}
}

// TestLog checks that what is left out or goes wrong without an error is logged, and
// nothing else of that kind.
func TestLog(t *testing.T) {
	server := &sceptest.Server{RA: true}
	certs := append([]*x509.Certificate{selfSigned(t)}, server.Certificates()...)
	for name, tt := range map[string]struct {
		server http.Handler
		want   []string
	}{
		"nothing": {server, nil},
		"both": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("operation") == "GetCACaps" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			_, _ = w.Write(bag(t, certs))
		}), []string{"capabilities unknown", "certificates left out"}},
	} {
		var log bytes.Buffer
		c := start(t, tt.server, server.Roots())
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		asked(t, c)
		for _, text := range []string{"capabilities unknown", "certificates left out"} {
			if strings.Contains(log.String(), text) != slices.Contains(tt.want, text) {
				t.Errorf("%s: %s", name, log.String())
			}
		}
	}
}

// TestOnlyACA pins a self-signed certificate that is not a CA's.
func TestOnlyACA(t *testing.T) {
	cert := selfSigned(t)
	c := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(cert.Raw) }), nil)
	sum := sha256.Sum256(cert.Raw)
	c.Fingerprint = sum[:]
	if _, err := c.CA(t.Context(), ""); !errors.Is(err, scep.ErrUntrusted) || !strings.Contains(err.Error(), "no CA certificate has the fingerprint") {
		t.Errorf("got %v", err)
	}
}

// A family is a root, a CA and others of the same name or key.
type family struct{ root, above, ca, sameKey, sameName *sceptest.Authority }

func newFamily(t *testing.T) *family {
	t.Helper()
	root := mustRoot(t)
	authority := func(name string, parent *sceptest.Authority, usage x509.KeyUsage) *sceptest.Authority {
		a, err := sceptest.NewAuthority(name, parent, &x509.Certificate{KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | usage})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	f := &family{root: root, above: authority("above", root, x509.KeyUsageKeyEncipherment)}
	f.ca, f.sameName = authority("CA", f.above, 0), authority("CA", f.above, 0)
	twin, err := f.above.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "twin"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, f.ca.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	f.sameKey = &sceptest.Authority{Certificate: twin, Key: f.ca.Key}
	return f
}

// issue returns a certificate of by for an RA.
func (f *family) issue(t *testing.T, by *sceptest.Authority, name string) *x509.Certificate {
	t.Helper()
	c, err := by.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageKeyEncipherment,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 20, 2, 1}},
	}, testKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRecipients checks to whom requests are encrypted among CAs of one name or key.
func TestRecipients(t *testing.T) {
	f := newFamily(t)
	second, err := sceptest.NewAuthority("second", f.above, nil) // with keyEncipherment
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		sent []*x509.Certificate
		want string
		err  error
	}{
		"the only CA that may decrypt":      {[]*x509.Certificate{f.ca.Certificate, f.above.Certificate}, "above", nil},
		"two that may":                      {[]*x509.Certificate{f.ca.Certificate, second.Certificate, f.above.Certificate}, "CA", nil},
		"RA":                                {[]*x509.Certificate{f.issue(t, f.ca, "RA"), f.ca.Certificate, f.above.Certificate}, "RA", nil},
		"RA of another CA of the same name": {[]*x509.Certificate{f.issue(t, f.sameName, "RA"), f.ca.Certificate, f.sameName.Certificate, f.above.Certificate}, "above", nil},
		"RA of another CA of the same key":  {[]*x509.Certificate{f.issue(t, f.sameKey, "RA"), f.ca.Certificate, f.sameKey.Certificate, f.above.Certificate}, "above", nil},
		"RA alone, under the root":          {[]*x509.Certificate{f.issue(t, f.root, "RA")}, "", scep.ErrMalformed},
	} {
		c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("operation") == "GetCACert" {
				_, _ = w.Write(bag(t, tt.sent))
			}
		}), pool([]*x509.Certificate{f.root.Certificate}))
		ca, err := c.CA(t.Context(), "")
		if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) || err == nil && ca.Recipient.Subject.CommonName != tt.want {
			t.Errorf("%s: %+v, %v", name, ca, err)
		}
	}
}

// TestPurposesOverTLS checks whose certificates count as an RA's where TLS proves that
// the server sent them.
func TestPurposesOverTLS(t *testing.T) {
	f := newFamily(t)
	const ra = true
	for name, tt := range map[string]struct {
		known   []x509.ExtKeyUsage
		unknown []asn1.ObjectIdentifier
		want    bool
	}{
		"none":                 {nil, nil, ra},
		"TLS client":           {[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, nil, !ra},
		"TLS server":           {[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, nil, !ra},
		"e-mail":               {[]x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, nil, !ra},
		"all three":            {[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageEmailProtection}, nil, !ra},
		"code":                 {[]x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, nil, ra},
		"TLS client, and more": {[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, []asn1.ObjectIdentifier{{1, 2, 3}}, ra},
	} {
		cert, err := f.ca.Issue(&x509.Certificate{
			Subject: pkix.Name{CommonName: "RA"}, KeyUsage: x509.KeyUsageKeyEncipherment, ExtKeyUsage: tt.known, UnknownExtKeyUsage: tt.unknown,
		}, testKey().Public())
		if err != nil {
			t.Fatal(err)
		}
		ts := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("operation") == "GetCACert" {
				_, _ = w.Write(bag(t, []*x509.Certificate{cert, f.ca.Certificate, f.above.Certificate}))
			}
		}))
		c := &scep.Client{URL: ts.URL, Roots: pool([]*x509.Certificate{f.root.Certificate}), HTTPClient: ts.Client()}
		ca, err := c.CA(t.Context(), "")
		ts.Close()
		if err != nil || (ca.Recipient.Subject.CommonName == "RA") != tt.want {
			t.Errorf("%s: %v, %v", name, ca, err)
		}
	}
}

// TestIssuerOfList asks for the list of a certificate that a CA of the same name or key
// issued.
func TestIssuerOfList(t *testing.T) {
	f := newFamily(t)
	c := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }), strangers(t))
	ca := &scep.CA{Caps: scep.Caps{"SCEPStandard"}, Chain: []*x509.Certificate{f.ca.Certificate}, Recipient: f.ca.Certificate}
	for name, by := range map[string]*sceptest.Authority{"name": f.sameName, "key": f.sameKey} {
		_, err := c.GetCRL(t.Context(), ca, &scep.Request{Signer: testKey()}, f.issue(t, by, "leaf"))
		if !strings.Contains(failed(t, err).Error(), "did not issue") {
			t.Errorf("the same %s: %v", name, err)
		}
	}
}

// TestNextCAInTime gets a CA that begins later.
func TestNextCAInTime(t *testing.T) {
	from := time.Now().Add(time.Hour).Truncate(time.Second)
	root, err := sceptest.NewAuthority("next root", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	next, err := sceptest.NewAuthority("next CA", root, &x509.Certificate{NotBefore: from})
	if err != nil {
		t.Fatal(err)
	}
	server := &sceptest.Server{Next: next}
	c := start(t, server, server.Roots())
	if got, err := c.GetNextCACert(t.Context(), asked(t, c), ""); err != nil || !got.Signer.NotBefore.Equal(from) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestReplyAtItsLimits has a certificate that begins when the clock allows it at the
// latest, one that begins later, and two for the key.
func TestReplyAtItsLimits(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for name, tt := range map[string]struct {
		ahead time.Duration
		bag   func([]*x509.Certificate) []*x509.Certificate
		want  error
	}{
		"five minutes ahead": {5 * time.Minute, nil, nil},
		"later":              {5*time.Minute + time.Second, nil, scep.ErrUntrusted},
		"two":                {0, func(c []*x509.Certificate) []*x509.Certificate { return []*x509.Certificate{c[1], c[1], c[0]} }, scep.ErrMismatch},
		"first":              {0, func(c []*x509.Certificate) []*x509.Certificate { return []*x509.Certificate{c[1], c[0]} }, nil},
	} {
		f := newForger(t)
		f.caps = "SCEPStandard"
		f.leaf = func(c *x509.Certificate) crypto.PublicKey { c.NotBefore = now.Add(tt.ahead); return nil }
		if tt.bag != nil {
			f.bag = func(c []*x509.Certificate) []byte { return bag(t, tt.bag(c)) }
		}
		c := start(t, f, f.roots())
		c.Now = func() time.Time { return now }
		_, err := c.Enroll(t.Context(), asked(t, c), &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTransactionOfFetch checks the transactionID of messages without a CSR.
func TestTransactionOfFetch(t *testing.T) {
	server := new(sceptest.Server)
	ca := asked(t, start(t, server, server.Roots()))
	var ids []string
	c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		m, err := pkimsg.Parse(body)
		if err != nil {
			t.Error(err)
			return
		}
		ids = append(ids, m.TransactionID)
	}), server.Roots())
	for _, id := range []string{"T 1", "", ""} {
		_, _ = c.GetCert(t.Context(), ca, &scep.Request{Signer: testKey(), TransactionID: id}, big.NewInt(1))
	}
	if len(ids) != 3 || ids[0] != "T 1" || len(ids[1]) < 20 || ids[1] == ids[2] {
		t.Errorf("transactions %q", ids)
	}
}
