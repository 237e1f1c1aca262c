package drstest_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

// A wiretap records the bodies of requests and answers, which have the secrets.
type wiretap struct {
	http.RoundTripper
	answers []map[string]any
	forms   []url.Values
}

func (w *wiretap) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form") {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		if form, err := url.ParseQuery(string(b)); err == nil {
			w.forms = append(w.forms, form)
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(b))
	}
	res, err := w.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var answer map[string]any
	if json.Unmarshal(b, &answer) == nil {
		w.answers = append(w.answers, answer)
	}
	res.Body = io.NopCloser(bytes.NewReader(b))
	return res, nil
}

// Logs, errors, printed values and stored sessions have no token, secret of a challenge, session
// key, refresh token or password.
func TestCanary(t *testing.T) {
	var shown bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&shown, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := newRig(t)
	r.server.Logger, r.client.Logger = logger, logger
	tapped := &wiretap{RoundTripper: r}
	r.client.HTTPClient = &http.Client{Transport: tapped}
	secrets := map[string]string{"password": password}
	note := func(name string, v any) {
		fmt.Fprintf(&shown, "%v %+v %#v %s %q %x\n", v, v, v, v, v, v)
		logger.Info("value", name, v)
		if b, err := json.Marshal(v); err == nil {
			shown.Write(b)
		}
	}

	p := r.device.proof()
	p.Activate = func(ctx context.Context, blob, secret []byte) ([]byte, error) {
		out, err := r.device.activate(ctx, blob, secret)
		secrets["secret of the challenge"] = string(out)
		return out, err
	}
	token, err := r.client.Authenticate(t.Context(), r.tenant, p)
	if err != nil {
		t.Fatal(err)
	}
	secrets["device token"] = string(token.Token)
	note("token", *token)
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	req := r.device.request(token)
	req.UserToken, _ = r.userToken(alice)
	secrets["user's token"] = string(req.UserToken)
	dev, err := r.join(req)
	if err != nil {
		t.Fatal(err)
	}
	in := &drs.SignIn{Certificate: dev.Certificate, DeviceKey: r.device.dk, TransportKey: r.device.tk.PrivateKey, Username: alice, Password: password}
	s, err := r.client.SignIn(t.Context(), r.tenant, in)
	if err != nil {
		t.Fatal(err)
	}
	prt := tapped.answers[len(tapped.answers)-1]
	secrets["refresh token"], _ = prt["refresh_token"].(string)
	jwe, _ := prt["session_key_jwe"].(string)
	secrets["session key"] = string(openKey(t, jwe, r.device.tk.PrivateKey))
	note("session", s)
	note("session", *s)
	note("session", struct{ In *drs.Session }{s})
	note("session", struct{ in drs.Session }{*s})
	access, err := r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource})
	if err != nil {
		t.Fatal(err)
	}
	secrets["access token"] = string(access.Token)
	note("access", *access)
	cookie, err := r.client.Cookie(t.Context(), r.tenant, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	secrets["cookie"] = string(cookie)
	note("cookie", cookie)
	text, err := s.Seal()
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	canaryErrors(t, r, &shown, in, s)
	for i, form := range tapped.forms {
		for _, name := range []string{"request", "assertion"} {
			if v := form.Get(name); v != "" {
				secrets[fmt.Sprintf("%s %d", name, i)] = v
			}
		}
	}
	fmt.Fprintf(&shown, "%+v %+v %q", r.server.Objects(), r.server.Sessions(), r.server.Refusals())
	if len(secrets) < 10 || shown.Len() < 1000 {
		t.Fatalf("%d secrets, %d bytes shown", len(secrets), shown.Len())
	}
	canary(t, shown.Bytes(), secrets)
	// The test itself works: the values were printed.
	if !strings.Contains(shown.String(), "[session]") || !strings.Contains(shown.String(), "[token]") {
		t.Error("the values were not shown")
	}
}

// canaryErrors provokes errors of calls that handle secrets.
func canaryErrors(t *testing.T, r *rig, shown *bytes.Buffer, in *drs.SignIn, s *drs.Session) {
	t.Helper()
	for _, f := range []drstest.Fault{drstest.FaultBusy, drstest.FaultNonce, drstest.FaultLost} {
		r.server.SetFault("Token", f)
		_, err := r.client.AccessToken(t.Context(), r.tenant, s, &drs.AccessRequest{Resource: drstest.ManagementResource})
		_, err2 := r.client.SignIn(t.Context(), r.tenant, in)
		_, err3 := r.client.Renew(t.Context(), r.tenant, s)
		for _, e := range []error{err, err2, err3} {
			if e == nil {
				t.Errorf("fault %d: no error", f)
			}
			fmt.Fprintf(shown, "%v %+v %#v\n", e, e, e)
		}
	}
	r.server.SetFault("Token", drstest.FaultNone)
}

// openKey decrypts a session key, so that the test can search for it.
func openKey(t *testing.T, jwe string, tk *rsa.PrivateKey) []byte {
	t.Helper()
	key, err := unwrap(jwe, tk)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
