package drstest_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// An ecChip is a device whose device key and storage key are on P-256, in a TPM.
type ecChip struct {
	*chip
	device, storage *ecdsa.PublicKey
}

func newECChip(t *testing.T, tr transport.TPMCloser) *ecChip {
	t.Helper()
	c := &ecChip{chip: newChip(t, tr)}
	for _, k := range []struct {
		key   **attest.Key
		usage attest.Usage
		pub   **ecdsa.PublicKey
	}{{&c.dk, attest.Sign, &c.device}, {&c.tk, attest.Decrypt, &c.storage}} {
		var err error
		if *k.key, err = c.tpm.CreateKey(t.Context(), attest.Template{Algorithm: attest.P256, Usage: k.usage}); err != nil {
			t.Fatal(err)
		}
		*k.pub, _ = (*k.key).Public().(*ecdsa.PublicKey)
	}
	return c
}

func (c *ecChip) request(token *drs.DeviceToken) *drs.Request {
	req := c.chip.request(token)
	req.TransportKey, req.StorageKey, req.DeviceType = nil, c.storage, "MacOS"
	return req
}

func (c *ecChip) signIn(t *testing.T, dev *drs.Device) *drs.SignIn {
	t.Helper()
	storage, err := c.tk.Exchanger()
	if err != nil {
		t.Fatal(err)
	}
	return &drs.SignIn{Certificate: dev.Certificate, DeviceKey: c.dk, StorageKey: storage}
}

func TestECEmulator(t *testing.T) {
	emulator := emulated(t, "drs")
	testEC(t, emulator)
	if objects, sessions := emulator.Loaded(); objects != 0 || sessions != 0 {
		t.Errorf("%d objects and %d sessions are left in the TPM", objects, sessions)
	}
}

func TestECSWTPM(t *testing.T) {
	s, err := attesttest.StartSWTPM(t.TempDir())
	if errors.Is(err, attesttest.ErrNoSWTPM) && os.Getenv("WHITEGLOVE_REQUIRE_SWTPM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	testEC(t, s)
}

// A device with keys on P-256 joins by each proof, leaves, joins for a user, and the user signs
// in, renews, gets a token and goes on in another run.
func testEC(t *testing.T, tr transport.TPMCloser) {
	r := newTLSRig(t)
	r.now = time.Now()
	c := newECChip(t, tr)
	if _, err := r.server.Import(c.ek.Public); err != nil {
		t.Fatal(err)
	}
	// ek-jwt-v1, not bound to the keys: the attestation binds them.
	token, err := r.client.Authenticate(t.Context(), r.tenant, c.proof())
	if err != nil {
		t.Fatal(err)
	}
	req := c.request(token)
	first, err := r.join(req)
	if err != nil {
		t.Fatalf("%v, %q", err, r.server.Refusals())
	}
	again, err := r.join(req) // the certificate request has another signature
	if o := r.server.Objects()[1]; err != nil || !again.Certificate.Equal(first.Certificate) || !o.StorageKey.Equal(c.storage) || o.TransportKey != nil || o.AttestationLevel != 1 {
		t.Errorf("repeated: %v, %+v", err, o)
	}
	// dk-activate and challenge-401.
	byDevice := &drs.Proof{
		EK: c.ek.Public, EKPublicArea: c.ek.PublicArea, DeviceKeyPublicArea: c.dk.PublicArea(), DeviceKey: c.device, StorageKey: c.storage,
		Activate: c.tpm.Activator(c.ek, c.dk),
	}
	if token, err = r.client.Authenticate(t.Context(), r.tenant, byDevice); err != nil {
		t.Fatal("dk-activate:", err)
	}
	req = c.request(token)
	req.Attestation = nil
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	req.StorageKey = &other.PublicKey
	_, err = r.join(req)
	wantError(t, err, "DeviceTokenKeyMismatch", "another transport key")
	req.StorageKey = c.storage
	if dev, err := r.join(req); err != nil || dev.ID != first.ID {
		t.Error("dk-activate:", err)
	}
	req = c.request(new(drs.DeviceToken))
	req.DeviceToken, req.Proof = nil, c.proof()
	dev, err := r.join(req)
	if err != nil || dev.ID != first.ID {
		t.Fatal("challenge-401:", err)
	}
	if err := r.client.Leave(t.Context(), r.tenant, dev, c.dk); err != nil {
		t.Fatal(err)
	}
	// The user's part.
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	nonce, err := r.client.Nonce(t.Context(), r.tenant, nil)
	if err != nil {
		t.Fatal(err)
	}
	req = c.request(&drs.DeviceToken{Nonce: []byte(nonce)})
	req.DeviceToken, req.Nonce = nil, nonce
	var refresh drs.Token
	req.UserToken, refresh = r.userToken(alice)
	if dev, err = r.client.Rejoin(t.Context(), r.tenant, first.ID, req); err != nil {
		t.Fatalf("%v, %q", err, r.server.Refusals())
	}
	in := c.signIn(t, dev)
	in.RefreshToken = refresh
	useSession(t, r, in, 4)
	in.RefreshToken, in.Username, in.Password = "", alice, password
	useSession(t, r, in, 4)
}

// useSession signs a user in, and uses the session and a renewed one, before and after storage.
func useSession(t *testing.T, r *rig, in *drs.SignIn, protocol int) {
	t.Helper()
	r.now = r.now.Add(time.Second) // the session is the last one
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatalf("%v, %q", err, r.server.Refusals())
	}
	list := r.server.Sessions()
	if got := list[len(list)-1]; got.Protocol != protocol || s.UPN != alice || s.TenantID != drstest.DefaultTenantID || s.Expires.IsZero() {
		t.Errorf("session %+v: %q %q %v", got, s.UPN, s.TenantID, s.Expires)
	}
	text, err := s.Seal()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "1.A") || strings.Contains(string(text), alice) {
		t.Errorf("the stored session can be read: %s", text)
	}
	stored, err := in.Unseal(text)
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{next: r.transport}
	recorded := *r.client
	recorded.HTTPClient = &http.Client{Transport: rec}
	renewed, err := recorded.Renew(t.Context(), r.tenant, stored)
	if err != nil {
		t.Fatalf("%v, %q", err, r.server.Refusals())
	}
	claims := jwt.MapClaims{}
	for _, form := range rec.forms {
		if form.Has("request") {
			if _, _, err := jwt.NewParser().ParseUnverified(form.Get("request"), claims); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, names := claims["previous_refresh_token"]; names != (protocol == 2) || (claims["client_id"] == drs.BrokerClient) == (protocol == 2) {
		t.Errorf("protocol %d: renewed with %v", protocol, claims)
	}
	for _, one := range []*drs.Session{s, stored, renewed} {
		token, err := r.client.AccessToken(t.Context(), r.tenant, one, &drs.AccessRequest{Resource: drstest.ManagementResource})
		if err != nil {
			t.Fatalf("%v, %q", err, r.server.Refusals())
		}
		if claims := r.claims(token.Token, drstest.ManagementResource); claims["upn"] != alice || token.RefreshToken == "" || one.UPN != alice {
			t.Errorf("%v", claims)
		}
	}
	text[len(text)/2] ^= 1
	if _, err := in.Unseal(text); !errors.Is(err, drs.ErrSession) {
		t.Errorf("changed: %v", err)
	}
}

// Protocol 3 is that of Windows at version 2.0 of the endpoint, with RSA keys or an EC device
// key.
func TestProtocol3(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Protocol = 3
	_, in.RefreshToken = r.userToken(alice)
	useSession(t, r, in, 3)
	in.RefreshToken, in.UserKey = "", softRSA(t, 7)
	useSession(t, r, in, 3)
	// A device key on P-256 beside an RSA transport key.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	req := &drs.Request{DeviceKey: key, TransportKey: &r.device.tk.PublicKey}
	req.UserToken, _ = r.userToken(alice)
	dev, err := r.join(req)
	if err != nil {
		t.Fatalf("%v, %q", err, r.server.Refusals())
	}
	own := &drs.SignIn{Certificate: dev.Certificate, DeviceKey: key, TransportKey: r.device.tk.PrivateKey, Username: alice, Password: password, Protocol: 3}
	useSession(t, r, own, 3)
	own.Protocol = 2
	useSession(t, r, own, 2)
}

// A user without a device signs in by an authorization code, with a key of the request's own.
func TestDeviceless(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	own := &drs.SignIn{TransportKey: softRSA(t, 9), Protocol: 3, ClientID: drs.BrokerClient, RedirectURI: drs.RedirectDRS, Code: drs.Token(r.code(s))}
	useSession(t, r, own, 3)
	if list := r.server.Sessions(); list[len(list)-1].DeviceID != "" {
		t.Errorf("sessions %+v", list)
	}
	_, err = r.client.SignIn(t.Context(), r.tenant, own) // the code again
	wantError(t, err, "", "was used")
	for name, change := range map[string]func(*drs.SignIn){
		"protocol 2":  func(q *drs.SignIn) { q.Protocol = 2 },
		"no redirect": func(q *drs.SignIn) { q.RedirectURI = "" },
		"a device":    func(q *drs.SignIn) { q.Certificate = in.Certificate },
		"no key":      func(q *drs.SignIn) { q.TransportKey = nil },
	} {
		q := *own
		change(&q)
		if _, err := r.client.SignIn(t.Context(), r.tenant, &q); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// code returns an authorization code for a session.
func (r *rig) code(s *drs.Session) string {
	r.t.Helper()
	cookie, err := r.client.Cookie(r.t.Context(), r.tenant, s, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	q := url.Values{"response_type": {"code"}, "client_id": {drs.BrokerClient}, "redirect_uri": {drs.RedirectDRS}}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.tenant.AuthorizeEndpoint+"?"+q.Encode(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: drs.CookieName, Value: string(cookie)})
	res, err := r.transport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	res.Body.Close()
	at, err := res.Location()
	if err != nil {
		r.t.Fatal(err)
	}
	return at.Query().Get("code")
}

// Kerberos tickets are returned as they are; a SAML assertion signs a federated user in.
func TestKerberosAndSAML(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Username, in.SAML, in.Kerberos = "", r.server.IssueSAML(alice), true
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	ad, cloud := s.KerberosTickets()
	var ticket struct {
		ClientKey string `json:"clientKey"`
		KeyType   int    `json:"keyType"`
	}
	if err := json.Unmarshal(cloud, &ticket); err != nil || ticket.KeyType != 18 || strings.Count(ticket.ClientKey, ".") != 4 || len(ad) == 0 {
		t.Errorf("%s, %s, %v", ad, cloud, err)
	}
	_, err = r.client.SignIn(t.Context(), r.tenant, in)
	wantError(t, err, "", "was used")
	in.SAML, in.Kerberos = r.server.IssueSAML(alice), false
	if s, err = r.client.SignIn(t.Context(), r.tenant, in); err != nil {
		t.Fatal(err)
	}
	if ad, cloud := s.KerberosTickets(); ad != nil || cloud != nil {
		t.Errorf("not asked for: %s %s", ad, cloud)
	}
}

// Requests in the wrong protocol are refused.
func TestProtocolRefused(t *testing.T) {
	r := newRig(t)
	in := softSignIn(t, r)
	in.Password = password
	form := func(set func(url.Values)) *drs.Client {
		c := *r.client
		c.HTTPClient = &http.Client{Transport: formChanger{r.transport, set}}
		return &c
	}
	for name, c := range map[string]struct {
		client   *drs.Client
		protocol int
		want     string
	}{
		"3 at the old endpoint": {form(func(f url.Values) { f.Set("prt_protocol_version", "3.0") }), 2, "another version of the endpoint"},
		"2 at the new endpoint": {form(func(f url.Values) { f.Del("prt_protocol_version") }), 3, "another version of the endpoint"},
		"an unknown one":        {form(func(f url.Values) { f.Set("prt_protocol_version", "5.0") }), 3, `prt_protocol_version \"5.0\"`},
		"4 with an RSA key":     {form(func(f url.Values) { f.Set("prt_protocol_version", "4.0") }), 3, "needs a device key on P-256"},
	} {
		q := *in
		q.Protocol = c.protocol
		if _, err := c.client.SignIn(t.Context(), r.tenant, &q); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*drs.SignIn){
		"undefined":       func(q *drs.SignIn) { q.Protocol = 5 },
		"4 with RSA keys": func(q *drs.SignIn) { q.Protocol = 4 },
		"4 without a storage key": func(q *drs.SignIn) {
			key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			q.Protocol, q.DeviceKey = 4, key
		},
		"a storage key on another curve": func(q *drs.SignIn) {
			key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			storage, _ := ecdh.P384().GenerateKey(rand.Reader)
			q.DeviceKey, q.StorageKey = key, storage
		},
	} {
		q := *in
		change(&q)
		var e *drs.Error
		if _, err := r.client.SignIn(t.Context(), r.tenant, &q); !errors.As(err, &e) || e.HTTPStatus != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A formChanger changes forms that sign in.
type formChanger struct {
	http.RoundTripper
	set func(url.Values)
}

func (c formChanger) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	form := req.PostForm
	if form.Get("request") != "" {
		c.set(form)
	}
	own, err := http.NewRequestWithContext(context.WithoutCancel(req.Context()), req.Method, req.URL.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	own.Header = req.Header
	return c.RoundTripper.RoundTrip(own)
}

// A primary refresh token of protocol 4 is of no use with another device's keys.
func TestProtocol4Bound(t *testing.T) {
	r := newRig(t)
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	var in [2]*drs.SignIn
	for i := range in {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		storage, err := key.ECDH()
		if err != nil {
			t.Fatal(err)
		}
		// The same key signs and decrypts, as on macOS.
		req := &drs.Request{DeviceKey: key, StorageKey: &key.PublicKey}
		req.UserToken, _ = r.userToken(alice)
		dev, err := r.join(req)
		if err != nil {
			t.Fatal(err)
		}
		in[i] = &drs.SignIn{Certificate: dev.Certificate, DeviceKey: key, StorageKey: storage, Username: alice, Password: password}
	}
	s, err := r.client.SignIn(t.Context(), r.tenant, in[0])
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Seal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in[1].Unseal(text); !errors.Is(err, drs.ErrSession) {
		t.Errorf("another device: %v", err)
	}
	none, other := *in[0], *in[0]
	none.Certificate, other.Certificate = nil, in[1].Certificate
	for name, one := range map[string]*drs.SignIn{"no certificate": &none, "another device's certificate": &other} {
		if _, err := one.Unseal(text); !errors.Is(err, drs.ErrSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for size, ok := range map[int]bool{256 << 10: true, 256<<10 + 1: false} {
		if _, err := in[0].Unseal(append(bytes.Repeat([]byte(" "), size-len(text)), text...)); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	mixed := *in[1]
	mixed.StorageKey = in[0].StorageKey
	stolen, err := mixed.Unseal(text)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.client.AccessToken(t.Context(), r.tenant, stolen, &drs.AccessRequest{Resource: drstest.ManagementResource})
	wantError(t, err, "", "another device or protocol")
	if _, err := r.client.Cookie(t.Context(), r.tenant, s, nil); !errors.Is(err, drs.ErrSession) {
		t.Errorf("cookie: %v", err)
	}
	r.server.Remove(r.server.Objects()[1].DeviceID)
	if _, err := r.client.Renew(t.Context(), r.tenant, s); err == nil {
		t.Error("a device that is gone: no error")
	}
}
