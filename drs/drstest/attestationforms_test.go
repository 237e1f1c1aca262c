package drstest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
)

// created returns the attestation key's creation statement (TPM2_CertifyCreation).
func (d *softTPM) created(t *testing.T) *drs.Statement {
	t.Helper()
	creation := u16(binary.BigEndian.AppendUint32(nil, 0), 0) // no PCRs, no digest
	creation = append(creation, 1)
	creation = u16(creation, 0x000B)
	name := sized(append(u16(nil, 0x000B), make([]byte, 32)...))
	creation = append(append(append(creation, name...), name...), sized(nil)...)
	a := u16(binary.BigEndian.AppendUint32(nil, 0xFF544347), 0x801A)
	a = append(append(a, sized(d.aik.name())...), sized(nil)...)
	a = append(a, make([]byte, 17+8)...)
	sum := sha256.Sum256(creation)
	a = append(append(a, sized(d.aik.name())...), sized(sum[:])...)
	digest := sha256.Sum256(a)
	sig, err := rsa.SignPKCS1v15(rand.Reader, d.aik.PrivateKey, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return &drs.Statement{PublicArea: d.aik.area, CreationData: creation, Attest: a, Signature: append(u16(nil, 0x0014, 0x000B), sized(sig)...)}
}

// boundRequest returns a join whose token is bound to its keys.
func (r *rig) boundRequest(device, transport bool) *drs.Request {
	r.t.Helper()
	p := r.device.proof()
	if device {
		p.DeviceKey = &r.device.dk.PublicKey
	}
	if transport {
		p.TransportKey = &r.device.tk.PublicKey
	}
	token, err := r.client.Authenticate(r.t.Context(), r.tenant, p)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.device.request(token)
}

// KADS and KAST certify one key; the token is bound to the other.
func TestWindowsForms(t *testing.T) {
	for _, form := range []drs.AttestationForm{drs.FormKADS, drs.FormKAST} {
		for _, usage := range []string{"", drs.UsageTransport, drs.UsageDevice} {
			r := newRig(t)
			req := r.boundRequest(usage != drs.UsageDevice, usage == drs.UsageDevice)
			req.Attestation.Form, req.Attestation.Usage, req.Attestation.AIKCreation = form, usage, r.device.created(t)
			if _, err := r.join(req); err != nil {
				t.Errorf("form %d of %q: %v", form, usage, err)
			}
			if o := r.server.Objects()[0]; !o.Enabled || o.AttestationLevel != 1 {
				t.Errorf("form %d of %q: joined as %+v", form, usage, o)
			}
		}
	}
}

func TestWindowsFormsRefused(t *testing.T) {
	foreign := newSoftTPM(t, 5)
	data := func(change func([]byte) []byte) func(*rig, *drs.Request) {
		return func(r *rig, _ *drs.Request) {
			r.change = func(_ string, b map[string]any) {
				raw, _ := base64.StdEncoding.DecodeString(b["AttestationData"].(string))
				b["AttestationData"] = base64.StdEncoding.EncodeToString(change(raw))
			}
		}
	}
	for _, c := range []struct {
		name   string
		form   drs.AttestationForm
		do     func(r *rig, q *drs.Request)
		reason string
	}{
		{"token not bound to the device key", drs.FormKADS, func(r *rig, q *drs.Request) { *q = *r.boundRequest(false, true); q.Attestation.Form = drs.FormKADS }, "not bound"},
		{"by another attestation key", drs.FormKADS, func(r *rig, _ *drs.Request) { r.device.signer = foreign.aik }, "check 3"},
		{"of something else", drs.FormKADS, func(_ *rig, q *drs.Request) { q.Attestation.Nonce = make([]byte, 32) }, "check 4"},
		{"of another key", drs.FormKADS, func(r *rig, _ *drs.Request) { r.device.certifyTK = foreign.tk }, "another key"},
		{"of a key that can leave", drs.FormKADS, func(r *rig, _ *drs.Request) {
			r.device.certifyTK = newSoftKey(r.t, 3, transportAttributes&^2)
		}, "check 6"},
		{"cut off", drs.FormKADS, data(func(b []byte) []byte { return b[:len(b)-1] }), "attestation"},
		{"bytes after it", drs.FormKAST, data(func(b []byte) []byte { return append(b, 0) }), "attestation"},
		{"magic only", drs.FormKAST, data(func(b []byte) []byte { return b[:4] }), "attestation"},
		{"another magic", drs.FormKAST, data(func(b []byte) []byte { return append([]byte("PADS"), b[4:]...) }), "neither"},
		{"another attestation key", drs.FormKAST, func(r *rig, q *drs.Request) {
			q.Attestation.AIKPublicArea, q.Attestation.AIKCreation, r.device.signer = foreign.aik.area, foreign.created(t), foreign.aik
		}, "check 9"},
		{"creation signed by another", drs.FormKAST, func(_ *rig, q *drs.Request) {
			q.Attestation.AIKCreation.Signature = foreign.created(t).Signature
		}, "attestation key"},
		{"creation of another", drs.FormKAST, func(_ *rig, q *drs.Request) { q.Attestation.AIKPublicArea = foreign.aik.area }, "attestation key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			req := r.boundRequest(true, false)
			req.Attestation.Form, req.Attestation.AIKCreation = c.form, r.device.created(t)
			c.do(r, req)
			_, err := r.join(req)
			r.refused(err, "Join", "AttestationFailed", c.reason)
		})
	}
}

// The client does not send a KADS or KAST that is incomplete.
func TestWindowsFormsIncomplete(t *testing.T) {
	r := newRig(t)
	for _, form := range []drs.AttestationForm{drs.FormKAST, 9} {
		req := r.boundRequest(true, false)
		req.Attestation.Form = form
		if _, err := r.join(req); err == nil || len(r.server.Refusals()) > 0 {
			t.Errorf("form %d: %v", form, err)
		}
	}
}

// deviceProof returns the proof of a device without an attestation key.
func (d *softTPM) deviceProof() *drs.Proof {
	d.opensAs = d.dk
	return &drs.Proof{EK: &d.ek.PublicKey, EKPublicArea: d.ekArea, DeviceKeyPublicArea: d.dk.area, DeviceKey: &d.dk.PublicKey, Activate: d.activate}
}

// Variant dk-activate: the device key is proved to be in the TPM of the endorsement key, and
// the token is bound to it.
func TestDeviceKeyActivated(t *testing.T) {
	r := newRig(t)
	token, err := r.client.Authenticate(t.Context(), r.tenant, r.device.deviceProof())
	if err != nil {
		t.Fatal(err)
	}
	req := &drs.Request{DeviceKey: newSoftKey(t, 4, deviceAttributes), TransportKey: &r.device.tk.PublicKey}
	req.DeviceToken = token
	_, err = r.join(req)
	r.refused(err, "Join", "DeviceTokenKeyMismatch", "another device key")
	req.DeviceKey = r.device.dk
	if _, err := r.join(req); err != nil {
		t.Fatal(err)
	}
	if o := r.server.Objects()[0]; !o.Enabled || token.ZTDID != o.ZTDID || o.AttestationLevel != 0 {
		t.Errorf("joined as %+v, ZTDID %q", o, token.ZTDID)
	}
}

func TestDeviceKeyActivatedRefused(t *testing.T) {
	for _, c := range []struct {
		name                string
		do                  func(r *rig, p *drs.Proof)
		op, subcode, reason string
	}{
		{"key can leave the TPM", func(r *rig, p *drs.Proof) { p.DeviceKeyPublicArea = newSoftKey(r.t, 2, deviceAttributes&^2).area }, "Challenge", "tpm_dk_attributes", "0x00040070"},
		{"key is restricted", func(r *rig, p *drs.Proof) { p.DeviceKeyPublicArea = r.device.aik.area }, "Challenge", "tpm_dk_attributes", "0x00050072"},
		{"token for another key", func(r *rig, p *drs.Proof) { p.DeviceKey = &r.device.tk.PublicKey }, "Token", "", "another device key"},
		{"wrong secret", func(r *rig, p *drs.Proof) {
			p.Activate = func(context.Context, []byte, []byte) ([]byte, error) { return make([]byte, 32), nil }
		}, "Token", "tpm_activation_failed", "secret"},
		{"not imported", func(r *rig, p *drs.Proof) { r.server.Remove(r.server.Objects()[0].DeviceID) }, "Token", "tpm_ek_unknown", "no device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			p := r.device.deviceProof()
			c.do(r, p)
			_, err := r.client.Authenticate(t.Context(), r.tenant, p)
			r.refused(err, c.op, c.subcode, c.reason)
		})
	}
	r := newRig(t)
	p := r.device.deviceProof()
	p.DeviceKey = nil
	if _, err := r.client.Authenticate(t.Context(), r.tenant, p); err == nil || len(r.server.Refusals()) > 0 {
		t.Errorf("no key: %v", err)
	}
}

// Variant challenge-401: the service answers the join with a challenge. With an attestation
// key, the statements have the nonce of the challenge; without one, the device key is proved.
func TestChallengedJoin(t *testing.T) {
	for name, proof := range map[string]func(*softTPM) *drs.Proof{"attestation key": (*softTPM).proof, "device key": (*softTPM).deviceProof} {
		r := newRig(t)
		req := r.device.request(new(drs.DeviceToken))
		req.Proof = proof(r.device)
		level := 1
		if name == "device key" {
			req.Attestation, level = nil, 0
		}
		dev, err := r.join(req)
		if err != nil {
			t.Fatal(name, err, r.server.Refusals())
		}
		again, err := r.join(req)
		o := r.server.Objects()
		if err != nil || again.ID != dev.ID || len(o) != 1 || !o[0].Enabled || o[0].AttestationLevel != level {
			t.Errorf("%s: %v, %+v", name, err, o)
		}
	}
}

func TestChallengedJoinRefused(t *testing.T) {
	r := newRig(t)
	foreign := newSoftTPM(t, 5)
	wrong := func(context.Context, []byte, []byte) ([]byte, error) { return make([]byte, 32), nil }
	for _, c := range []struct {
		name            string
		do              func(q *drs.Request)
		subcode, reason string
	}{
		{"wrong secret", func(q *drs.Request) { q.Proof.Activate = wrong }, "MsaTicketTpmValidationFailed", "not by the challenge's secret"},
		{"not imported", func(q *drs.Request) { q.Proof = foreign.proof() }, "MsaTicketTpmValidationFailed", "no device with this"},
		{"attestation key is none", func(q *drs.Request) { q.Proof.AIKPublicArea = r.device.dk.area }, "tpm_aik_attributes", "0x00040072"},
		{"attested elsewhere", func(q *drs.Request) {
			q.Attestation.Certify = foreign.attestation(nil).Certify
			q.Attestation.AIKPublicArea = foreign.aik.area
		}, "AttestationFailed", "check 7"},
		{"certified by another", func(q *drs.Request) {
			q.Attestation.AIKPublicArea, r.device.signer = foreign.aik.area, foreign.aik
		}, "AttestationFailed", "check 9"},
	} {
		req := r.device.request(new(drs.DeviceToken))
		req.Proof = r.device.proof()
		c.do(req)
		_, err := r.join(req)
		r.refused(err, "Join", c.subcode, c.reason)
	}
	// A 401 without a challenge is a refusal.
	req := r.device.request(new(drs.DeviceToken))
	req.Proof = r.device.proof()
	r.change = func(_ string, b map[string]any) { delete(b, "TpmProof") }
	_, err := r.join(req)
	var e *drs.Error
	if !errors.As(err, &e) || e.HTTPStatus != http.StatusUnauthorized || e.HRESULT() != 0x801C0002 || !strings.Contains(e.Message, "no bearer token") {
		t.Errorf("no challenge: %v", err)
	}
}

// SetToken sets the fields of a join for a token from elsewhere.
func TestTokenSources(t *testing.T) {
	var sent map[string]any
	var head string
	r := newRig(t)
	r.change = func(_ string, b map[string]any) { sent = b }
	client := *r.client
	client.HTTPClient = &http.Client{Transport: tap{r, &head}}
	for _, c := range []struct {
		name   string
		source drs.TokenSource
		ticket bool
		extra  string
	}{
		{"ticket", &drs.DeviceToken{Token: "t1cket"}, true, ""},
		{"bulk", &drs.DeviceToken{Token: "t1cket", Bearer: true}, false, ""},
		{"managed identity", &drs.DeviceToken{Token: "t1cket", Bearer: true, Attributes: map[string]string{"AzureResourceId": "/subscriptions/x"}}, false, "/subscriptions/x"},
	} {
		token, err := c.source.JoinToken(t.Context(), r.tenant)
		if err != nil {
			t.Fatal(err)
		}
		req := &drs.Request{DeviceKey: r.device.dk, TransportKey: &r.device.tk.PublicKey}
		req.DeviceToken = token
		if _, err := client.Join(t.Context(), r.tenant, req); err == nil {
			t.Errorf("%s: a token of nobody is taken", c.name)
		}
		a, _ := sent["attributes"].(map[string]any)
		ticket, _ := a["MSA-DDID"].(string)
		extra, _ := a["AzureResourceId"].(string)
		if head != "Bearer t1cket" || (ticket == base64.StdEncoding.EncodeToString([]byte("t1cket"))) != c.ticket || !c.ticket && ticket != "" || extra != c.extra {
			t.Errorf("%s: %q, %v", c.name, head, a)
		}
	}
}

// tap records the Authorization headers of requests.
type tap struct {
	http.RoundTripper
	head *string
}

func (w tap) RoundTrip(req *http.Request) (*http.Response, error) {
	*w.head = req.Header.Get("Authorization")
	return w.RoundTripper.RoundTrip(req)
}

// A boolean attribute may be a JSON boolean or a string in any case.
func TestAttributeForms(t *testing.T) {
	r := newRig(t)
	r.change = func(_ string, b map[string]any) {
		a, ok := b["attributes"].(map[string]any)
		if !ok {
			return // not a join
		}
		a["ReturnClientSid"] = true
		a["ReuseDevice"] = "True"
		delete(b, "attributes")
		b["Attributes"] = a
	}
	if dev, err := r.join(r.device.request(r.authenticate())); err != nil || len(dev.AdminSIDs) != 2 {
		t.Errorf("%v, %v", dev, err)
	}
	req := r.device.request(r.authenticate())
	r.change = func(_ string, b map[string]any) { b["attributes"] = map[string]any{"ReuseDevice": 7} }
	_, err := r.join(req)
	wantError(t, err, "error_fail", "float64")
}

// canary checks that shown has none of the secrets.
func canary(t *testing.T, shown []byte, secrets map[string]string) {
	t.Helper()
	for name, secret := range secrets {
		if len(secret) < 8 {
			t.Fatalf("%s is %q", name, secret)
		}
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)), hexOf(secret)} {
			if bytes.Contains(shown, []byte(form)) {
				i := bytes.Index(shown, []byte(form))
				t.Errorf("%s is shown: %q", name, shown[max(0, i-200):i+10])
			}
		}
	}
}

// A transport key may be a JWK, whose JSON is in base64 like a blob.
func TestTransportKeyJWK(t *testing.T) {
	r := newRig(t)
	tk := &r.device.tk.PublicKey
	for kty, want := range map[string]string{"EC": "JWK of type", "RSA": ""} {
		req := r.boundRequest(true, false)
		req.Attestation = nil
		r.change = func(_ string, b map[string]any) {
			if b["TransportKey"] == nil {
				return
			}
			jwk := `{"kty":"` + kty + `","e":"AQAB","n":"` + base64.StdEncoding.EncodeToString(tk.N.Bytes()) + `","alg":"RS256"}`
			b["TransportKey"] = base64.StdEncoding.EncodeToString([]byte(jwk))
		}
		_, err := r.join(req)
		if want != "" {
			wantError(t, err, "error_fail", want)
			continue
		}
		if o := r.server.Objects()[0]; err != nil || !o.TransportKey.Equal(tk) {
			t.Errorf("%v, joined as %+v", err, o)
		}
	}
}
