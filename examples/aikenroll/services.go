package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// services fills in whom e asks and trusts. stop ends what was started for it.
func (o *options) services(ctx context.Context, e *enroller) (stop func(), err error) {
	stop = func() {}
	e.template = attest.Template{Algorithm: attest.RSA2048, Usage: attest.Attest}
	if o.windows {
		e.template = aik.WindowsTemplate()
	}
	e.ekcert = &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}}
	var makers []*x509.Certificate
	if o.ekRoots != "" {
		if makers, err = device.ReadCertificates(o.ekRoots); err != nil {
			return nil, err
		}
		e.ekcert.Roots = ekcert.Roots{"": provisiontest.Pool(makers)}
	}
	e.aik = &aik.Client{URL: o.url}
	if o.url == "windows" {
		e.aik.URL = ""
	}
	switch {
	case o.roots != "":
		certs, err := device.ReadCertificates(o.roots)
		if err != nil {
			return nil, err
		}
		e.aik.Roots = provisiontest.Pool(certs)
	case o.url == "" && o.complete == "":
		if stop, err = startMock(ctx, e.aik, makers); err != nil {
			return nil, err
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: e.aik.Roots, MinVersion: tls.VersionTLS12}
	e.aik.HTTPClient = &http.Client{Transport: transport, Timeout: time.Minute}
	return stop, nil
}

// startMock starts a mock server for c.
func startMock(ctx context.Context, c *aik.Client, makers []*x509.Certificate) (stop func(), err error) {
	server, err := provisiontest.Start("127.0.0.1:0", provisiontest.Config{EKRoots: makers})
	if err != nil {
		return nil, err
	}
	c.URL, c.Roots = server.URL+provisiontest.AIKPath, provisiontest.Pool(server.Roots)
	return func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		server.Close(end)
	}, nil
}
