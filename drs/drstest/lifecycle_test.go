package drstest_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/ekcert"
)

const (
	alice    = "alice@contoso.test"
	password = "c0rrect horse"
)

// userToken signs a user in without a device, as a sign-in page does, for the join.
func (r *rig) userToken(upn string) (access, refresh drs.Token) {
	r.t.Helper()
	status, body := r.post(url.Values{"grant_type": {"password"}, "username": {upn}, "password": {password}, "client_id": {drs.BrokerClient}, "resource": {drstest.JoinResource}})
	a, _ := body["access_token"].(string)
	b, _ := body["refresh_token"].(string)
	if status != http.StatusOK || a == "" || b == "" {
		r.t.Fatalf("%d %v", status, body)
	}
	return drs.Token(a), drs.Token(b)
}

// claims verifies a token of the server and returns its claims.
func (r *rig) claims(token drs.Token, audience string) jwt.MapClaims {
	r.t.Helper()
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(string(token), claims, func(*jwt.Token) (any, error) { return r.server.TokenKey(), nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(audience), jwt.WithIssuer(r.server.Issuer()), jwt.WithTimeFunc(func() time.Time { return r.now })); err != nil {
		r.t.Fatal(err)
	}
	return claims
}

// rekey makes new keys for the next join.
func (c *chip) rekey(t *testing.T) {
	t.Helper()
	for key, usage := range map[**attest.Key]attest.Usage{&c.dk: attest.Sign, &c.tk: attest.Decrypt} {
		var err error
		if *key, err = c.tpm.CreateKey(t.Context(), attest.Template{Usage: usage}); err != nil {
			t.Fatal(err)
		}
	}
}

// rejoin joins a chip again with new keys, for a user.
func (r *rig) rejoin(t *testing.T, c *chip, id string) *drs.Device {
	t.Helper()
	c.rekey(t)
	nonce, err := r.client.Nonce(t.Context(), r.tenant, nil)
	if err != nil {
		t.Fatal(err)
	}
	req := c.request(&drs.DeviceToken{Nonce: []byte(nonce)})
	req.UserToken, _ = r.userToken(alice)
	dev, err := r.client.Rejoin(t.Context(), r.tenant, id, req)
	if err != nil {
		t.Fatal(err, r.server.Refusals())
	}
	return dev
}

func (c *chip) signIn(dev *drs.Device) *drs.SignIn {
	return &drs.SignIn{Certificate: dev.Certificate, DeviceKey: c.dk, TransportKey: c.tk, Username: alice, Password: password, KDF: 2}
}

// testLife tests the whole life of a device with a TPM: join, management token, leave, rejoin
// for a user, sign-in, tokens, and a rejoin that ends the session.
func testLife(t *testing.T, tr transport.TPMCloser) {
	r := newTLSRig(t)
	r.server.EKRoots = ekcert.Roots{attesttest.Vendor: attesttest.Roots()}
	// The emulators' certificates are valid from the time when they are made.
	r.now = time.Now()
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	c := newChip(t, tr)
	r.server.Remove(r.server.Objects()[0].DeviceID)
	ztd, err := r.server.Import(c.ek.Public)
	if err != nil {
		t.Fatal(err)
	}
	dev := testTechnician(t, r, c, ztd)

	user := r.rejoin(t, c, dev.ID)
	o := r.server.Objects()
	if len(o) != 1 || o[0].DeviceID != dev.ID || !o[0].Enabled || o[0].Owner != alice || o[0].ZTDID != ztd || !o[0].TransportKey.Equal(c.tk.Public()) || user.UPN != alice {
		t.Fatalf("rejoined as %+v", o)
	}
	old := testUser(t, r, c, user)
	text, err := old.Seal()
	if err != nil {
		t.Fatal(err)
	}
	again := r.rejoin(t, c, dev.ID)
	if o := r.server.Objects(); len(o) != 1 || len(o[0].Certificates) != 2 || !o[0].TransportKey.Equal(c.tk.Public()) {
		t.Errorf("rejoined as %+v", o)
	}
	_, err = r.client.AccessToken(t.Context(), r.tenant, old, &drs.AccessRequest{Resource: drstest.ManagementResource})
	wantError(t, err, "session_revoked", "left or joined again")
	if _, err := drs.UnsealSession(text, c.tk); !errors.Is(err, drs.ErrSession) {
		t.Errorf("the new transport key opens an old session: %v", err)
	}
	testUser(t, r, c, again)
}

// testTechnician joins a device without a user and lets it leave.
func testTechnician(t *testing.T, r *rig, c *chip, ztd string) *drs.Device {
	t.Helper()
	var source drs.TokenSource = &drs.Prover{Client: r.client, Proof: c.proof()}
	token, err := source.JoinToken(t.Context(), r.tenant)
	if err != nil {
		t.Fatal(err)
	}
	if token.ZTDID != ztd {
		t.Errorf("ZTDID %q, not %q", token.ZTDID, ztd)
	}
	dev, err := r.join(c.request(token))
	if err != nil {
		t.Fatal(err, r.server.Refusals())
	}
	again, err := r.join(c.request(token))
	if err != nil || !again.Certificate.Equal(dev.Certificate) {
		t.Errorf("repeated: %v", err)
	}
	if o := r.server.Objects()[0]; !o.Enabled || o.DeviceID != dev.ID || o.Owner != "" {
		t.Errorf("joined as %+v", o)
	}
	if status, body := r.sendRequest(c.dk, dev.Certificate, r.deviceRequest()); status != http.StatusOK {
		t.Errorf("device token: %v", body)
	}
	if err := r.client.Leave(t.Context(), r.tenant, dev, c.dk); err != nil {
		t.Fatal(err)
	}
	if o := r.server.Objects(); len(o) != 1 || o[0].Enabled || o[0].DeviceID != dev.ID || o[0].ZTDID != ztd || len(o[0].Certificates) != 0 || o[0].TransportKey != nil {
		t.Errorf("left as %+v", o)
	}
	err = r.client.Leave(t.Context(), r.tenant, dev, c.dk)
	var e *drs.Error
	if !errors.Is(err, drs.ErrGone) || !errors.As(err, &e) || e.HTTPStatus != http.StatusUnauthorized || e.HRESULT() != 0x801C03F3 {
		t.Errorf("left twice: %v", err)
	}
	if _, body := r.sendRequest(c.dk, dev.Certificate, r.deviceRequest()); body["suberror"] != "device_not_found" {
		t.Errorf("device token after that: %v", body)
	}
	return dev
}

// testUser signs a user in and uses the session.
func testUser(t *testing.T, r *rig, c *chip, dev *drs.Device) *drs.Session {
	t.Helper()
	s, err := r.client.SignIn(t.Context(), r.tenant, c.signIn(dev))
	if err != nil {
		t.Fatal(err)
	}
	if s.UPN != alice || s.TenantID != drstest.DefaultTenantID || !s.Expires.After(r.now.Add(13*24*time.Hour)) {
		t.Errorf("session of %q in %q until %v", s.UPN, s.TenantID, s.Expires)
	}
	text, err := s.Seal()
	if err != nil {
		t.Fatal(err)
	}
	if s, err = drs.UnsealSession(text, c.tk); err != nil {
		t.Fatal(err)
	}
	token, err := r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource})
	if err != nil {
		t.Fatal(err)
	}
	if claims := r.claims(token.Token, drstest.ManagementResource); claims["upn"] != alice || claims["deviceid"] != dev.ID {
		t.Errorf("claims %v", claims)
	}
	return s
}

// softSignIn joins a device with software keys for a user and returns the sign-in on it.
func softSignIn(t *testing.T, r *rig) *drs.SignIn {
	t.Helper()
	r.server.AddUser(drstest.User{UPN: alice, Password: password, Key: &softRSA(t, 7).PublicKey})
	req := r.device.request(r.authenticate())
	req.UserToken, _ = r.userToken(alice)
	dev, err := r.join(req)
	if err != nil {
		t.Fatal(err)
	}
	return &drs.SignIn{Certificate: dev.Certificate, DeviceKey: r.device.dk, TransportKey: r.device.tk.PrivateKey, Username: alice}
}
