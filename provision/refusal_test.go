package provision_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/provision"
)

// A bench is a device in the middle of a run, for clients that go wrong.
type bench struct {
	*world
	t     *testing.T
	tpm   *attest.TPM
	ek    *attest.EK
	key   *attest.Key // attestation key
	chain []*x509.Certificate
}

func newBench(t *testing.T, w *world) *bench {
	t.Helper()
	tpm, _ := newTPM(t, attesttest.Config{})
	b := &bench{world: w, t: t, tpm: tpm, key: createKey(t, tpm, attest.Attest)}
	for ek, err := range tpm.EKs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		b.ek = ek
		break
	}
	if _, err := w.Directory.Import(b.ek.Public); err != nil {
		t.Fatal(err)
	}
	c := w.provisioner(tpm).EKCert
	cert, err := c.Find(t.Context(), tpm, "", b.ek.Public)
	if err != nil {
		t.Fatal(err)
	}
	report, err := c.Verify(t.Context(), cert, b.ek.Public)
	if err != nil {
		t.Fatal(err)
	}
	b.chain = report.Chain
	return b
}

func createKey(t *testing.T, tpm *attest.TPM, usage attest.Usage) *attest.Key {
	t.Helper()
	key, err := tpm.CreateKey(t.Context(), attest.Template{Usage: usage})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// enrollAIK has the attestation key certified.
func (b *bench) enrollAIK(activate func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error)) ([]*x509.Certificate, error) {
	c := b.provisioner(b.tpm).AIK
	c.HTTPClient = b.Client()
	return c.Enroll(b.t.Context(), &aik.Request{
		EK: b.ek.Public, EKChain: b.chain, AIKCreation: b.key.Creation(), Activate: activate,
	})
}

// drs returns a client of the directory and what it discovers.
func (b *bench) drs() (*drs.Client, *drs.Discovery) {
	b.t.Helper()
	c := b.provisioner(b.tpm).DRS
	c.HTTPClient = b.Client()
	d, err := c.Discover(b.t.Context(), "contoso.test")
	if err != nil {
		b.t.Fatal(err)
	}
	return c, d
}

// join joins with keys and certifications that change may spoil.
func (b *bench) join(change func(*drs.Request, *attest.Key)) error {
	b.t.Helper()
	aikChain, err := b.enrollAIK(b.tpm.Activator(b.ek, b.key))
	if err != nil {
		b.t.Fatal(err)
	}
	c, d := b.drs()
	p := proof(b.tpm, b.ek, b.key)
	p.EKChain, p.AIKChain = b.chain, aikChain
	token, err := c.Authenticate(b.t.Context(), d, p)
	if err != nil {
		b.t.Fatal(err)
	}
	device, transport := createKey(b.t, b.tpm, attest.Sign), createKey(b.t, b.tpm, attest.Decrypt)
	keys := map[string]*attest.Key{drs.UsageDevice: device, drs.UsageTransport: transport}
	req := &drs.Request{
		DeviceToken: token, DeviceKey: device, TransportKey: transport.Public().(*rsa.PublicKey),
		Attestation: &drs.Attestation{
			AIKPublicArea: b.key.PublicArea(), AIKChain: aikChain, Nonce: token.Nonce,
			Certify: func(ctx context.Context, usage string, data []byte) (*drs.Statement, error) {
				return b.certify(ctx, keys[usage], b.key, data)
			},
		},
	}
	change(req, device)
	_, err = c.Join(b.t.Context(), d, req)
	return err
}

func (b *bench) certify(ctx context.Context, key, by *attest.Key, data []byte) (*drs.Statement, error) {
	s, err := b.tpm.Certify(ctx, key, by, data)
	return (*drs.Statement)(s), err
}

// runWith runs all steps with a Provisioner that change may spoil.
func runWith(t *testing.T, w *world, admit bool, change func(*provision.Provisioner)) error {
	t.Helper()
	tpm, _ := newTPM(t, attesttest.Config{})
	if admit {
		w.admit(t, tpm)
	}
	p := w.provisioner(tpm)
	if change != nil {
		change(p)
	}
	_, err := p.Run(t.Context())
	return err
}

// sticky hands out the first nonce of the token endpoint again and again.
type sticky struct {
	http.RoundTripper
	body []byte
}

func (s *sticky) RoundTrip(req *http.Request) (*http.Response, error) {
	form := ""
	if req.Body != nil {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		form, req.Body = string(text), io.NopCloser(bytes.NewReader(text))
	}
	res, err := s.RoundTripper.RoundTrip(req)
	if err != nil || !strings.Contains(form, "srv_challenge") {
		return res, err
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	if s.body == nil {
		s.body = text
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(s.body)), int64(len(s.body))
	return res, err
}

// Each client here does one thing wrong. It gets a typed error that says at
// which step, and the server knows why.
func TestRefusals(t *testing.T) {
	deny := func(w *world) {
		w.Maker.Revoked = func([32]byte) bool { return true }
		w.AIK.Deny = func([32]byte) bool { return true }
	}
	otherTenant := func(w *world) {
		w.Management.TenantID = "11111111-2222-4333-8444-555555555555"
		w.Management.Issuer = "https://sts.windows.net/" + w.Management.TenantID + "/"
	}
	for _, c := range []struct {
		name   string
		world  func(*world)
		do     func(t *testing.T, w *world) error
		step   string // in the error
		reason string // in what a server kept
	}{
		{"EK not imported", nil, func(t *testing.T, w *world) error {
			return runWith(t, w, false, nil)
		}, "provision: token: drs: authenticate", "no device with this endorsement key"},
		{"EK certificate of another maker", nil, func(t *testing.T, w *world) error {
			b := newBench(t, w)
			cert, err := attesttest.OtherMaker().EKCertificate(b.ek.Public)
			if err != nil {
				t.Fatal(err)
			}
			b.chain = append([]*x509.Certificate{cert}, attesttest.OtherMaker().Certificates()...)
			_, err = b.enrollAIK(b.tpm.Activator(b.ek, b.key))
			return err
		}, "aik: authority", "does not exist"},
		{"EK on the maker's deny list", deny, func(t *testing.T, w *world) error {
			return runWith(t, w, true, func(p *provision.Provisioner) { p.EnrollEK = true })
		}, "provision: ek: ekcert: enroll", "tpm-revoked"},
		{"EK on the attestation CA's deny list", deny, func(t *testing.T, w *world) error {
			return runWith(t, w, true, nil)
		}, "provision: aik: enroll", "deny"},
		{"AIK with wrong attributes", nil, func(t *testing.T, w *world) error {
			b := newBench(t, w)
			b.key = createKey(t, b.tpm, attest.Sign)
			c, d := b.drs()
			p := proof(b.tpm, b.ek, b.key)
			p.EKChain = b.chain
			_, err := c.Authenticate(t.Context(), d, p)
			return err
		}, "drs: authenticate", "attributes"},
		{"wrong activation secret", nil, func(t *testing.T, w *world) error {
			_, err := newBench(t, w).enrollAIK(func(context.Context, []byte, []byte) ([]byte, error) {
				return make([]byte, 32), nil
			})
			return err
		}, "aik: answer", "secret"},
		{"DK certified by another AIK", nil, func(t *testing.T, w *world) error {
			b := newBench(t, w)
			other := createKey(t, b.tpm, attest.Attest)
			return b.join(func(r *drs.Request, device *attest.Key) {
				certify := r.Attestation.Certify
				r.Attestation.Certify = func(ctx context.Context, usage string, data []byte) (*drs.Statement, error) {
					if usage == drs.UsageDevice {
						return b.certify(ctx, device, other, data)
					}
					return certify(ctx, usage, data)
				}
			})
		}, "drs: join", "check 3"},
		{"nonce replayed", nil, func(t *testing.T, w *world) error {
			return runWith(t, w, true, func(p *provision.Provisioner) {
				c := *w.Client()
				c.Transport = &sticky{RoundTripper: c.Transport}
				p.HTTPClient = &c
			})
		}, "provision: enroll: mdm: Exchange", "request_nonce is unknown, used or expired"},
		{"token for another tenant", otherTenant, func(t *testing.T, w *world) error {
			return runWith(t, w, true, nil)
		}, "provision: enroll: mdm: Policy", "issuer"},
		{"CSR key is not the certified key", nil, func(t *testing.T, w *world) error {
			b := newBench(t, w)
			return b.join(func(r *drs.Request, _ *attest.Key) { r.DeviceKey = createKey(t, b.tpm, attest.Sign) })
		}, "drs: join", "check 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.world)
			err := c.do(t, w)
			if err == nil || !strings.Contains(err.Error(), c.step) || !isTyped(err) {
				t.Errorf("error is %v, want %q", err, c.step)
			}
			if kept := strings.Join(w.Refusals(), "\n"); !strings.Contains(kept, c.reason) {
				t.Errorf("the servers kept %q, want %q", kept, c.reason)
			}
			for _, o := range w.Directory.Objects() {
				if o.Enabled && !strings.HasPrefix(c.step, "provision: enroll") {
					t.Error("a device was enabled all the same")
				}
			}
			if n := len(w.Management.Enrolled()); n != 0 {
				t.Errorf("%d devices enrolled all the same", n)
			}
		})
	}
}

// isTyped reports whether err has the type of one of the clients.
func isTyped(err error) bool {
	var (
		e *ekcert.Error
		a *aik.Error
		d *drs.Error
		m *mdm.Error
	)
	return errors.As(err, &e) || errors.As(err, &a) || errors.As(err, &d) || errors.As(err, &m)
}
