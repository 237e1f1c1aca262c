package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/mdm/omadm"
	"github.com/whiteglove/whiteglove/scep"
)

// pause is the time between sessions. Windows polls during enrollment, too, but
// waits longer.
const pause = time.Second

// maxPrinted is how many failed commands of a session are printed.
const maxPrinted = 20

// A sessionSummary is one session in summary.json.
type sessionSummary struct {
	Messages int       `json:"messages"`
	Commands int       `json:"commands"`
	Failed   int       `json:"failed"`
	Failures []failure `json:"failures,omitempty"`
	Oddities []string  `json:"oddities,omitempty"`
}

// A failure is a command of the server that failed.
type failure struct {
	Verb   string `json:"verb"`
	LocURI string `json:"locUri"`
	Status int    `json:"status"`
}

// An order is a certificate that the server ordered and the device obtained over
// SCEP.
type order struct {
	id   string
	cert *x509.Certificate
	key  *attest.Key
}

// runSessions holds as many sessions as the flags say. If the status page is
// shown, it stops when the page is over.
func (e *enrollment) runSessions(ctx context.Context) error {
	if e.sessions == 0 {
		return nil
	}
	s, err := e.session()
	if err != nil {
		return err
	}
	page := &esp.Page{Tree: s.Tree, Provider: e.got.ProviderID}
	page.Watch()
	page.End(esp.Attestation, nil)
	page.End(esp.Join, nil)
	page.End(esp.Enrollment, nil)
	view := &view{out: e.stdout, terminal: e.esp && command.IsTerminal(e.stdout)}
	for n := range e.sessions {
		if n > 0 {
			if err := wait(ctx, pause); err != nil {
				return err
			}
		}
		result, err := s.Run(ctx)
		if result != nil {
			e.hold(result, view)
		}
		if err != nil {
			return err
		}
		if !e.esp {
			continue
		}
		e.report = page.Report()
		view.show(e.report)
		switch e.report.State {
		case esp.Succeeded:
			return e.unfinished()
		case esp.Failed:
			return fmt.Errorf("the enrollment status page ends with failure 0x%08X: %s", e.report.Code, e.report.Message)
		}
	}
	return e.unfinished()
}

// hold keeps the result of a session for the summary and prints it, unless the
// status page has the terminal to itself. What failed is always printed.
func (e *enrollment) hold(result *omadm.Result, view *view) {
	held := sessionSummary{Messages: result.Messages, Commands: result.Commands, Failed: result.Failed, Oddities: result.Oddities}
	if !view.terminal {
		fmt.Fprintf(e.stdout, "session %-4d %d messages, %d commands, %d of them failed\n", len(e.held)+1, result.Messages, result.Commands, result.Failed)
	}
	for i, f := range result.Failures {
		held.Failures = append(held.Failures, failure{f.Command, f.URI, f.Status})
		switch {
		case i < maxPrinted:
			fmt.Fprintf(e.stdout, "  failed     %s\n", f)
		case i == maxPrinted:
			fmt.Fprintf(e.stdout, "  failed     %d more, see -out\n", len(result.Failures)-i)
		}
	}
	if len(result.Failures) > 0 {
		view.lines = 0 // the lines stay above the next page
	}
	e.held = append(e.held, held)
}

// unfinished returns an error if the status page is not over, or a command of the
// server has failed while it was shown.
func (e *enrollment) unfinished() error {
	if !e.esp {
		return nil
	}
	failed := 0
	for _, h := range e.held {
		failed += h.Failed
	}
	switch done, total := e.report.Progress(); {
	case e.report.State == esp.InProgress:
		return fmt.Errorf("the enrollment status page is still in progress after %d sessions, with %d of %d done and %d failed commands; hold more with -session",
			len(e.held), done, total, failed)
	case failed > 0:
		return fmt.Errorf("%d commands of the server failed", failed)
	}
	return nil
}

// session returns the device's side of the sessions. Its tree starts with the
// provisioning document, and it carries out the server's SCEP orders.
func (e *enrollment) session() (*omadm.Session, error) {
	document, err := mdm.ParseDocument(e.got.Document)
	if err != nil {
		return nil, err
	}
	account, err := document.Account()
	if err != nil {
		return nil, err
	}
	s, err := e.newSession()
	if err != nil {
		return nil, err
	}
	for i := range account.Auth {
		if account.Auth[i].Level == "APPSRV" {
			s.Auth = &account.Auth[i]
		}
	}
	s.Tree.Apply(document)
	for _, n := range e.nodes {
		s.Tree.Set(n.uri, omadm.Value{Data: n.value})
	}
	s.Tree.HandleSCEP(e.carryOut)
	return s, nil
}

// newSession returns the device's side of sessions with the certificate. What
// records HTTP messages must show the certificate by itself.
func (e *enrollment) newSession() (*omadm.Session, error) {
	s := &omadm.Session{
		Server: e.got.Server, Device: e.client.Device, Certificate: e.cert, Issuers: e.got.Issuers, Key: e.key,
		Tree: new(omadm.Tree), HTTPClient: e.client.HTTPClient,
	}
	if e.trace == nil {
		return s, nil
	}
	roots, err := command.ReadRoots("-roots", e.roots)
	if err != nil {
		return nil, err
	}
	config, err := s.TLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	s.HTTPClient = e.trace.HTTP(&http.Client{Transport: command.Transport(config), Timeout: time.Minute})
	return s, nil
}

// carryOut enrolls the certificate of a SCEP order for a key of the TPM.
// A key in software signs and opens the messages, and is thrown away.
func (e *enrollment) carryOut(ctx context.Context, o *omadm.SCEPOrder) (*x509.Certificate, error) {
	switch {
	case len(o.URLs) == 0:
		return nil, fmt.Errorf("order %s names no server", o.ID)
	case o.KeyLength > 2048:
		return nil, fmt.Errorf("order %s wants a key of %d bits", o.ID, o.KeyLength)
	}
	client := &scep.Client{URL: o.URLs[0], HTTPClient: &http.Client{Transport: e.client.HTTPClient.Transport, Timeout: time.Minute}}
	ca, err := client.CA(ctx, "")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(ca.Chain, o.IsRoot) {
		return nil, fmt.Errorf("order %s names another root than the CA has", o.ID)
	}
	key, err := e.tpm.CreateKey(ctx, attest.Template{Algorithm: attest.RSA2048, Usage: attest.Sign})
	if err != nil {
		return nil, err
	}
	template, err := o.CSRTemplate()
	if err != nil {
		return nil, err
	}
	csr, err := scep.NewCSR(template, key, string(o.Challenge))
	if err != nil {
		return nil, err
	}
	envelope, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	reply, err := client.Enroll(ctx, ca, &scep.Request{CSR: csr, Signer: envelope})
	if err != nil {
		return nil, err
	}
	e.orders = append(e.orders, order{o.ID, reply.Certificates[0], key})
	return reply.Certificates[0], nil
}

// wait waits for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
