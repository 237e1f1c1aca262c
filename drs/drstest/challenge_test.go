package drstest_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

func TestAuthenticateRefused(t *testing.T) {
	for _, c := range []struct {
		name                string
		do                  func(r *rig, p *drs.Proof)
		op, subcode, reason string
	}{
		{"not imported", func(r *rig, p *drs.Proof) { r.server.Remove(r.server.Objects()[0].DeviceID) }, "Token", "tpm_ek_unknown", "no device with this"},
		{"AIK is not restricted", func(r *rig, p *drs.Proof) {
			p.AIKPublicArea = newSoftKey(r.t, 1, deviceAttributes).area
		}, "Challenge", "tpm_aik_attributes", "0x00040072"},
		{"AIK can leave the TPM", func(r *rig, p *drs.Proof) {
			p.AIKPublicArea = newSoftKey(r.t, 1, aikAttributes&^2).area
		}, "Challenge", "tpm_aik_attributes", "0x00050070"},
		{"AIK decrypts", func(r *rig, p *drs.Proof) {
			p.AIKPublicArea = newSoftKey(r.t, 1, aikAttributes|0x20000).area
		}, "Challenge", "tpm_aik_attributes", "0x00070072"},
		{"wrong secret", func(r *rig, p *drs.Proof) {
			p.Activate = func(context.Context, []byte, []byte) ([]byte, error) { return make([]byte, 32), nil }
		}, "Token", "tpm_activation_failed", "not by the challenge's secret"},
		{"challenge expired", func(r *rig, p *drs.Proof) {
			p.Activate = func(ctx context.Context, b, s []byte) ([]byte, error) {
				r.later.Add(int64(6 * time.Minute))
				return r.device.activate(ctx, b, s)
			}
		}, "Token", "tpm_challenge_expired", "has expired"},
		{"another resource", func(r *rig, p *drs.Proof) { p.Resource = "https://graph.microsoft.com/" }, "Token", "", "not found in the tenant"},
		{"short nonce", func(r *rig, p *drs.Proof) {
			r.change = func(_ string, b map[string]any) { b["ClientNonce"] = "AAAA" }
		}, "Challenge", "error_fail", "client nonce has 3 bytes"},
		{"another nonce", func(r *rig, p *drs.Proof) {
			r.change = func(_ string, b map[string]any) {
				b["ClientNonce"] = base64.StdEncoding.EncodeToString(make([]byte, 32))
			}
		}, "Token", "", "client_nonce"},
		{"another profile", func(r *rig, p *drs.Proof) {
			r.change = func(_ string, b map[string]any) { b["Profile"] = "ek-jwt-v0" }
		}, "Challenge", "error_fail", "ek-jwt-v0"},
		{"an area that is none", func(r *rig, p *drs.Proof) { p.EKPublicArea = []byte{1, 2, 3, 4} }, "Challenge", "error_fail", "endorsement key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			p := r.device.proof()
			c.do(r, p)
			_, err := r.client.Authenticate(t.Context(), r.tenant, p)
			r.refused(err, c.op, c.subcode, c.reason)
		})
	}
}

// A TPM with another attestation key cannot decrypt the credential, and the error wraps that of
// the TPM.
func TestAuthenticateOtherTPM(t *testing.T) {
	r := newRig(t)
	r.device.opensAs = newSoftKey(r.t, 4, aikAttributes)
	_, err := r.client.Authenticate(t.Context(), r.tenant, r.device.proof())
	var e *drs.Error
	if !errors.As(err, &e) || e.Op != "Authenticate" || !strings.Contains(err.Error(), "TPM_RC_INTEGRITY") {
		t.Errorf("got %v", err)
	}
}

// A recorder records the forms that are posted to the token endpoint.
type recorder struct {
	next  http.RoundTripper
	forms []url.Values
}

func (rec *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/token") {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(b))
		if err != nil {
			return nil, err
		}
		rec.forms = append(rec.forms, form)
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(strings.NewReader(string(b)))
	}
	return rec.next.RoundTrip(req)
}

// An assertion cannot be replayed.
func TestChallengeReplayed(t *testing.T) {
	r := newRig(t)
	rec := &recorder{next: http.DefaultTransport}
	r.client.HTTPClient = &http.Client{Transport: rec}
	r.authenticate()
	heard := rec.forms[len(rec.forms)-1]
	status, body := r.post(heard)
	if status != http.StatusBadRequest || body["suberror"] != "tpm_challenge_replayed" || body["access_token"] != nil {
		t.Errorf("%d %v", status, body)
	}
	if log := r.server.Refusals(); len(log) != 1 || !strings.Contains(log[0], "answered before") {
		t.Errorf("the server wrote down %q", log)
	}
}

// A challenge does not tell whether a key is known: a key that was not imported gets one, too.
func TestChallengeIsNoOracle(t *testing.T) {
	r := newRig(t)
	r.device = newSoftTPM(t, 5)
	answered := false
	p := r.device.proof()
	p.Activate = func(ctx context.Context, b, s []byte) ([]byte, error) {
		answered = true
		return r.device.activate(ctx, b, s)
	}
	_, err := r.client.Authenticate(t.Context(), r.tenant, p)
	wantError(t, err, "tpm_ek_unknown", "no device")
	if !answered {
		t.Error("no challenge was given")
	}
}

func TestChallengesAreLimited(t *testing.T) {
	r := newRig(t)
	p := r.device.proof()
	full := errors.New("kept open")
	p.Activate = func(context.Context, []byte, []byte) ([]byte, error) { return nil, full }
	var err error
	for range 33 {
		_, err = r.client.Authenticate(t.Context(), r.tenant, p)
	}
	var e *drs.Error
	if !errors.As(err, &e) || e.HTTPStatus != http.StatusTooManyRequests || !e.Retryable() {
		t.Errorf("got %v", err)
	}
	r.now = r.now.Add(6 * time.Minute)
	r.authenticate()
}

func TestOtherTenant(t *testing.T) {
	r := newRig(t)
	_, err := r.client.Discover(t.Context(), "fabrikam.test")
	wantError(t, err, "error_tenant_not_found", fmt.Sprintf("%q", "fabrikam.test"))
	d := *r.tenant
	d.ProofEndpoint = r.url + "/EnrollmentServer/tpmchallenge/fabrikam.test/"
	_, err = r.client.Authenticate(t.Context(), &d, r.device.proof())
	wantError(t, err, "error_tenant_not_found", "fabrikam")
	d.ProofEndpoint = ""
	if _, err = r.client.Authenticate(t.Context(), &d, r.device.proof()); !errors.Is(err, drs.ErrNoChallenge) {
		t.Errorf("no challenge: %v", err)
	}
}
