package mdm_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A management is a server with TLS, and an enrolled device's session.
type management struct {
	server  *mdmtest.Server
	http    *httptest.Server
	session *mdm.Session
	account *mdm.Account

	mu sync.RWMutex // held while the server answers
}

// manage enrolls a device with a key at a server over TLS.
func manage(t testing.TB, key crypto.Signer, config mdmtest.SessionConfig) *management {
	t.Helper()
	m := &management{server: &mdmtest.Server{
		TokenKey: func() *rsa.PublicKey { return &tokenKey().PublicKey }, Session: config,
	}}
	m.http = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.RLock()
		defer m.mu.RUnlock()
		m.server.ServeHTTP(w, r)
	}))
	m.http.TLS = m.server.TLSConfig(nil)
	m.http.StartTLS()
	t.Cleanup(m.http.Close)

	c := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: m.http.Client()}
	d, err := c.Discover(t.Context(), m.http.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		t.Fatal(err)
	}
	enrolled, err := c.Enroll(t.Context(), d, nil, &mdm.Request{Token: newToken(t), Key: key, Context: extra()})
	if err != nil {
		t.Fatal(err, m.server.Refusals())
	}
	cert, err := x509.ParseCertificate(enrolled.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	document, err := mdm.ParseDocument(enrolled.Document)
	if err != nil {
		t.Fatal(err)
	}
	if m.account, err = document.Account(); err != nil {
		t.Fatal(err)
	}
	m.session = &mdm.Session{
		Server: enrolled.Server, Device: c.Device, Certificate: cert, Issuers: enrolled.Issuers, Key: key,
		Tree: new(mdm.Tree), HTTPClient: m.http.Client(),
	}
	return m
}

// configure changes what the server does, between sessions.
func (m *management) configure(change func(c *mdmtest.SessionConfig)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.server.Session)
}

// give has the server give commands in the next session.
func (m *management) give(commands ...mdmtest.Command) {
	m.configure(func(c *mdmtest.SessionConfig) {
		c.Next = func(string, []mdmtest.Response) []mdmtest.Command {
			now := commands
			commands = nil
			return now
		}
	})
}

// run holds a session that must go well.
func (m *management) run(t testing.TB) *mdm.SessionResult {
	t.Helper()
	result, err := m.session.Run(t.Context())
	if err != nil {
		t.Fatal(err, m.server.Refusals())
	}
	return result
}

// status returns the last status that the device gave for a node.
func (m *management) status(verb, target string) int {
	status := 0
	for _, r := range m.server.Responses(testDevice) {
		if r.Verb == verb && r.Target == target {
			status = r.Status
		}
	}
	return status
}

// sha1Hex is a certificate's thumbprint.
func sha1Hex(c *x509.Certificate) string { return fmt.Sprintf("%X", sha1.Sum(c.Raw)) }

// tokenClaims are those of a token that a server of this package's tests takes.
func tokenClaims() jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{
		"aud": mdmtest.DefaultResource, "iss": "https://sts.windows.net/" + mdmtest.DefaultTenantID + "/",
		"tid": mdmtest.DefaultTenantID, "idtyp": "device", "deviceid": testDevice,
		"nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// selfSigned returns a certificate of mdmKey for a subject that somebody else
// was given.
func selfSigned(t testing.TB, subject pkix.Name) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject, NotAfter: time.Now().Add(time.Hour)}
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

// A plain key signs PKCS #1 with SHA-256 and nothing else, as keys of a TPM
// that are fixed to a scheme do.
type plain struct{ crypto.Signer }

func (p plain) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, pss := opts.(*rsa.PSSOptions); pss || opts.HashFunc() != crypto.SHA256 {
		return nil, errors.New("the key has another scheme")
	}
	return p.Signer.Sign(r, digest, opts)
}

// A counting key counts its signatures.
type counting struct {
	crypto.Signer
	signs int
}

func (c *counting) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.signs++
	return c.Signer.Sign(r, digest, opts)
}
