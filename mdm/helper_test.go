package mdm_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// Identifiers of the device in tests.
const (
	testDevice = "0d9e0f0a-6d35-4b7e-8c11-3a0f5b1c2d3e"
	testZTD    = "7a1c2f5e-93b4-4d0a-8e6f-1b2c3d4e5f60"
)

// Keys are made once: they take long.
var (
	tokenKey = sync.OnceValue(newKey)
	mdmKey   = sync.OnceValue(newKey)
	otherKey = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil // every test fails on it
	}
	return key
}

// opaque hides a key's type, as a TPM does.
type opaque struct{ key crypto.Signer }

func (o opaque) Public() crypto.PublicKey { return o.key.Public() }

func (o opaque) Sign(r io.Reader, d []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.key.Sign(r, d, opts)
}

// newToken returns a token as the directory issues it.
func newToken(t testing.TB) mdm.Token {
	t.Helper()
	now := time.Now()
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"aud": mdmtest.DefaultResource, "iss": "https://sts.windows.net/" + mdmtest.DefaultTenantID + "/",
		"tid": mdmtest.DefaultTenantID, "idtyp": "device", "deviceid": testDevice, "sub": testDevice,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).SignedString(tokenKey())
	if err != nil {
		t.Fatal(err)
	}
	return mdm.Token(text)
}

// extra are the context items of pre-provisioning.
func extra() []mdm.Item {
	return []mdm.Item{{mdm.ItemZeroTouch, testZTD}, {mdm.ItemWhiteGlove, "true"}}
}

// start starts a management server and returns the URL of its discovery.
func start(t testing.TB) (*mdmtest.Server, string) {
	t.Helper()
	s := &mdmtest.Server{TokenKey: func() *rsa.PublicKey { return &tokenKey().PublicKey }}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL + mdmtest.DiscoveryPath
}

// enroll runs a whole enrollment.
func enroll(t testing.TB, c *mdm.Client, discovery string) (*mdm.Enrollment, error) {
	t.Helper()
	if c.Device.ID == "" {
		c.Device.ID = testDevice
	}
	token := newToken(t)
	d, err := c.Discover(t.Context(), discovery, "")
	if err != nil {
		return nil, err
	}
	p, err := c.Policy(t.Context(), d, token)
	if err != nil {
		return nil, err
	}
	return c.Enroll(t.Context(), d, p, &mdm.Request{Token: token, Key: opaque{mdmKey()}, Context: extra()})
}

// A liar changes what an honest server answers.
type liar func(body string) string

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	changed := l(string(body))
	res.Body, res.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
	res.Header.Set("Content-Length", strconv.Itoa(len(changed)))
	return res, nil
}

var bst = regexp.MustCompile(`(<BinarySecurityToken[^>]*>)([^<]*)(<)`)

// document changes the provisioning document in an answer.
func document(change func(doc string) string) liar {
	return func(body string) string {
		return bst.ReplaceAllStringFunc(body, func(found string) string {
			parts := bst.FindStringSubmatch(found)
			doc, err := base64.StdEncoding.DecodeString(parts[2])
			if err != nil {
				return found
			}
			return parts[1] + base64.StdEncoding.EncodeToString([]byte(change(string(doc)))) + parts[3]
		})
	}
}

// A canned answer is given to every POST; a GET gets 405.
type canned struct {
	status int
	header http.Header
	body   string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	status, header := c.status, c.header
	if header == nil {
		header = make(http.Header)
	}
	if r.Method == http.MethodGet {
		status = http.StatusMethodNotAllowed
	}
	return &http.Response{
		StatusCode: status, Header: header, Request: r,
		Body: io.NopCloser(bytes.NewReader([]byte(c.body))), ContentLength: int64(len(c.body)),
	}, nil
}

// failure returns the *mdm.Error in err.
func failure(t testing.TB, err error) *mdm.Error {
	t.Helper()
	var e *mdm.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no *mdm.Error", err, err)
	}
	return e
}

// A script has one answer after the other: a status, a space, a body.
type script struct{ left []string }

func newScript(answers []string) *script { return &script{left: answers} }

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if len(s.left) == 0 {
		return nil, errors.New("one request too many")
	}
	status, body, _ := strings.Cut(s.left[0], " ")
	s.left = s.left[1:]
	n, err := strconv.Atoi(status)
	if err != nil {
		return nil, err
	}
	return canned{status: n, body: body}.RoundTrip(r)
}

// deviceCertificate returns a certificate of mdmKey, for what only looks at
// the key in it.
func deviceCertificate(t testing.TB) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &mdmKey().PublicKey, mdmKey())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
