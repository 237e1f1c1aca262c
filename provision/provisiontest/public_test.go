package provisiontest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// publicClient returns a client that finds every name at the server.
func publicClient(t *testing.T, s *provisiontest.Server) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.Roots[0])
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, u.Host)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A server with Public set is at the names of the public services, and answers as
// they do; it stays at its own, too.
func TestPublic(t *testing.T) {
	s := &provisiontest.Server{Public: true, Users: map[string]string{"ada@contoso.test": "secret"}}
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	client := publicClient(t, s)
	ask := func(method, target, token, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if strings.Contains(body, "grant_type=password") {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(answer)
	}
	const login = "https://login.microsoftonline.com/"
	graph := "https://graph.microsoft.com/v1.0/myorganization/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints"
	form := url.Values{
		"grant_type": {"password"}, "username": {"ada@contoso.test"}, "password": {"secret"}, "client_id": {"29d9ed98-a469-4536-ade2-f981bc1d605e"}, "resource": {"https://graph.microsoft.com/"},
	}.Encode()
	for _, c := range []struct {
		method, url, token, body string
		status                   int
		want                     string
	}{
		{"GET", login + provisiontest.Tenant + "/.well-known/openid-configuration", "", "", 200, `"` + login + drstest.DefaultTenantID + "/oauth2/token"},
		{"GET", "https://enterpriseregistration.windows.net/" + provisiontest.Tenant + "/Discover?api-version=1.9", "", "", 200, "https://enterpriseregistration.windows.net/EnrollmentServer/"},
		{"POST", login + "645064ee-9b6e-43db-9d46-fe81a65cfdea/oauth2/token", "", "grant_type=srv_challenge", 200, "Nonce"},
		{"POST", login + "645064ee-9b6e-43db-9d46-fe81a65cfdea/oauth2/token", "", form, 400, "not found"},
		{"POST", login + "common/oauth2/token", "", form, 200, "access_token"},
		{"POST", login + "common/oauth2/token", "", strings.Repeat("x", 5000), 400, ""},
		{"GET", "https://enrollment.manage.microsoft.com/enrollmentserver/discovery.svc", "", "", 200, ""},
		{"POST", "https://r.manage.microsoft.com/devicegatewayproxy/cimhandler.ashx", "", "", 415, "content type"},
		{"GET", graph, "", "", 401, "token"},
		{"GET", graph, "x", "", 200, s.URL + "/mdm/EnrollmentServer/Enrollment.svc"},
		{"GET", "https://graph.microsoft.com/v1.0/me", "x", "", 404, ""},
		{"GET", s.URL + provisiontest.DiscoveryPath, "", "", 200, ""},
	} {
		if status, answer := ask(c.method, c.url, c.token, c.body); status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("%s %s: %d %.300s", c.method, c.url, status, answer)
		}
	}
	if len(provisiontest.PublicNames()) == 0 || bytes.Contains(s.Roots[0].Raw, []byte("microsoft")) {
		t.Error("the root is Microsoft's")
	}
	var any map[string]any
	if _, answer := ask("GET", graph, "x", ""); json.Unmarshal([]byte(answer), &any) != nil {
		t.Error(answer)
	}
}

// Users of the server enroll devices with their passwords and with their tokens.
func TestUsersEnroll(t *testing.T) {
	s := &provisiontest.Server{Users: map[string]string{"ada@contoso.test": "secret"}}
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if m := s.Management; !m.Users("ada@contoso.test") || m.Users("bob@contoso.test") || !m.Passwords("ada@contoso.test", "secret") {
		t.Error("the management server does not know the users")
	}
}
