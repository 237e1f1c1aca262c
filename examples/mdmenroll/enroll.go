package main

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/esp"
)

// An enrollment is what a run has and wins.
type enrollment struct {
	*options
	tpm            *attest.TPM
	client         *mdm.Client
	with           mdm.Credential
	ofDevice       bool // the token is of a device, without a user
	stdout, stderr io.Writer

	key    *attest.Key
	got    *mdm.Enrollment
	cert   *x509.Certificate
	report *esp.Report
	held   []sessionSummary
	orders []order
}

// run opens the TPM, enrolls and holds the sessions. What was won before a
// failure is written all the same.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	dev, err := device.Open(o.tpm)
	if err != nil {
		return err
	}
	defer dev.Close()
	fmt.Fprintln(stdout, dev.Name)
	e := &enrollment{options: o, tpm: &attest.TPM{Transport: dev}, stdout: stdout, stderr: stderr}
	if err := e.readCredential(); err != nil {
		return err
	}
	if err := e.makeClient(ctx); err != nil {
		return err
	}
	if err := e.enroll(ctx); err != nil {
		return err
	}
	err = e.runSessions(ctx)
	if o.out != "" {
		err = errors.Join(err, e.write())
	}
	return err
}

// readCredential reads the flags -token, -user and -password.
func (e *enrollment) readCredential() error {
	if e.user != "" {
		secret := e.password
		if name, ok := strings.CutPrefix(secret, "@"); ok {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			secret = strings.TrimRight(string(text), "\r\n")
		}
		e.with = mdm.Password{User: e.user, Secret: mdm.Token(secret)}
		return nil
	}
	text, err := os.ReadFile(e.token)
	if err != nil {
		return err
	}
	token := mdm.Token(strings.TrimSpace(string(text)))
	claims, err := token.Claims()
	if err != nil {
		e.with = mdm.OpaqueToken(token)
		return nil
	}
	for _, warning := range claims.Warnings(time.Now()) {
		fmt.Fprintln(e.stderr, "mdmenroll: warning:", warning)
	}
	e.with, e.ofDevice = token, claims.Type == "device" || claims.UPN == ""
	return nil
}

// makeClient makes the client of the machine. Its identifier is of the
// endorsement key, and so stays the same.
func (e *enrollment) makeClient(ctx context.Context) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if e.ca != "" {
		certs, err := device.ReadCertificates(e.ca)
		if err != nil {
			return err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		for _, c := range certs {
			transport.TLSClientConfig.RootCAs.AddCert(c)
		}
	}
	for ek, err := range e.tpm.EKs(ctx) {
		if err != nil {
			return err
		}
		id := fmt.Sprintf("%X", sha256.Sum256(ek.PublicArea))
		e.client = &mdm.Client{
			Device:     mdm.Device{ID: id[:32], HardwareID: id},
			HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute},
		}
		if !e.ofDevice {
			e.client.Device.EnrollmentType = "Full"
		}
		return nil
	}
	return errors.New("the TPM has no endorsement key")
}

// enroll finds the services, asks for the policy and enrolls a key.
func (e *enrollment) enroll(ctx context.Context) error {
	at, err := e.address()
	if err != nil {
		return err
	}
	d, err := e.client.Discover(ctx, at, e.user)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "discovery    version %s, says %s, enrolls at %s\n", d.EnrollVersion, d.AuthPolicy, d.EnrollURL)
	p, err := e.client.Policy(ctx, d, e.with)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "policy       RSA of %d bits, %v\n", p.MinimalKeyLength, p.Hash)
	req, err := e.request(ctx, p)
	if err != nil {
		return err
	}
	if e.got, err = e.client.Enroll(ctx, d, p, req); err != nil {
		return err
	}
	if e.cert, err = x509.ParseCertificate(e.got.Certificate); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "enrollment   %s by %s until %s\n", e.cert.Subject, e.cert.Issuer, e.cert.NotAfter.UTC().Format(time.DateOnly))
	fmt.Fprintf(e.stdout, "management   %s at %s\n", e.got.ProviderID, e.got.Server)
	return nil
}

func (e *enrollment) address() (string, error) {
	switch {
	case e.domain != "":
		return mdm.DiscoveryURL(e.domain)
	case e.discover == "entra":
		return mdm.EntraDiscoveryURL, nil
	}
	return e.discover, nil
}

// request makes the management key, and a proof of it if the policy speaks of
// one.
func (e *enrollment) request(ctx context.Context, p *mdm.Policy) (*mdm.Request, error) {
	algorithm := attest.RSA2048
	switch {
	case p.MinimalKeyLength > 3072:
		return nil, fmt.Errorf("the policy wants an RSA key of %d bits, and TPMs make none over 3072", p.MinimalKeyLength)
	case p.MinimalKeyLength > 2048:
		algorithm = attest.RSA3072
	}
	var err error
	if e.key, err = e.tpm.CreateKey(ctx, attest.Template{Algorithm: algorithm, Usage: attest.Sign}); err != nil {
		return nil, err
	}
	req := &mdm.Request{Token: e.with, Key: e.key, Context: []mdm.Item{
		mdm.BoolItem(mdm.ItemUXInitiated, !e.ofDevice), mdm.BoolItem(mdm.ItemNotInOOBE, !e.ofDevice),
	}}
	if e.ofDevice {
		req.Context = append(req.Context, mdm.BoolItem(mdm.ItemWhiteGlove, true))
	}
	if p.AttestationFailure != "" {
		req.Attestation, err = e.attestation(ctx)
	}
	return req, err
}

// attestation has a fresh attestation key certify the management key.
func (e *enrollment) attestation(ctx context.Context) (*mdm.Attestation, error) {
	aik, err := e.tpm.CreateKey(ctx, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Attest})
	if err != nil {
		return nil, err
	}
	s, err := e.tpm.Certify(ctx, e.key, aik, nil)
	if err != nil {
		return nil, err
	}
	claim, err := mdm.Claim(s.PublicArea, s.Attest, s.Signature)
	if err != nil {
		return nil, err
	}
	pub, ok := aik.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the attestation key is a %T", aik.Public())
	}
	return &mdm.Attestation{AIK: pub, Claim: claim}, nil
}
