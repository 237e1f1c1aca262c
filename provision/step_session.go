package provision

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// maxWarnings is how many failed commands of a session are in warnings.
const maxWarnings = 20

// holdSessions does StepSession: it holds management sessions until the enrollment status
// page reports success or failure. It stores the nodes that the server writes
// before it acknowledges them.
func holdSessions(ctx context.Context, r *Run) (bool, error) {
	if !r.State.SetUp.IsZero() {
		return true, nil
	}
	s, page, err := r.session(ctx)
	if err != nil {
		return false, err
	}
	setup := r.Provisioner.Setup
	for {
		result, err := s.Run(ctx)
		if result != nil {
			for _, oddity := range result.Oddities {
				r.Warn(ctx, "management server: %s", oddity)
			}
			for i, f := range result.Failures {
				if i == maxWarnings {
					r.Warn(ctx, "%d more commands of the management server failed", len(result.Failures)-i)
					break
				}
				r.Warn(ctx, "a command of the management server failed: %s", f)
			}
		}
		if err != nil {
			return false, err
		}
		report := page.Report()
		if setup.Progress != nil {
			setup.Progress(report)
		}
		switch report.State {
		case esp.Failed:
			return false, report.Err()
		case esp.Succeeded:
			return false, r.Commit(ctx, func(s *State) { s.SetUp = r.Provisioner.Now().UTC().Truncate(time.Second) })
		}
		if err := pause(ctx, setup.Pause); err != nil {
			return false, err
		}
	}
}

// session returns the device's side of a management session, with the nodes that
// earlier runs stored, and the status page that watches them.
func (r *Run) session(ctx context.Context) (*omadm.Session, *esp.Page, error) {
	p := r.Provisioner
	key, err := r.managementKey(ctx, 0)
	if err != nil {
		return nil, nil, err
	}
	chain, err := chainOf(r.State.ManagementCertificates, key, "management")
	if err != nil {
		return nil, nil, err
	}
	account, err := r.account(ctx)
	if err != nil {
		return nil, nil, err
	}
	device := r.management().Device
	device.DirectoryID = r.State.DeviceID
	s := &omadm.Session{
		Server: r.State.ManagementServer, Device: device,
		Certificate: chain[0], Issuers: chain[1:], Key: key.WithContext(ctx),
		Tree: p.Setup.Tree, Save: r.keepTree, Now: p.Now, Logger: p.Logger, HTTPClient: p.MDM.HTTPClient,
	}
	for i := range account.Auth {
		if account.Auth[i].Level == "APPSRV" {
			s.Auth = &account.Auth[i]
		}
	}
	if p.MutualTLS != nil {
		config, err := s.TLSConfig(nil)
		if err != nil {
			return nil, nil, err
		}
		if s.HTTPClient, err = p.withTLS(config); err != nil {
			return nil, nil, err
		}
	}
	page := &esp.Page{Tree: s.Tree, Provider: account.ProviderID, Now: p.Now}
	page.Watch()
	for _, done := range []string{esp.Attestation, esp.Join, esp.Enrollment} {
		page.End(done, nil)
	}
	return s, page, nil
}

// account fills the tree from the stored tree or, if there is none, from the
// provisioning document. It returns the management account of the document.
func (r *Run) account(ctx context.Context) (*mdm.Account, error) {
	text, err := r.document, error(nil)
	if text == nil {
		if text, err = openSealed(ctx, r.TransportKey, r.State.ManagementDocument); err != nil {
			return nil, err
		}
	}
	document, err := mdm.ParseDocument(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	tree := r.Provisioner.Setup.Tree
	if len(r.State.ManagementTree) == 0 {
		tree.Apply(document)
		return document.Account()
	}
	if text, err = openSealed(ctx, r.TransportKey, r.State.ManagementTree); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, tree); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return document.Account()
}

// keepTree stores the tree, encrypted to the transport key.
func (r *Run) keepTree(ctx context.Context) error {
	text, err := r.Provisioner.Setup.Tree.MarshalJSON() // json.Marshal would escape more
	if err != nil {
		return err
	}
	box, err := sealToTPM(r.TransportKey, text)
	if err != nil {
		return err
	}
	return r.Commit(ctx, func(s *State) { s.ManagementTree = box })
}

// withTLS returns a client whose connections show the certificate of config.
func (p *Provisioner) withTLS(config *tls.Config) (*http.Client, error) {
	c := *http.DefaultClient
	if p.MDM.HTTPClient != nil {
		c = *p.MDM.HTTPClient
	}
	if c.Transport = p.MutualTLS(config); c.Transport == nil { // which would be the default, without the certificate
		return nil, misuse.Returned("Provisioner.MutualTLS", "no transport")
	}
	return &c, nil
}
