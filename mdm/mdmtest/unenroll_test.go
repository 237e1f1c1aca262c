package mdmtest_test

import (
	"crypto/rsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A device that has ended its management is not known any more, and can enroll anew.
func TestUnenrolled(t *testing.T) {
	s := &mdmtest.Server{TokenKey: func() *rsa.PublicKey { return &issuerKey().PublicKey }}
	h := httptest.NewUnstartedServer(s)
	h.TLS = s.TLSConfig(nil)
	h.StartTLS()
	t.Cleanup(h.Close)
	c := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: h.Client()}
	d, err := c.Discover(t.Context(), h.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		t.Fatal(err)
	}
	enroll := func() (*mdm.Enrollment, *omadm.Session) {
		t.Helper()
		e, err := c.Enroll(t.Context(), d, nil, &mdm.Request{
			Credential: mdm.Token(signed(t, jwt.SigningMethodRS256, issuerKey(), goodClaims())), Key: deviceKey(), Context: mdm.PreProvisioning(testZTD),
		})
		if err != nil {
			t.Fatal(err, s.Refusals())
		}
		return e, &omadm.Session{
			Server: e.Server, Device: c.Device, Certificate: e.Certificate, Issuers: e.Issuers, Key: deviceKey(), Tree: new(omadm.Tree), HTTPClient: h.Client(),
		}
	}
	refused := func(what string, err error, remedy string) {
		t.Helper()
		var failed *mdm.Error
		if !errors.As(err, &failed) || failed.Retryable() || !strings.Contains(failed.ServerMessage(), "ended its management") || !strings.Contains(failed.Remedy(), remedy) {
			t.Errorf("%s: %v", what, err)
		}
	}
	renew := func(e *mdm.Enrollment, session *omadm.Session) error {
		t.Helper()
		config, err := session.TLSConfig(h.Client().Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{TLSClientConfig: config}
		defer transport.CloseIdleConnections()
		r := &mdm.Client{Device: c.Device, HTTPClient: &http.Client{Transport: transport}}
		_, err = r.Renew(t.Context(), d, nil, &mdm.Renewal{Certificate: e.Certificate, Key: deviceKey(), Issuers: e.Issuers})
		return err
	}
	old, session := enroll()
	if _, err := session.Unenroll(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, again := session.Unenroll(t.Context())
	refused("second end", again, "so there is nothing to end. To manage it again, enroll it again.")
	_, run := session.Run(t.Context())
	refused("session", run, "The server no longer manages this device. To manage it again")
	refused("renewal", renew(old, session), "nroll it again")

	fresh, anew := enroll()
	if ended, gone := s.Sessions(testDevice); ended != 0 || gone {
		t.Errorf("after the new enrollment: %d sessions, ended %t", ended, gone)
	}
	if _, err := anew.Run(t.Context()); err != nil {
		t.Errorf("session of the new enrollment: %v", err)
	}
	if err := renew(fresh, anew); err != nil {
		t.Errorf("renewal of the new enrollment: %v", err)
	}
	if _, err := session.Run(t.Context()); err == nil {
		t.Error("a session with the certificate of the ended management")
	}
	refused("old renewal", renew(old, session), "nroll it again")
}
