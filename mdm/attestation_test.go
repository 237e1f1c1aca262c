package mdm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// An attester makes claims with a TPM.
type attester struct {
	chip        *attest.TPM
	aik         *attest.Key
	device, key *attest.Key
}

func newAttester(t testing.TB, tr transport.TPM) *attester {
	t.Helper()
	a := &attester{chip: &attest.TPM{Transport: tr}}
	for _, k := range []struct {
		to    **attest.Key
		usage attest.Usage
	}{{&a.aik, attest.Attest}, {&a.device, attest.Sign}, {&a.key, attest.Sign}} {
		var err error
		if *k.to, err = a.chip.CreateKey(t.Context(), attest.Template{Algorithm: attest.RSA2048, Usage: k.usage}); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// claim certifies a key and puts the statement into a claim.
func (a *attester) claim(t testing.TB, key *attest.Key) []byte {
	t.Helper()
	s, err := a.chip.Certify(t.Context(), key, a.aik, nil)
	if err != nil {
		t.Fatal(err)
	}
	claim, err := mdm.Claim((*mdm.Statement)(s))
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

func (a *attester) attestation(t testing.TB) *mdm.Attestation {
	t.Helper()
	return &mdm.Attestation{
		AIK: a.aik.Public().(*rsa.PublicKey), Claim: a.claim(t, a.key),
		DeviceKey: a.device.Public().(*rsa.PublicKey), DeviceClaim: a.claim(t, a.device),
	}
}

// A device whose keys never leave its TPM enrolls with claims, renews over TLS
// with the old key for a new one, and recovers.
func TestEnrollTPM(t *testing.T) {
	fixture.TPMs(t, func(t *testing.T, tr transport.TPM) {
		a := newAttester(t, tr)
		server := &mdmtest.Server{
			RequireAttestation: true,
			DeviceKey:          func(string) crypto.PublicKey { return a.device.Public() },
		}
		discovery, h := startTLS(t, server)
		client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h}
		d, err := client.Discover(t.Context(), discovery, "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := client.Policy(t.Context(), d, newToken(t))
		if err != nil || p.AttestationFailure != "FailOnError" {
			t.Fatalf("%+v, %v", p, err)
		}
		req := &mdm.Request{Credential: newToken(t), Key: a.key, Attestation: a.attestation(t), Context: extra()}
		e, err := client.Enroll(t.Context(), d, p, req)
		if err != nil {
			t.Fatalf("%v; server: %q", err, server.Refusals())
		}
		cert := e.Certificate
		next := *a
		if next.key, err = a.chip.CreateKey(t.Context(), attest.Template{Algorithm: attest.RSA2048, Usage: attest.Sign}); err != nil {
			t.Fatal(err)
		}
		renewed, err := client.Renew(t.Context(), d, p, &mdm.Renewal{
			Certificate: cert, Key: a.key, Issuers: e.Issuers, NewKey: next.key, Attestation: next.attestation(t),
		})
		if err != nil {
			t.Fatalf("%v; server: %q", err, server.Refusals())
		}
		if !next.key.Public().(*rsa.PublicKey).Equal(renewed.Certificate.PublicKey) {
			t.Errorf("renewed certificate is of %v", renewed.Certificate.PublicKey)
		}
		if _, err := client.Recover(t.Context(), d, p, req); err != nil {
			t.Errorf("recovery: %v; server: %q", err, server.Refusals())
		}
	})
}

// Claims that prove something else, or nothing, are refused by the server.
func TestClaimsRefused(t *testing.T) {
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	a := newAttester(t, chip)
	good := a.attestation(t)
	server := &mdmtest.Server{RequireAttestation: true}
	discovery, h := startTLS(t, server)
	client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h}
	d, err := client.Discover(t.Context(), discovery, "")
	if err != nil {
		t.Fatal(err)
	}
	flip := func(b []byte, i int) []byte {
		b = append([]byte(nil), b...)
		b[(i+len(b))%len(b)] ^= 1
		return b
	}
	for _, c := range []struct {
		name   string
		change func(*mdm.Attestation)
		reason string
	}{
		{"good", func(*mdm.Attestation) {}, ""},
		{"over the device key", func(a *mdm.Attestation) { a.Claim = a.DeviceClaim }, "AIKAttestationClaim: it is about another key"},
		{"device's over the management key", func(a *mdm.Attestation) { a.DeviceClaim = a.Claim }, "AadAIKAttestationClaim: it is about another key"},
		{"by another key", func(a *mdm.Attestation) { a.AIK = &otherKey().PublicKey }, "AIKAttestationClaim"},
		{"changed statement", func(a *mdm.Attestation) { a.Claim = flip(a.Claim, 24+40) }, "AIKAttestationClaim"},
		{"changed magic", func(a *mdm.Attestation) { a.Claim = flip(a.Claim, 0) }, "no key attestation"},
		{"changed length", func(a *mdm.Attestation) { a.Claim = flip(a.Claim, 12) }, "wrong lengths"},
		{"cut off", func(a *mdm.Attestation) { a.Claim = a.Claim[:20] }, "no key attestation"},
		{"changed key", func(a *mdm.Attestation) { a.Claim = flip(a.Claim, -1) }, "AIKAttestationClaim"},
		{"key in software", func(a *mdm.Attestation) { a.DeviceKey = &otherKey().PublicKey }, "another key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := *good
			c.change(&at)
			before := len(server.Refusals())
			_, err := client.Enroll(t.Context(), d, nil, &mdm.Request{Credential: newToken(t), Key: a.key, Attestation: &at, Context: extra()})
			refused := strings.Join(server.Refusals()[before:], " ")
			if (err == nil) != (c.reason == "") || !strings.Contains(refused, c.reason) {
				t.Errorf("%v; server: %q", err, refused)
			}
		})
	}
	_, err = client.Enroll(t.Context(), d, nil, &mdm.Request{Credential: newToken(t), Key: a.key, Context: extra()})
	if failure(t, err).HRESULT() != 0x80180003 {
		t.Errorf("no attestation: %v", err)
	}
}

// What is incomplete is not sent, nor is a request without attestation if the
// policy wants one.
func TestAttestationArguments(t *testing.T) {
	key := &otherKey().PublicKey
	client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: broken{}}}
	d := &mdm.Discovery{EnrollURL: "https://mdm.test/e", EnrollVersion: "5.0"}
	for _, c := range []struct {
		name string
		at   *mdm.Attestation
		p    *mdm.Policy
		code uint32
	}{
		{"no key", &mdm.Attestation{Claim: []byte{1}}, nil, 0x80070057},
		{"no claim", &mdm.Attestation{AIK: key}, nil, 0x80070057},
		{"device key alone", &mdm.Attestation{AIK: key, Claim: []byte{1}, DeviceKey: key}, nil, 0x80070057},
		{"device claim alone", &mdm.Attestation{AIK: key, Claim: []byte{1}, DeviceClaim: []byte{1}}, nil, 0x80070057},
		{"none though wanted", nil, &mdm.Policy{AttestationFailure: "FailOnError"}, 0x80180027},
	} {
		_, err := client.Enroll(t.Context(), d, c.p, &mdm.Request{Credential: newToken(t), Key: mdmKey(), Attestation: c.at})
		if e := failure(t, err); e.URL != "" || e.HRESULT() != c.code {
			t.Errorf("%s: %v", c.name, e)
		}
	}
	for _, parts := range [][3][]byte{{nil, {1}, {1}}, {{1}, nil, {1}}, {{1}, {1}, nil}, {make([]byte, 5000), {1}, {1}}} {
		if claim, err := mdm.Claim(&mdm.Statement{PublicArea: parts[0], Attest: parts[1], Signature: parts[2]}); err == nil {
			t.Errorf("claim of %d bytes", len(claim))
		}
	}
	if claim, err := mdm.Claim(nil); err == nil {
		t.Errorf("claim of %d bytes", len(claim))
	}
}

// An aikCA certifies attestation keys.
type aikCA struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
}

func newAIKCA(t testing.TB) *aikCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &aikCA{key, certify(t, &key.PublicKey, true, nil, key)}
}

// issue certifies a key as such CAs do: with no subject, a critical alternative
// name, and a purpose.
func (c *aikCA) issue(t testing.TB, pub crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	name, err := asn1.Marshal(struct {
		Name pkix.RDNSequence `asn1:"tag:4,explicit"`
	}{pkix.Name{CommonName: "id:00000000"}.ToRDNSequence()})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 3}},
		ExtraExtensions:    []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: name}},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.root, pub, c.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A server with roots of attestation keys, or that knows them, believes no
// other, and a claim counts once if it shall.
func TestAttestationBelieved(t *testing.T) {
	chip, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chip.Close() })
	a := newAttester(t, chip)
	good, ca, other := a.attestation(t), newAIKCA(t), newAIKCA(t)
	roots := x509.NewCertPool()
	roots.AddCert(ca.root)
	aik := a.aik.Public().(*rsa.PublicKey)
	type trusted struct {
		roots *x509.CertPool
		known func(*rsa.PublicKey) bool
	}
	plain := func(*mdm.Attestation) {}
	with := func(cert *x509.Certificate) func(*mdm.Attestation) {
		return func(a *mdm.Attestation) { a.AIKCertificate = cert }
	}
	for _, c := range []struct {
		name   string
		server trusted
		change func(*mdm.Attestation)
		reason string // "" if the server accepts
	}{
		{"nothing to believe by", trusted{}, plain, ""},
		{"certified", trusted{roots: roots}, with(ca.issue(t, aik, nil)), ""},
		{"no certificate", trusted{roots: roots}, plain, "AIKCert is missing"},
		{"by another CA", trusted{roots: roots}, with(other.issue(t, aik, nil)), "leads to no trusted root"},
		{"of another key", trusted{roots: roots}, with(ca.issue(t, &otherKey().PublicKey, nil)), "of another key than AIKPub"},
		{"no purpose", trusted{roots: roots}, with(ca.issue(t, aik, func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil })), "2.23.133.8.3"},
		{"for EKs", trusted{roots: roots}, with(ca.issue(t, aik, func(c *x509.Certificate) { c.UnknownExtKeyUsage[0] = asn1.ObjectIdentifier{2, 23, 133, 8, 1} })), "2.23.133.8.3"},
		{"for any purpose", trusted{roots: roots}, with(ca.issue(t, aik, func(c *x509.Certificate) {
			c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		})), "2.23.133.8.3"},
		{"of a CA", trusted{roots: roots}, with(ca.issue(t, aik, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })), "of a CA"},
		{"expired", trusted{roots: roots}, with(ca.issue(t, aik, func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Minute) })), "expired"},
		{"another critical extension", trusted{roots: roots}, with(ca.issue(t, aik, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		})), "unhandled critical extension"},
		{"known", trusted{known: func(k *rsa.PublicKey) bool { return k.Equal(aik) }}, plain, ""},
		{"known and certified", trusted{roots: roots, known: func(k *rsa.PublicKey) bool { return k.Equal(aik) }}, plain, ""},
		{"not known", trusted{known: func(k *rsa.PublicKey) bool { return false }}, plain, "not known"},
		{"certified, not known", trusted{roots: roots, known: func(k *rsa.PublicKey) bool { return false }}, with(ca.issue(t, aik, nil)), "not known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := &mdmtest.Server{RequireAttestation: true, AIKRoots: c.server.roots, KnownAIK: c.server.known, ClaimsOnce: true}
			discovery, h := startTLS(t, server)
			client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h}
			d, err := client.Discover(t.Context(), discovery, "")
			if err != nil {
				t.Fatal(err)
			}
			at := *good
			c.change(&at)
			req := &mdm.Request{Credential: newToken(t), Key: a.key, Attestation: &at, Context: extra()}
			_, err = client.Enroll(t.Context(), d, nil, req)
			refused := strings.Join(server.Refusals(), " ")
			if (err == nil) != (c.reason == "") || !strings.Contains(refused, c.reason) {
				t.Errorf("%v; server: %q", err, refused)
			}
			if c.reason != "" {
				return
			}
			_, err = client.Enroll(t.Context(), d, nil, req)
			if refused = strings.Join(server.Refusals(), " "); err == nil || !strings.Contains(refused, "used before") {
				t.Errorf("the same claims again: %v; server: %q", err, refused)
			}
			at.Claim, at.DeviceKey, at.DeviceClaim = a.claim(t, a.key), nil, nil
			if _, err = client.Enroll(t.Context(), d, nil, req); err != nil {
				t.Errorf("a new claim: %v; server: %q", err, server.Refusals())
			}
		})
	}
}
