package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/trace"
)

// services are where the parties are, and whom to trust.
type services struct {
	url     string
	roots   *x509.CertPool // of TLS and of the services
	ekRoots ekcert.Roots
	stop    func()
}

// services returns the services that the flags name. Without -server they are
// started in this process and import whatever endorsement key comes with a
// certificate that they trust.
func (o *options) services(ctx context.Context) (*services, error) {
	s := &services{
		url: strings.TrimSuffix(o.server, "/"), stop: func() {},
		ekRoots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()},
	}
	var makers []*x509.Certificate
	if o.ekRoots != "" {
		var err error
		if makers, err = device.ReadCertificates(o.ekRoots); err != nil {
			return nil, err
		}
		s.ekRoots = ekcert.Roots{"": provisiontest.Pool(makers)}
	}
	if o.server == "" {
		users, err := o.users()
		if err != nil {
			return nil, err
		}
		return s, s.start(ctx, makers, users)
	}
	if o.roots != "" {
		certs, err := device.ReadCertificates(o.roots)
		if err != nil {
			return nil, err
		}
		s.roots = provisiontest.Pool(certs)
	}
	return s, nil
}

// start starts a mock server in this process.
func (s *services) start(ctx context.Context, makers []*x509.Certificate, users map[string]string) error {
	server, err := provisiontest.Start("127.0.0.1:0", provisiontest.Config{EKRoots: makers, AdmitAny: true, Users: users})
	if err != nil {
		return err
	}
	s.url, s.roots = server.URL, provisiontest.Pool(server.Roots)
	s.stop = func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		server.Close(end)
	}
	return nil
}

// provisioner returns what runs the steps with these services. Requests are
// counted and traced.
func (s *services) provisioner(tpm *attest.TPM, c *counts, trace *trace.Trace) *provision.Provisioner {
	transport := func(config *tls.Config) http.RoundTripper {
		config.RootCAs = s.roots
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.TLSClientConfig = config
		return trace.HTTP(&http.Client{Transport: countedHTTP{own, c}}).Transport
	}
	return &provision.Provisioner{
		TPM:        tpm,
		Management: s.url + provisiontest.DiscoveryPath,
		EKCert:     &ekcert.Client{Roots: s.ekRoots, SCEPURL: s.url + provisiontest.MakerPath},
		AIK:        &aik.Client{URL: s.url + provisiontest.AIKPath, Roots: s.roots},
		DRS:        &drs.Client{BaseURL: s.url + provisiontest.DirectoryPath},
		HTTPClient: &http.Client{Transport: transport(&tls.Config{MinVersion: tls.VersionTLS12}), Timeout: time.Minute},
		MutualTLS:  transport,
	}
}

// selectEK returns what takes only endorsement keys of an algorithm, or nil
// for "".
func selectEK(algorithm string) (func(*attest.EK) bool, error) {
	if algorithm == "" {
		return nil, nil
	}
	for _, name := range []string{"rsa2048", "p256", "p384"} {
		if algorithm == name {
			return func(ek *attest.EK) bool { return device.KeyName(ek.Public) == name }, nil
		}
	}
	return nil, fmt.Errorf("-ek %q: want rsa2048, p256 or p384", algorithm)
}
