package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"
)

// Certificates speak of the clock as often as different ones of different hosts are not
// valid now.
func TestJudgeByCertificates(t *testing.T) {
	day := 24 * time.Hour
	cert := func(name string, from time.Duration) *x509.Certificate {
		start := time.Now().Add(from)
		return &x509.Certificate{Raw: []byte(name), Subject: pkix.Name{CommonName: name}, NotBefore: start, NotAfter: start.Add(10 * day)}
	}
	early, other, late, issuer := cert("a", day), cert("b", day), cert("c", -11*day), cert("CA", day)
	issuer.IsCA = true
	const once = "If it is wrong, set it; if it is right, the operator of "
	tomorrow := early.NotBefore.UTC().Format("2006-01-02 15:04")
	for name, tt := range map[string]struct {
		urls       []string
		certs      []*x509.Certificate
		want       string
		in, remedy string
	}{
		"paths of a host":      {[]string{"https://a.test:1/x", "https://a.test:1/y"}, []*x509.Certificate{early, early}, warn, "the certificate of 1 host is not valid before " + tomorrow + ", and nothing else says what time it is", once + "a.test:1 must correct the certificate."},
		"expired":              {[]string{"https://a.test"}, []*x509.Certificate{late}, warn, "the certificate of 1 host expired on ", once + "a.test must"},
		"certificates of one":  {[]string{"https://a.test:1", "https://a.test:2"}, []*x509.Certificate{early, late}, warn, "certificates of 1 host are not valid", once + "a.test:1 and a.test:2 must"},
		"anew each time":       {[]string{"https://a.test/x", "https://a.test/y"}, []*x509.Certificate{early, other}, warn, "the certificate of 1 host is not valid before " + tomorrow, once},
		"one of hosts":         {[]string{"https://a.test", "https://b.test"}, []*x509.Certificate{early, early}, warn, "the certificate of 2 hosts is not valid before", once + "a.test and b.test must"},
		"an issuer's":          {[]string{"https://a.test", "https://b.test"}, []*x509.Certificate{issuer, issuer}, warn, "the certificate of an issuer, \"CN=CA\", is not valid before", once},
		"different, of others": {[]string{"https://a.test", "https://b.test", "https://b.test"}, []*x509.Certificate{early, other, late}, fail, "certificates of 2 hosts are not valid", "If it is wrong, set it, and let it follow a time server (UDP 123); if it is right, the operators of a.test and b.test must"},
		"none":                 {[]string{"https://a.test"}, []*x509.Certificate{nil}, warn, "no service said what time it is", "Compare the clock"},
	} {
		var answers []*answer
		for i, at := range tt.urls {
			answers = append(answers, &answer{result: &result{URL: at, untimely: tt.certs[i]}})
		}
		r := checkClock(answers)
		if r.Status != tt.want || !strings.Contains(r.Detail, tt.in) || !strings.Contains(r.Remedy, tt.remedy) {
			t.Errorf("%s: %+v", name, *r)
		}
	}
}

// Times are told in minutes if that tells them apart.
func TestOutside(t *testing.T) {
	at := time.Date(2026, 11, 29, 9, 6, 7, 0, time.UTC)
	for wait, want := range map[time.Duration]string{
		time.Hour: "2026-11-29 09:06 UTC: is not valid before 2026-11-29 10:06", time.Second: "2026-11-29 09:06:07 UTC: is not valid before 2026-11-29 09:06:08",
		-time.Hour: "2026-11-29 09:06 UTC: expired on 2026-11-29 08:06",
	} {
		c := &x509.Certificate{NotBefore: at.Add(wait), NotAfter: at.Add(wait)}
		if now, validity := outside(c, at); now+": "+validity != want {
			t.Errorf("%s: %s, want %q", now, validity, want)
		}
	}
}

func TestList(t *testing.T) {
	for want, names := range map[string]string{"a": "a", "a and b": "a b", "a, b and c": "a b c", "a, b, c and 2 more": "a b c d e"} {
		if got := list(strings.Fields(names)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
