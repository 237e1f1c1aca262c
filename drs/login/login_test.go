package login_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/drs/login"
)

const alice, password = "alice@contoso.test", "Wh1te-Gl0ve"

// azureCLI is a client with a loopback redirect URI.
const azureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

func start(t *testing.T) (*drstest.Server, *drs.Discovery) {
	t.Helper()
	server := new(drstest.Server)
	ts := httptest.NewServer(server)
	t.Cleanup(ts.Close)
	server.AddUser(drstest.User{UPN: alice, Password: password})
	d, err := (&drs.Client{BaseURL: ts.URL}).Discover(t.Context(), drstest.DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	return server, d
}

// check checks that a token is for a join, with a refresh token.
func check(t *testing.T, name string, got *login.Token, err error, client string) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if got.Token == "" || got.RefreshToken == "" || got.ClientID != client || !got.Expires.After(time.Now()) {
		t.Errorf("%s: %d bytes, refresh token of %d bytes, client %s, until %v", name, len(got.Token), len(got.RefreshToken), got.ClientID, got.Expires)
	}
	if text := fmt.Sprintf("%v %+v", got, *got); strings.Contains(text, string(got.Token)) {
		t.Errorf("%s: prints %s", name, text)
	}
}

func TestPassword(t *testing.T) {
	_, d := start(t)
	c := new(login.Client)
	got, err := c.Password(t.Context(), d, alice, password)
	check(t, "password", got, err, drs.BrokerClient)
	_, err = c.Password(t.Context(), d, alice, "x")
	var e *drs.Error
	if !errors.As(err, &e) || e.Op != "Password" || e.Code != "invalid_grant" || e.HTTPStatus != http.StatusBadRequest || !strings.Contains(e.Message, "AADSTS50126") {
		t.Errorf("wrong password: %v", err)
	}
}

func TestDeviceCode(t *testing.T) {
	server, d := start(t)
	c := new(login.Client)
	shown := 0
	got, err := c.DeviceCode(t.Context(), d, func(_ context.Context, code *login.Code) error {
		shown++
		if code.UserCode == "" || !strings.HasSuffix(code.URL, "/devicelogin") || !strings.Contains(code.Message, code.UserCode) || !code.Expires.After(time.Now()) {
			t.Errorf("code %+v", *code)
		}
		time.AfterFunc(1500*time.Millisecond, func() { server.EnterCode(code.UserCode, alice) }) // it is pending once
		return nil
	})
	check(t, "code", got, err, drs.BrokerClient)
	if shown != 1 || len(server.Refusals()) != 1 || !strings.Contains(server.Refusals()[0], "pending") {
		t.Errorf("shown %d, refused %q", shown, server.Refusals())
	}
	var e *drs.Error
	_, err = c.DeviceCode(t.Context(), d, func(_ context.Context, code *login.Code) error {
		server.EnterCode(code.UserCode, "")
		return nil
	})
	if !errors.As(err, &e) || e.Code != "authorization_declined" || e.Op != "DeviceCode" {
		t.Errorf("declined: %v", err)
	}
	failed := errors.New("no screen")
	if _, err := c.DeviceCode(t.Context(), d, func(context.Context, *login.Code) error { return failed }); !errors.Is(err, failed) || !errors.As(err, &e) {
		t.Errorf("not shown: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.DeviceCode(ctx, d, func(context.Context, *login.Code) error { cancel(); return nil }); !errors.Is(err, context.Canceled) || !errors.As(err, &e) || !strings.Contains(err.Error(), "nobody entered the code: ") {
		t.Errorf("canceled: %v", err)
	}
}

// The service may say that the code has ended, or the client's clock does.
func TestDeviceCodeExpires(t *testing.T) {
	_, d := start(t)
	began := time.Now()
	late := false
	c := &login.Client{Now: func() time.Time {
		if late {
			return began.Add(time.Hour)
		}
		return began
	}}
	var e *drs.Error
	if _, err := c.DeviceCode(t.Context(), d, func(context.Context, *login.Code) error { late = true; return nil }); !errors.As(err, &e) || e.Code != "expired_token" {
		t.Errorf("got %v", err)
	}
}

// A browser signs in at the page, and returns the code to the loopback interface.
func TestBrowser(t *testing.T) {
	server, d := start(t)
	c := &login.Client{ClientID: azureCLI, Hint: alice}
	got, err := c.Browser(t.Context(), d, func(ctx context.Context, at string) error {
		go browse(t, at, password)
		return nil
	})
	check(t, "browser", got, err, azureCLI)
	if r := server.Refusals(); len(r) != 0 {
		t.Errorf("refused %q", r)
	}
	// The client of Windows has no loopback redirect URI.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var e *drs.Error
	if _, err := new(login.Client).Browser(ctx, d, func(_ context.Context, at string) error { go browse(t, at, password); return nil }); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || e.Op != "Browser" || !strings.Contains(err.Error(), "nobody signed in: ") {
		t.Errorf("got %v", err)
	}
	if r := server.Refusals(); len(r) != 1 || !strings.Contains(r[0], "redirect URI") {
		t.Errorf("refused %q", r)
	}
}

// browse is a user with a browser.
func browse(t *testing.T, at, password string) {
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	req, err := http.NewRequest(http.MethodGet, at, nil)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Accept", "text/html")
	res, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	page, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusOK || !bytes.Contains(page, []byte(alice)) {
		return // a page with an error
	}
	res, err = client.PostForm(at, url.Values{"username": {alice}, "password": {password}})
	if err != nil {
		t.Error(err)
		return
	}
	text, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if !bytes.Contains(text, []byte("is done")) {
		t.Errorf("the last page says %s", text)
	}
}

// Only the answer of the sign-in itself counts.
func TestBrowserAnswers(t *testing.T) {
	_, d := start(t)
	get := func(t *testing.T, at string, q url.Values) {
		res, err := http.Get(at + "/?" + q.Encode())
		if err != nil {
			t.Error(err)
			return
		}
		res.Body.Close()
	}
	c := &login.Client{ClientID: azureCLI}
	_, err := c.Browser(t.Context(), d, func(_ context.Context, page string) error {
		u, err := url.Parse(page)
		if err != nil {
			return err
		}
		q := u.Query()
		back, state := q.Get("redirect_uri"), q.Get("state")
		if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(state) != 43 {
			t.Errorf("asked for %v", q)
		}
		get(t, back, url.Values{"code": {"x"}})
		get(t, back, url.Values{"code": {"x"}, "state": {"other"}})
		get(t, strings.Replace(back, "localhost", "127.0.0.1", 1), url.Values{"code": {"x"}, "state": {state}})
		get(t, back, url.Values{"state": {state}})
		get(t, back+"/x", url.Values{"code": {"x"}, "state": {state}})
		get(t, back, url.Values{"error": {"access_denied"}, "error_description": {"AADSTS65004: declined"}, "state": {state}})
		get(t, back, url.Values{"code": {"late"}, "state": {state}})
		return nil
	})
	var e *drs.Error
	if !errors.As(err, &e) || e.Code != "access_denied" || e.Message != "AADSTS65004: declined" {
		t.Errorf("got %v", err)
	}
}

// A code that another program has asked for is of no use: the verifier is checked.
func TestVerifier(t *testing.T) {
	server, d := start(t)
	c := &login.Client{ClientID: azureCLI, Hint: alice, HTTPClient: &http.Client{Transport: noVerifier{}}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := c.Browser(ctx, d, func(_ context.Context, at string) error { go browse(t, at, password); return nil })
	if err == nil || !strings.Contains(err.Error(), "AADSTS501481") {
		t.Errorf("%v, %q", err, server.Refusals())
	}
}

type noVerifier struct{}

func (noVerifier) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	req.PostForm.Set("code_verifier", "other")
	own, err := http.NewRequestWithContext(req.Context(), req.Method, req.URL.String(), strings.NewReader(req.PostForm.Encode()))
	if err != nil {
		return nil, err
	}
	own.Header = req.Header
	return http.DefaultTransport.RoundTrip(own)
}

// Nil arguments, endpoints of other forms and answers that cannot be read are errors.
func TestRefused(t *testing.T) {
	c := new(login.Client)
	calls := func(d *drs.Discovery) []error {
		_, a := c.Password(t.Context(), d, alice, password)
		_, b := c.DeviceCode(t.Context(), d, func(context.Context, *login.Code) error { return nil })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, e := c.Browser(ctx, d, func(context.Context, string) error { cancel(); return nil })
		return []error{a, b, e}
	}
	for _, at := range []string{"", "https://x.test/token", "http://x.test/oauth2/token", "ftp://x.test/oauth2/token"} {
		for i, err := range calls(&drs.Discovery{TokenEndpoint: at}) {
			if !errors.Is(err, drs.ErrEndpoint) {
				t.Errorf("%q, %d: %v", at, i, err)
			}
		}
	}
	for _, err := range calls(nil) {
		if !errors.Is(err, drs.ErrEndpoint) {
			t.Errorf("no services: %v", err)
		}
	}
	_, d := start(t)
	if _, err := c.DeviceCode(t.Context(), d, nil); err == nil {
		t.Error("no function: no error")
	}
	if _, err := c.Browser(t.Context(), d, nil); err == nil {
		t.Error("no function: no error")
	}
	for _, body := range []string{"", "{}", "x", `{"token_type":"Bearer","access_token":"","expires_in":"1"}`, `{"token_type":"Bearer","access_token":"x","expires_in":"x"}`} {
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }))
		for i, err := range calls(&drs.Discovery{TokenEndpoint: ts.URL + "/t/oauth2/token"})[:2] {
			if !errors.Is(err, drs.ErrMalformed) {
				t.Errorf("%s, %d: %v", body, i, err)
			}
		}
		ts.Close()
	}
}
