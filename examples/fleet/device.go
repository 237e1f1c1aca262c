package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// device makes a device and takes it through its run.
func (f *fleet) device(ctx context.Context) error {
	chip, err := attesttest.New(attesttest.Config{Seed: rand.Text(), FastKeys: f.fastKeys})
	if err != nil {
		return err
	}
	defer chip.Close()
	var own connections
	defer own.close()
	p := f.provisioner(chip, &own)
	_, err = p.Run(ctx)
	return err
}

// provisioner returns the Provisioner of a device with connections of its own.
func (f *fleet) provisioner(chip *attesttest.TPM, own *connections) *provision.Provisioner {
	open := func(config *tls.Config) http.RoundTripper {
		config.RootCAs = f.services.Roots
		return own.open(config)
	}
	return &provision.Provisioner{
		TPM:        &attest.TPM{Transport: chip},
		Tenant:     provisiontest.Tenant,
		Management: f.services.URL + provisiontest.DiscoveryPath,
		EKCert:     &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}, SCEPURL: f.services.URL + provisiontest.MakerPath},
		AIK:        &aik.Client{URL: f.services.URL + provisiontest.AIKPath, Roots: f.services.Roots},
		DRS:        &drs.Client{BaseURL: f.services.URL + provisiontest.DirectoryPath},
		HTTPClient: &http.Client{Transport: open(&tls.Config{MinVersion: tls.VersionTLS12}), Timeout: time.Minute},
		MutualTLS:  open,
		Steps:      f.selectSteps(),
		Observe:    f.record.observe,
		Setup:      provision.Setup{Pause: 10 * time.Millisecond},
	}
}

// connections are the connections of a device, which are closed with it.
type connections struct{ transports []*http.Transport }

// open returns a transport with connections of its own.
func (c *connections) open(config *tls.Config) http.RoundTripper {
	t := command.Transport(config)
	c.transports = append(c.transports, t)
	return t
}

func (c *connections) close() {
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}
