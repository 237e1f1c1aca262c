package ekcert_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/internal/keyname"
)

func rsaKey(t *testing.T, modulus string) *rsa.PublicKey {
	t.Helper()
	raw, err := hex.DecodeString(modulus)
	if err != nil {
		t.Fatal(err)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(raw), E: 65537}
}

func p256Key(t *testing.T, point string) *ecdsa.PublicKey {
	t.Helper()
	raw, err := hex.DecodeString("04" + point)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Keys of real TPMs that others have published, and of tests of tpm2-tools.
const (
	skylake = "c320e2f244a8601aacf3e01d26c665249935562de1da197e9e7f076c469613cfb653e98ec2c386fc1d133f2c8c6cc338b732f0b208bd838a877a3e5bbc3e1d40" +
		"84e835c7c8906a1c05b4d2d30fdbebc1dbad950fa6b165bd4b6a864603146164c0c4f59d489011ef1f928deea6e90061f3d375e5646273151ef622252098be1a" +
		"4ab01dc0a12227c609fdaceb115af408d4693a6f49919774695b0c12bc18a1ff7120a7337b2fb5f1951d8bb7f094d5b554c11c9523b30729fe64787d0a13b9e6" +
		"30488dab4dfd86634a5270ec72fcc5a44dc679a8f32938dd8197e29dae839f5b4ca0f5de27c9522c23c54e1c2ce57859525118bd4470b18180eef78ae4267bcd"
	cannonLake = "9e1a83dc36c041b44daae795aedfc3ad4999c4cd4f85623810a48024e00fbb65211585fc3aa4e73d71e3c0410d55d2214437166c6172be927719a1164324b48d" +
		"ff385c3dabdc250932adaa3dd62908df4144e997f1a88c8d94f3caccc2a2f5e611f33003fdf2e9e0741bf4ef7d6bc66469042257eba64e9da6732966cdf941b7" +
		"e4215dfa46062ce48f380351264962d2d2e5d7a8e4f0c74501b950c76bcf80874ccf7b96a8aee94966e3d656d14225d318f80bf417fd3b134f847fdc3896055c" +
		"eafc95eac298b05e8635c8fa279001fd61c16143ac78ec4e491f8c7eb3819939b1e8b8f6fa0752622cfe695d43884a834c119f31d43c4b2db6014349a99997c7"
	amdRenoir = "a3c203dcc44b6505a0ab65882b5a937b61d0c736608835a7e93cf0eae40ea172358b23bda7121a8a5471965d8d78ad654553ff74428257e986c2fef94fecb632" +
		"6ce9161518fcee51b441bc4e2a1c0f0e9690744027d03d87538c3febc3de63c294da00f7fb2c077ebfd1272656d611d204642fe7199004faaaba3bc73e1e44a2" +
		"edf0a7d7e8e1bf63d9027c9b0a0c2b586dce0e6af1d27f5d5581b04bb719bb8d2544fa99cefb1fe89baab00028d96d4e2aaeae0f51b0310f54bd749d9c67329a" +
		"612b0203cc0c221a34ba661ade31af7a9b6e9d70dc13df77065b141a32cd6d70b8696544b60a3dcaef7c80aaa1606144c7b32d9393583af5a836f71405ed8bd9"
	cometLake = "5fcf41afd01c4c8db89b74b9a9a1e61731ea686d2ba13ed6aad7b0318b54a16f10c9bf53e8c880a63c6b5b2aa0629676eacb7769dd091882886ec9763245f357"
	tools     = "6d8e7630ee5d11e566e80299bfb9e43cec8c44f70bc8ad81b50f690a3deb749821a536c8fef7482313d7f4517f11c9f2b4cd424cbc8fe9094b89566851fe0853"
)

// TestNames checks the names under which these keys have their certificates.
func TestNames(t *testing.T) {
	for name, tt := range map[string]struct {
		name func(crypto.PublicKey) (string, error)
		key  crypto.PublicKey
		want string
	}{
		"Intel, RSA, Skylake":     {keyname.Intel, rsaKey(t, skylake), "WVEG2rRwkQ7m3RpXlUphgo6Y2HLxl18h6ZZkkOAdnBE%3D"},
		"Intel, RSA, Cannon Lake": {keyname.Intel, rsaKey(t, cannonLake), "LrZoQvxmVFvsHGfXgDICeCaEmTFUZGYCLghBgpSNSBo%3D"},
		"Intel, ECC, Comet Lake":  {keyname.Intel, p256Key(t, cometLake), "5GvwfL1ze5qN4m75Q9m5-JURXwF7Q3JtnRKKfIsadg0%3D"},
		"Intel, ECC, tpm2-tools":  {keyname.Intel, p256Key(t, tools), "eXT1X6I9wqIMOXll9LoXf0adQelkeaBccmoYU8Kth8o%3D"},
		"AMD, RSA":                {keyname.AMD, rsaKey(t, amdRenoir), "d027b3ce6a9b6b56846d2b9935884a88"},
		"AMD, ECC, tpm2-tools":    {keyname.AMD, p256Key(t, tools), "6071f9533247adedada054a4ad8a25d7"},
	} {
		got, err := tt.name(tt.key)
		if err != nil || got != tt.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	odd := &rsa.PublicKey{N: rsaKey(t, skylake).N, E: 3}
	if name, err := keyname.Intel(odd); err == nil || name != "" {
		t.Errorf("exponent 3: %q, %v", name, err)
	}
	if _, err := (&ekcert.Service{Vendor: "INTC"}).Fetch(t.Context(), odd); !errors.Is(err, ekcert.ErrNotFound) {
		t.Errorf("exponent 3: %v", err)
	}
	for _, vendor := range []string{"INTC", "AMD"} {
		if _, err := (&ekcert.Service{Vendor: vendor}).Fetch(t.Context(), "no key"); !errors.Is(err, ekcert.ErrNotFound) {
			t.Errorf("no key: %v", err)
		}
	}
	if _, err := (&ekcert.Service{Vendor: "STM"}).Fetch(t.Context(), odd); err == nil || errors.Is(err, ekcert.ErrNotFound) {
		t.Errorf("names that are not known: %v", err)
	}
}

// A record has the requests that a server received.
type record struct{ uri, method string }

// TestServiceURL checks that the escaped padding is sent unchanged.
func TestServiceURL(t *testing.T) {
	var got record
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = record{r.RequestURI, r.Method}
		w.Write([]byte("certificate"))
	}))
	defer server.Close()
	s := &ekcert.Service{URL: server.URL + "/ekcertservice/", Vendor: "INTC"}
	body, err := s.Fetch(t.Context(), rsaKey(t, skylake))
	if err != nil || string(body) != "certificate" {
		t.Fatalf("%q, %v", body, err)
	}
	want := record{"/ekcertservice/WVEG2rRwkQ7m3RpXlUphgo6Y2HLxl18h6ZZkkOAdnBE%3D", "GET"}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestServiceRefusals distinguishes the ways in which a service has no certificate.
func TestServiceRefusals(t *testing.T) {
	far := httptest.NewServer(http.NotFoundHandler())
	defer far.Close()
	far.URL = strings.Replace(far.URL, "127.0.0.1", "localhost", 1)
	for name, tt := range map[string]struct {
		status    int
		header    map[string]string
		body      string
		want      error
		code      uint32
		retryable bool
		after     time.Duration
	}{
		"no such key": {status: 404, want: ekcert.ErrNotFound, code: 0x80092004},
		"gone":        {status: 410, want: ekcert.ErrNotFound, code: 0x80092004},
		"not for GET": {status: 405, want: ekcert.ErrNoService, code: 0x80190195},
		"forbidden":   {status: 403, want: ekcert.ErrNoService, code: 0x80190193},
		"busy":        {status: 429, header: map[string]string{"Retry-After": "120"}, code: 0x801901AD, retryable: true, after: 2 * time.Minute},
		"broken":      {status: 500, code: 0x801901F4, retryable: true},
		"overloaded":  {status: 503, code: 0x801901F7, retryable: true},
		"bad request": {status: 400, code: 0x80190190},
		"too large":   {status: 200, body: strings.Repeat("x", 64<<10+1)},
		"elsewhere":   {status: 302, code: 0x80072F7C, header: map[string]string{"Location": far.URL}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for k, v := range tt.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(tt.status)
			w.Write([]byte(tt.body))
		}))
		s := &ekcert.Service{URL: server.URL + "/", Vendor: "AMD"}
		_, err := s.Fetch(t.Context(), rsaKey(t, amdRenoir))
		server.Close()
		var e *ekcert.Error
		if !errors.As(err, &e) || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e.HRESULT() != tt.code || e.Retryable() != tt.retryable || e.RetryAfter != tt.after {
			t.Errorf("%s: %v, %#x, retryable %v after %v", name, err, e.HRESULT(), e.Retryable(), e.RetryAfter)
		}
		if strings.Contains(strings.ToLower(err.Error()), "d027b3ce") {
			t.Errorf("%s: the error names the key: %v", name, err)
		}
	}
}

// TestServiceIsUnreachable uses a port on which no server listens.
func TestServiceIsUnreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	s := &ekcert.Service{URL: server.URL + "/", Vendor: "AMD"}
	_, err := s.Fetch(t.Context(), rsaKey(t, amdRenoir))
	var e *ekcert.Error
	if !errors.As(err, &e) || !e.Retryable() || e.HRESULT() != 0x80072EFD || strings.Contains(err.Error(), "d027b3ce") {
		t.Errorf("%v", err)
	}
}

func TestWithin(t *testing.T) {
	for hosts, want := range map[[2]string]bool{
		{"ekop.intel.com", "EKOP.intel.com"}:          true,
		{"de.ekop.Intel.com", "ekop.intel.com"}:       true,
		{"ekop.intel.com", "www.intel.com"}:           false,
		{"intel.com", "ekop.intel.com"}:               false,
		{"evil.co.uk", "maker.co.uk"}:                 false,
		{"evil.cloud.example", "maker.cloud.example"}: false,
		{"ekop.intel.com.evil.c", "ekop.intel.com"}:   false,
		{"notekop.intel.com", "ekop.intel.com"}:       false,
		{"10.0.0.1", "0.0.1"}:                         true, // "0.0.1" is not a host
		{"127.0.0.1", "10.0.0.1"}:                     false,
		{"", ""}:                                      true,
		{"evil.", ""}:                                 false,
	} {
		if got := ekcert.Within(hosts[0], hosts[1]); got != want {
			t.Errorf("%q: %v", hosts, got)
		}
	}
}

// A web page in place of a certificate is said to be one, with its first words.
func TestServicePage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("<html><p>Sign in at the proxy</p></html>"))
	}))
	defer server.Close()
	_, err := (&ekcert.Service{URL: server.URL + "/", Vendor: "AMD"}).Fetch(t.Context(), rsaKey(t, amdRenoir))
	var e *ekcert.Error
	if !errors.As(err, &e) || !errors.Is(err, ekcert.ErrMalformed) || !strings.Contains(err.Error(), `the answer is a web page (HTML): "Sign in at the proxy"`) || !strings.Contains(e.Remedy(), "A proxy or a portal answers") {
		t.Errorf("%v", err)
	}
}
