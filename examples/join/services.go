package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/examples/internal/mock"
)

// The user whom a mock server in this process knows.
const (
	defaultUser     = "alice@" + mock.Tenant
	defaultPassword = "Wh1te-Gl0ve"
)

// services are where the parties are, and whom to trust.
type services struct {
	url    string
	roots  *x509.CertPool // of TLS and of the services
	client *http.Client
	stop   func()
}

// services returns the services that the flags name. Without -server they are
// started in this process.
func (o *options) services(ctx context.Context) (*services, error) {
	s := &services{url: strings.TrimSuffix(o.server, "/"), stop: func() {}}
	if o.server == "" {
		if err := s.start(ctx, o); err != nil {
			return nil, err
		}
	} else if o.roots != "" {
		certs, err := device.ReadCertificates(o.roots)
		if err != nil {
			return nil, err
		}
		s.roots = mock.Pool(certs)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	s.client = &http.Client{Transport: transport, Timeout: time.Minute}
	return s, nil
}

// start starts a mock server in this process, with one user.
func (s *services) start(ctx context.Context, o *options) error {
	server, err := mock.Start("127.0.0.1:0", mock.Config{AdmitAny: true})
	if err != nil {
		return err
	}
	server.Directory.AddUser(drstest.User{UPN: o.user, Password: o.password})
	s.url, s.roots = server.URL, mock.Pool(server.Roots)
	s.stop = func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		server.Close(end)
	}
	return nil
}

// signInPage stands for the page where a user signs in to join a device: it
// returns the user's token for the registration service. The mock server takes
// the password itself (RFC 6749, section 4.3).
func (d *joiner) signInPage(ctx context.Context) (drs.Token, error) {
	form := url.Values{
		"grant_type": {"password"}, "username": {d.user}, "password": {d.password},
		"client_id": {drs.BrokerClient}, "resource": {d.discovery.JoinResource},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.discovery.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := d.services.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct {
		Token       string `json:"access_token"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, 1<<20)).Decode(&answer); err != nil {
		return "", fmt.Errorf("sign-in page: %w", err)
	}
	if res.StatusCode != http.StatusOK || answer.Token == "" {
		return "", fmt.Errorf("sign-in page: %d: %q", res.StatusCode, answer.Description)
	}
	return drs.Token(answer.Token), nil
}
