package drstest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// preAuthorized returns a join that the directory authorized beforehand, and
// the object that it is for.
func (r *rig) preAuthorized() (*drs.Request, string) {
	r.t.Helper()
	challenge, id, err := r.server.PreAuthorize()
	if err != nil {
		r.t.Fatal(err)
	}
	d := r.device
	return &drs.Request{PreAuthorized: challenge, DeviceKey: d.dk, TransportKey: &d.tk.PublicKey, DisplayName: "soft"}, id
}

func (r *rig) object(id string) drstest.Object {
	r.t.Helper()
	for _, o := range r.server.Objects() {
		if o.DeviceID == id {
			return o
		}
	}
	r.t.Fatalf("no object %s", id)
	return drstest.Object{}
}

func TestPreAuthorized(t *testing.T) {
	r := newRig(t)
	req, id := r.preAuthorized()
	if o := r.object(id); o.Enabled {
		t.Fatalf("made as %+v", o)
	}
	dev, err := r.join(req)
	if err != nil {
		t.Fatal(err)
	}
	if o := r.object(id); dev.ID != id || !o.Enabled || o.AttestationLevel != 0 || !o.TransportKey.Equal(req.TransportKey) || o.DisplayName != "soft" {
		t.Errorf("joined as %+v", o)
	}
	// The same join can be repeated. With other keys, the challenge is used up.
	again, err := r.join(req)
	if err != nil || !again.Certificate.Equal(dev.Certificate) {
		t.Errorf("repeated: %v", err)
	}
	req.DeviceKey = newSoftKey(t, 4, deviceAttributes)
	_, err = r.join(req)
	wantError(t, err, "PreAuthorizedJoinChallengeInvalid", "was used")
	if o := r.server.Objects(); len(o) != 2 || len(r.object(id).Certificates) != 1 {
		t.Errorf("objects %+v", o)
	}
}

// The keys may be attested with a nonce of the registration service.
func TestPreAuthorizedAttested(t *testing.T) {
	r := newRig(t)
	for _, nonce := range []string{"", "another"} {
		req, id := r.preAuthorized()
		want := "check 8"
		if nonce == "" {
			var err error
			if nonce, err = r.client.Nonce(t.Context(), r.tenant, nil); err != nil {
				t.Fatal(err)
			}
			want = ""
		}
		req.Attestation = r.device.attestation([]byte(nonce))
		_, err := r.join(req)
		if want != "" {
			wantError(t, err, "AttestationFailed", want)
			continue
		}
		if o := r.object(id); err != nil || o.AttestationLevel != 1 {
			t.Errorf("%v, joined as %+v", err, o)
		}
	}
}

func TestPreAuthorizedRefused(t *testing.T) {
	const invalid = "PreAuthorizedJoinChallengeInvalid"
	for _, c := range []struct {
		name            string
		do              func(r *rig, q *drs.Request, id string)
		subcode, reason string
	}{
		{"not the directory's", func(r *rig, q *drs.Request, _ string) {
			q.PreAuthorized = drs.Token(string(q.PreAuthorized)[:len(q.PreAuthorized)-8] + "AAAAAAAA")
		}, invalid, "signature"},
		{"no JWT", func(r *rig, q *drs.Request, _ string) { q.PreAuthorized = "x" }, invalid, "not a JWT"},
		{"another kind of token", func(r *rig, q *drs.Request, _ string) { q.PreAuthorized = r.authenticate().Token }, invalid, "another kind"},
		{"expired", func(r *rig, q *drs.Request, _ string) { r.now = r.now.Add(11 * time.Minute) }, invalid, "expired"},
		{"of another tenant", func(r *rig, q *drs.Request, _ string) {
			r.server.TenantID = "00000000-1111-4222-8333-444444444444"
			r.tenant.PrecreateEndpoint = strings.ReplaceAll(r.tenant.PrecreateEndpoint, drstest.DefaultTenantID, r.server.TenantID)
		}, invalid, "issuer"},
		{"object is gone", func(r *rig, q *drs.Request, id string) { r.server.Remove(id) }, "error_missing_device", "gone"},
		{"at the endpoint of joins", func(r *rig, q *drs.Request, _ string) {
			r.tenant.PrecreateEndpoint = r.tenant.JoinEndpoint
		}, "error_fail", "only for the precreate endpoint"},
		{"as a bearer token", func(r *rig, q *drs.Request, _ string) {
			q.DeviceToken, q.PreAuthorized = &drs.DeviceToken{Token: q.PreAuthorized}, ""
		}, "MsaTicketTpmValidationFailed", "not of a device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			req, id := r.preAuthorized()
			c.do(r, req, id)
			_, err := r.join(req)
			op := "Precreate"
			if strings.HasSuffix(r.tenant.PrecreateEndpoint, "/device/") || req.PreAuthorized == "" {
				op = "Join"
			}
			r.refused(err, op, c.subcode, c.reason)
		})
	}
}

// The precreate endpoint requires a challenge.
func TestPreAuthorizedMissing(t *testing.T) {
	r := newRig(t)
	r.tenant.JoinEndpoint = r.tenant.PrecreateEndpoint
	_, err := r.join(r.device.request(r.authenticate()))
	r.refused(err, "Precreate", "error_fail", "PreAuthorizedJoinChallenge is missing")
}
