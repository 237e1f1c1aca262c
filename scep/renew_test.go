package scep_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// otherRSA returns a second RSA key.
var otherRSA = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil
	}
	return key
})

func TestRenew(t *testing.T) {
	t.Parallel()
	var renewed []*x509.Certificate
	server := &sceptest.Server{Password: "secret"}
	server.Issue = func(r *sceptest.Request) (*x509.Certificate, error) {
		renewed = append(renewed, r.Renews)
		return r.Certify(&x509.Certificate{Subject: pkix.Name{CommonName: "device 7"}})
	}
	c := start(t, server, server.Roots())
	ca := asked(t, c)
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "device 7"}}
	csr := func(key *rsa.PrivateKey, password string) []byte {
		der, err := scep.NewCSR(template, key, password)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for _, wrong := range []string{"", "Secret", "secret2"} {
		_, err := c.Enroll(t.Context(), ca, &scep.Request{CSR: csr(testKey(), wrong), Signer: testKey()})
		if e := failed(t, err); e.FailInfo != scep.BadRequest || e.Message != "wrong challengePassword" || !strings.Contains(e.Remedy(), "password") {
			t.Errorf("password %q: %v", wrong, err)
		}
	}
	reply, err := c.Enroll(t.Context(), ca, &scep.Request{CSR: csr(testKey(), "secret"), Signer: testKey()})
	if err != nil {
		t.Fatal(err)
	}
	old := reply.Certificates[0]
	for _, tt := range []struct {
		as   scep.RenewAs
		caps scep.Caps
	}{
		{scep.RenewAuto, ca.Caps},
		{scep.RenewAuto, scep.Caps{"SCEPStandard"}},
		{scep.RenewRenewalReq, scep.Caps{"SCEPStandard"}},
		{scep.RenewPKCSReq, ca.Caps},
	} {
		c.RenewAs = tt.as
		own := *ca
		own.Caps = tt.caps
		got, err := c.Renew(t.Context(), &own, &scep.Request{CSR: csr(otherRSA(), ""), Signer: testKey(), Certificate: old})
		if err != nil {
			t.Fatalf("%+v: %v; %q", tt, err, server.Refusals())
		}
		if !otherRSA().PublicKey.Equal(got.Certificates[0].PublicKey) || !renewed[len(renewed)-1].Equal(old) {
			t.Errorf("%+v: got %+v", tt, got)
		}
	}
	c.RenewAs = scep.RenewAuto
	_, err = c.Renew(t.Context(), ca, &scep.Request{CSR: csr(otherRSA(), ""), Signer: testKey(), Certificate: selfSigned(t)})
	if e := failed(t, err); e.FailInfo != scep.BadMessageCheck || e.Op != "RenewalReq" {
		t.Errorf("renewal of a certificate of nobody: %v", err)
	}
	if _, err := c.Renew(t.Context(), ca, &scep.Request{CSR: csr(otherRSA(), ""), Signer: testKey()}); err == nil {
		t.Error("renewal of nothing")
	}
	_, err = c.Renew(t.Context(), ca, &scep.Request{CSR: csr(otherRSA(), "wrong"), Signer: testKey(), Certificate: old})
	if failed(t, err).FailInfo != scep.BadRequest {
		t.Errorf("renewal with a wrong password: %v", err)
	}
	template.Subject.CommonName = "device 8"
	_, err = c.Renew(t.Context(), ca, &scep.Request{CSR: csr(otherRSA(), ""), Signer: testKey(), Certificate: old})
	if e := failed(t, err); e.FailInfo != scep.BadRequest || !strings.Contains(e.Message, "subject") {
		t.Errorf("renewal for another subject: %v", err)
	}
	server.Revoke(old.SerialNumber)
	_, err = c.Renew(t.Context(), ca, &scep.Request{CSR: csr(otherRSA(), ""), Signer: testKey(), Certificate: old})
	if failed(t, err).FailInfo != scep.BadCertID {
		t.Errorf("renewal of a revoked certificate: %v", err)
	}
}

func TestRenewalIsNotAdvertised(t *testing.T) {
	server := &sceptest.Server{Caps: scep.Caps{"SCEPStandard"}}
	c := start(t, server, server.Roots())
	ca := asked(t, c)
	reply, err := c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()})
	if err != nil {
		t.Fatal(err)
	}
	c.RenewAs = scep.RenewRenewalReq
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: reply.Certificates[0]}
	if _, err := c.Renew(t.Context(), ca, req); failed(t, err).FailInfo != scep.BadRequest {
		t.Errorf("a message that is not advertised: %v", err)
	}
	c.RenewAs = scep.RenewAuto
	if _, err := c.Renew(t.Context(), ca, req); err != nil {
		t.Error(err)
	}
}

func TestNextCA(t *testing.T) {
	t.Parallel()
	root, err := sceptest.NewAuthority("next root", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	next, err := sceptest.NewAuthority("next CA", root, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := &sceptest.Server{Next: next, RA: true}
	c := start(t, server, server.Roots())
	ca := asked(t, c)
	got, err := c.GetNextCACert(t.Context(), ca, "")
	if err != nil {
		t.Fatal(err)
	}
	if !got.Recipient.Equal(next.Certificate) || !got.Signer.Equal(next.Certificate) || len(got.Chain) != 2 || !got.Caps.Has("AES") {
		t.Errorf("got %+v", got)
	}
	for _, quirk := range []sceptest.Quirk{sceptest.QuirkBER, sceptest.QuirkPlainRSA} {
		server := &sceptest.Server{Next: next, Quirks: quirk}
		c := start(t, server, server.Roots())
		if _, err := c.GetNextCACert(t.Context(), asked(t, c), ""); err != nil {
			t.Errorf("quirk %x: %v", quirk, err)
		}
	}
	for quirk, want := range map[sceptest.Quirk]error{
		sceptest.QuirkForeignSigner: scep.ErrUntrusted,
		sceptest.QuirkSHA1:          scep.ErrLegacy,
		sceptest.QuirkTrailing:      scep.ErrMalformed,
		sceptest.QuirkTruncated:     scep.ErrMalformed,
		sceptest.QuirkOversized:     scep.ErrMalformed,
	} {
		server := &sceptest.Server{Next: next, Quirks: quirk}
		c := start(t, server, server.Roots())
		_, err := c.GetNextCACert(t.Context(), asked(t, c), "")
		if !errors.Is(err, want) || failed(t, err).Op != "GetNextCACert" {
			t.Errorf("quirk %x: got %v, want %v", quirk, err, want)
		}
	}
	server = new(sceptest.Server)
	c = start(t, server, server.Roots())
	ca = asked(t, c)
	if _, err := c.GetNextCACert(t.Context(), ca, ""); !errors.Is(err, scep.ErrCapability) {
		t.Errorf("not advertised: %v", err)
	}
	ca.Caps = append(ca.Caps, "GetNextCACert")
	if _, err := c.GetNextCACert(t.Context(), ca, ""); failed(t, err).HTTPStatus != http.StatusBadRequest {
		t.Errorf("advertised, and not answered: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	server, other := &sceptest.Server{RA: true}, new(sceptest.Server)
	chain := server.Certificates()
	sum := func(c *x509.Certificate) []byte { s := sha256.Sum256(c.Raw); return s[:] }
	for name, tt := range map[string]struct {
		roots       *x509.CertPool
		fingerprint []byte
		want        error
		bag         int
	}{
		"the CA's":            {nil, sum(chain[0]), nil, 3},
		"the root's":          {nil, sum(chain[1]), nil, 4},
		"with roots":          {server.Roots(), sum(chain[0]), nil, 4},
		"with others' roots":  {other.Roots(), sum(chain[0]), scep.ErrUntrusted, 0},
		"another's":           {nil, sum(other.Certificates()[0]), scep.ErrUntrusted, 0},
		"the RA's":            {nil, sum(server.Recipient()), scep.ErrUntrusted, 0},
		"the RA's and roots":  {server.Roots(), sum(server.Recipient()), scep.ErrUntrusted, 0},
		"another's and roots": {server.Roots(), sum(other.Certificates()[0]), scep.ErrUntrusted, 0},
	} {
		c := start(t, server, tt.roots)
		c.Fingerprint = tt.fingerprint
		ca, err := c.CA(t.Context(), "")
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err != nil {
			continue
		}
		if len(ca.Chain) != tt.bag || !ca.Recipient.Equal(server.Recipient()) {
			t.Errorf("%s: %d certificates", name, len(ca.Chain))
		}
		if _, err := c.Enroll(t.Context(), ca, &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Both CAs are sent; one leads to the roots, and the other is pinned.
	both := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(bag(t, append(other.Certificates(), chain...)))
	}), server.Roots())
	both.Fingerprint = sum(other.Certificates()[0])
	if _, err := both.CA(t.Context(), ""); !errors.Is(err, scep.ErrUntrusted) {
		t.Errorf("pinned, and not under the roots: %v", err)
	}
	c := start(t, server, nil)
	c.Fingerprint = sum(chain[0])[:20]
	if _, err := c.CA(t.Context(), ""); err == nil {
		t.Error("a fingerprint of 20 bytes")
	}
}

// trips counts round trips: requests that run at the same time count as one.
type trips struct {
	http.RoundTripper
	mu      sync.Mutex
	running int
	rows    int
	both    chan struct{}
}

func (tr *trips) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.mu.Lock()
	if tr.running == 0 {
		tr.rows++
	}
	tr.running++
	tr.mu.Unlock()
	if op := r.URL.Query().Get("operation"); strings.HasPrefix(op, "GetCAC") {
		// Neither of the two is answered before the other is sent.
		select {
		case tr.both <- struct{}{}:
		case <-tr.both:
		case <-r.Context().Done():
		}
	}
	res, err := tr.RoundTripper.RoundTrip(r)
	tr.mu.Lock()
	tr.running--
	tr.mu.Unlock()
	return res, err
}

func TestRoundTrips(t *testing.T) {
	server := new(sceptest.Server)
	c := start(t, server, server.Roots())
	count := &trips{RoundTripper: c.HTTPClient.Transport, both: make(chan struct{})}
	c.HTTPClient = &http.Client{Transport: count}
	ca := asked(t, c)
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()}
	if _, err := c.Enroll(t.Context(), ca, req); err != nil {
		t.Fatal(err)
	}
	if count.rows != 2 {
		t.Errorf("%d round trips to a first enrollment", count.rows)
	}
	// With a known CA, plain http is enough.
	known := &scep.CA{
		Caps: scep.Caps{"SCEPStandard"}, Chain: server.Certificates()[:1],
		Recipient: server.Recipient(), Signer: server.Certificates()[0],
	}
	c.Roots = nil
	count.rows = 0
	if _, err := c.Enroll(t.Context(), known, req); err != nil || count.rows != 1 {
		t.Errorf("%d round trips with a CA given, %v", count.rows, err)
	}
}

func TestNewCSR(t *testing.T) {
	t.Parallel()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}, DNSNames: []string{"d.test"}}
	curves := []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}
	for _, password := range []string{"", "secret", "schlüssel", "a_b*", strings.Repeat("x", 200)} {
		der, err := scep.NewCSR(template, testKey(), password)
		if err != nil {
			t.Fatal(err)
		}
		checkCSR(t, der, password)
		// Sets are sorted, short elements first.
		challenge, extensions := bytes.Index(der, []byte{0xF7, 0x0D, 1, 9, 7}), bytes.Index(der, []byte{0xF7, 0x0D, 1, 9, 14})
		if challenge >= 0 && (challenge > extensions) != (len(password) > 100) {
			t.Errorf("password of %d bytes at %d, extensions at %d", len(password), challenge, extensions)
		}
		for _, curve := range curves {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if der, err = scep.NewCSR(template, key, password); err != nil {
				t.Fatal(err)
			}
			checkCSR(t, der, password)
		}
	}
	bare, err := scep.NewCSR(&x509.CertificateRequest{}, testKey(), "p")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pkimsg.Password(bare); err != nil || got != "p" {
		t.Errorf("without names: %q, %v", got, err)
	}
	for _, wrong := range []string{strings.Repeat("x", 256), "\xff"} {
		if _, err := scep.NewCSR(template, testKey(), wrong); err == nil {
			t.Errorf("password %q", wrong)
		}
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scep.NewCSR(template, p224, ""); err == nil {
		t.Error("a key on P-224")
	}
}

func checkCSR(t *testing.T, der []byte, password string) {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := csr.CheckSignature(); err != nil {
		t.Error(err)
	}
	got, err := pkimsg.Password(der)
	if err != nil || got != password || csr.Subject.CommonName != "d" || !slices.Equal(csr.DNSNames, []string{"d.test"}) {
		t.Errorf("got %q, %v, %s %q", got, err, csr.Subject, csr.DNSNames)
	}
}
