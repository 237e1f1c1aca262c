package ekcerttest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/ekcert/internal/keyname"
)

// A maker's service like that of AMD.
func ExampleMaker() {
	ctx := context.Background()
	maker := &ekcerttest.Maker{Vendor: "AMD", Model: "AMD"}
	server := httptest.NewServer(maker)
	defer server.Close()
	maker.BaseURL = server.URL

	ek, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := maker.Certify(ek.Public()); err != nil {
		log.Fatal(err)
	}
	client := &ekcert.Client{
		Services: map[string]ekcert.Fetcher{
			"AMD": &ekcert.Service{URL: server.URL + "/pki/aia/", Vendor: "AMD"},
		},
		Roots:        ekcert.Roots{"AMD": maker.Roots()},
		FetchIssuers: true, CheckRevocation: true, AllowPrivateHosts: true,
	}
	cert, err := client.Find(ctx, nil, "AMD", ek.Public())
	if err != nil {
		log.Fatal(err)
	}
	report, err := client.Verify(ctx, cert, ek.Public())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Manufacturer, len(report.Chain), report.Revocation)
	// Output:
	// id:414D4400 3 good
}

// TestMakerIsStrict sends requests that the services refuse.
func TestMakerIsStrict(t *testing.T) {
	m := new(ekcerttest.Maker)
	server := httptest.NewServer(m)
	defer server.Close()
	ek, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Certify(ek.Public()); err != nil {
		t.Fatal(err)
	}
	intel, err := keyname.Intel(ek.Public())
	if err != nil {
		t.Fatal(err)
	}
	amd, err := keyname.AMD(ek.Public())
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for name, tt := range map[string]struct {
		method, path string
		status       int
	}{
		"Intel":              {"GET", "/ekcertservice/" + intel, 200},
		"bare padding":       {"GET", "/ekcertservice/" + strings.ReplaceAll(intel, "%3D", "="), 403},
		"without padding":    {"GET", "/ekcertservice/" + strings.ReplaceAll(intel, "%3D", ""), 404},
		"AMD":                {"GET", "/pki/aia/" + amd, 200},
		"AMD, in upper case": {"GET", "/pki/aia/" + strings.ToUpper(amd), 200},
		"unknown":            {"GET", "/pki/aia/00", 404},
		"POST":               {"POST", "/pki/aia/" + amd, 405},
		"elsewhere":          {"GET", "/", 404},
		"no such CA":         {"GET", "/ca/other.crt", 404},
		"no such CRL":        {"GET", "/crl/other.crl", 404},
		"CRL":                {"GET", "/crl/root.crl", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != tt.status || len(body) == 0 {
			t.Errorf("%s: %d, %v", name, res.StatusCode, err)
		}
		if tt.status != 200 {
			refused++
		}
	}
	if r := m.Refusals(); len(r) != refused {
		t.Errorf("refusals %q", r)
	}
}
