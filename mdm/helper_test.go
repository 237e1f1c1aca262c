package mdm_test

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// What the tests of this package and those above it share.
const (
	testDevice = fixture.Device
	testZTD    = fixture.Registration
)

var (
	tokenKey = fixture.TokenKey
	mdmKey   = fixture.Key
	otherKey = fixture.OtherKey
	newToken = fixture.Token
	extra    = fixture.Context
	failure  = fixture.Failure
)

type (
	opaque = fixture.Opaque
	canned = fixture.Canned
)

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
	return c.Enroll(t.Context(), d, p, &mdm.Request{Credential: token, Key: opaque{Signer: mdmKey()}, Context: extra()})
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
	return canned{Status: n, Body: body}.RoundTrip(r)
}

// deviceCertificate returns a certificate of mdmKey, for what only looks at
// the key in it.
func deviceCertificate(t testing.TB) *x509.Certificate {
	t.Helper()
	return fixture.Certificate(t, pkix.Name{})
}
