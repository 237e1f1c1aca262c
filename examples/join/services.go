package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// The user whom a mock server in this process knows.
const (
	defaultUser     = "alice@" + provisiontest.Tenant
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
		s.roots = provisiontest.Pool(certs)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	s.client = &http.Client{Transport: transport, Timeout: time.Minute}
	return s, nil
}

// start starts a mock server in this process, with one user.
func (s *services) start(ctx context.Context, o *options) error {
	server, err := provisiontest.Start("127.0.0.1:0", provisiontest.Config{AdmitAny: true})
	if err != nil {
		return err
	}
	server.Directory.AddUser(drstest.User{UPN: o.user, Password: o.password})
	s.url, s.roots = server.URL, provisiontest.Pool(server.Roots)
	s.stop = func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		server.Close(end)
	}
	return nil
}
