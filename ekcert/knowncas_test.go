package ekcert_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
)

func TestKnownCAs(t *testing.T) {
	m, impostor := newMaker(t, "Intel"), newMaker(t, "Intel") // same names, other keys
	ek := ekKey(t).Public()
	with := parsed(t, m.issue(t, ek, intel).Raw, m.ca)
	without := parsed(t, m.issue(t, ek, intel).Raw)
	known := new(ekcert.KnownCAs)
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, KnownCAs: known}
	verify := func(c *ekcert.Client, cert *ekcert.Certificate, want error) {
		t.Helper()
		report, err := c.Verify(t.Context(), cert, ek)
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		if err == nil && (len(report.Chain) != 3 || !report.Chain[0].Equal(cert.Certificate) || !report.Chain[2].Equal(m.root)) {
			t.Errorf("chain of %d", len(report.Chain))
		}
	}
	verify(c, without, ekcert.ErrUntrusted)
	verify(c, with, nil)
	verify(c, without, nil) // now the issuer is known
	verify(c, parsed(t, impostor.issue(t, ek, intel).Raw), ekcert.ErrUntrusted)
	verify(c, parsed(t, m.issue(t, ek, amd).Raw), ekcert.ErrUntrusted)
	unknown := m.issue(t, ek, intel, func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, oneRDN(t, intel, "PTT", "id:00070055"))
		c.ExtraExtensions[1].Id = []int{1, 2, 3, 4}
	})
	verify(c, parsed(t, unknown.Raw), ekcert.ErrUntrusted)

	later := *c
	later.Now = func() time.Time { return time.Now().AddDate(11, 0, 0) }
	verify(&later, without, ekcert.ErrExpired)
	long := parsed(t, m.issue(t, ek, intel, func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(50, 0, 0) }).Raw, m.ca)
	later.Now = func() time.Time { return time.Now().AddDate(30, 0, 0) }
	verify(c, long, nil)
	verify(&later, long, ekcert.ErrExpired) // the CA is expired

	// The root ends before the CA.
	short := newMaker(t, "Intel")
	rootKey := newECKey(t, elliptic.P256())
	tmpl := *short.root
	tmpl.NotAfter, tmpl.PublicKey = time.Now().AddDate(5, 0, 0), nil
	short.root = sign(t, &tmpl, &tmpl, rootKey.Public(), rootKey)
	short.ca = authority(t, "Intel CA", short.key, short.root, rootKey)
	ends := parsed(t, short.issue(t, ek, intel).Raw, short.ca)
	c2 := &ekcert.Client{Roots: ekcert.Roots{"INTC": short.roots()}, KnownCAs: known}
	if _, err := c2.Verify(t.Context(), ends, ek); err != nil {
		t.Error(err)
	}
	for years, want := range map[int]error{4: nil, 6: ekcert.ErrUntrusted} {
		c2.Now = func() time.Time { return time.Now().AddDate(years, 0, 0) }
		if _, err := c2.Verify(t.Context(), ends, ek); !errors.Is(err, want) {
			t.Errorf("in %d years: %v", years, err)
		}
	}

	other := *c
	other.Roots = ekcert.Roots{"INTC": impostor.roots()}
	verify(&other, without, ekcert.ErrUntrusted) // a CA is known for one pool only
}

// TestKnownCAsAreBounded uses more CAs than are kept.
func TestKnownCAsAreBounded(t *testing.T) {
	ek := ekKey(t).Public()
	first := newMaker(t, "0")
	c := &ekcert.Client{Roots: ekcert.Roots{"": first.roots()}, KnownCAs: new(ekcert.KnownCAs)}
	var wg sync.WaitGroup
	for i := range 65 {
		m := first
		if i > 0 {
			m = newMaker(t, strconv.Itoa(i))
		}
		cert := parsed(t, m.issue(t, ek, intel).Raw, m.ca)
		verify := func() {
			own := *c
			own.Roots = ekcert.Roots{"": m.roots()}
			if i == 0 {
				own.Roots = c.Roots
			}
			if _, err := own.Verify(t.Context(), cert, ek); err != nil {
				t.Error(err)
			}
		}
		if i == 0 {
			verify()
			continue
		}
		wg.Go(verify)
	}
	wg.Wait()
	if _, err := c.Verify(t.Context(), parsed(t, first.issue(t, ek, intel).Raw), ek); !errors.Is(err, ekcert.ErrUntrusted) {
		t.Errorf("the first is still known: %v", err)
	}
}

// BenchmarkVerify uses a CA under a P-384 root, like those of most makers.
func BenchmarkVerify(b *testing.B) {
	rootKey, caKey := newECKey(b, elliptic.P384()), newECKey(b, elliptic.P256())
	root := authority(b, "root", rootKey, nil, rootKey)
	m := &maker{root: root, ca: authority(b, "CA", caKey, root, rootKey), key: caKey}
	ek := ekKey(b).Public()
	cert, err := ekcert.Parse(m.issue(b, ek, intel).Raw)
	if err != nil {
		b.Fatal(err)
	}
	for name, known := range map[string]*ekcert.KnownCAs{"unknown CA": nil, "known CA": new(ekcert.KnownCAs)} {
		c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca), KnownCAs: known}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Verify(b.Context(), cert, ek); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestMemoryCache(t *testing.T) {
	m := new(ekcert.MemoryCache)
	now := time.Now()
	if m.Load("none") != nil {
		t.Error("an empty cache has something")
	}
	body := []byte("one")
	m.Store("1", body, now.Add(time.Minute))
	body[0] = 'x'
	if string(m.Load("1")) != "one" {
		t.Error("what is kept changes with what was given")
	}
	for i := range 64 {
		m.Store("n"+strconv.Itoa(i), []byte{byte(i)}, now.Add(time.Hour))
	}
	if m.Load("1") != nil || m.Load("n0") == nil || m.Load("n63") == nil {
		t.Error("what ends first does not make room")
	}
	m.Now = func() time.Time { return now.Add(time.Hour) }
	if m.Load("n0") != nil || m.Load("n63") != nil {
		t.Error("what has ended is still there")
	}
	m.Now = nil
	large := []byte(strings.Repeat("x", 6<<20))
	for i := range 4 {
		m.Store("large"+strconv.Itoa(i), large, now.Add(time.Duration(i+2)*time.Hour))
	}
	if m.Load("n1") != nil || m.Load("large1") != nil || m.Load("large3") == nil {
		t.Error("the size is not bounded")
	}
}
