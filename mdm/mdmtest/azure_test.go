package mdmtest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// wrapped returns a message as the service reads it.
func wrapped(t testing.TB, inner string) string {
	t.Helper()
	text, err := json.Marshal(map[string]string{"data": base64.RawURLEncoding.EncodeToString([]byte(inner))})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func jws(header, payload string) string {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return `{"request":"` + encode(header) + "." + encode(payload) + "." + encode("signature") + `"}`
}

// attestTo posts a message to a service and returns the status and the answer.
func attestTo(t testing.TB, a *mdmtest.AttestationServer, method, path, body string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return rec.Code, rec.Body.String()
}

// What is no request is refused, with a reason that a client can show.
func TestAttestationServerRefuses(t *testing.T) {
	const path, head = mdmtest.AttestationPath + "?api-version=2022-08-01", `{"alg":"PS256","typ":"attReq"}`
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{http.MethodPost, path, wrapped(t, `{"type":"aikcert"}`), 200, "data"},
		{http.MethodPost, strings.ToUpper(mdmtest.AttestationPath) + "?api-version=1", wrapped(t, `{"type":"aikcert"}`), 200, "data"},
		{http.MethodGet, path, "", 405, "method"},
		{http.MethodPost, "/x?api-version=1", "", 404, "no service"},
		{http.MethodPost, mdmtest.AttestationPath, "", 400, "api-version"},
		{http.MethodPost, path, strings.Repeat("x", 200_000), 413, "large"},
		{http.MethodPost, path, "x", 400, "not JSON"},
		{http.MethodPost, path, `{"data":"*"}`, 400, "base64"},
		{http.MethodPost, path, wrapped(t, "x"), 400, "not JSON"},
		{http.MethodPost, path, wrapped(t, `{"type":"x"}`), 400, "not a JWS"},
		{http.MethodPost, path, wrapped(t, `{"request":"a.b"}`), 400, "not a JWS"},
		{http.MethodPost, path, wrapped(t, jws(`{"alg":"none","typ":"attReq"}`, "{}")), 400, "algorithm"},
		{http.MethodPost, path, wrapped(t, jws(head, "x")), 400, "not JSON"},
		{http.MethodPost, path, wrapped(t, jws(head, `{"att_type":"vbs"}`)), 400, "att_type"},
		{http.MethodPost, path, wrapped(t, jws(head, `{"att_type":"tpm"}`)), 400, "not RSA"},
		{http.MethodPost, path, wrapped(t, jws(head, `{"att_type":"tpm","att_data":{"request_key":{"jwk":{"kty":"RSA","e":"AQAB","n":"`+strings.Repeat("A", 342)+`"}}}}`)), 400, "not signed"},
	} {
		a := new(mdmtest.AttestationServer)
		if status, answer := attestTo(t, a, c.method, c.path, c.body); status != c.status || !strings.Contains(answer, c.want) || (len(a.Refusals()) == 0) != (status == 200) {
			t.Errorf("%s %s %.60s: %d %s, %q", c.method, c.path, c.body, status, answer, a.Refusals())
		}
	}
}

// No message stops the service.
func FuzzAttestationServer(f *testing.F) {
	f.Add(`{"type":"aikcert"}`, false)
	f.Add(jws(`{"alg":"PS256","typ":"attReq"}`, `{"att_type":"tpm","att_data":{"challenge":"AAAA","request_key":{"jwk":{"kty":"RSA","n":"AAAA","e":"AQAB"}}}}`), false)
	f.Add(`{"data":"e30"}`, true)
	a := new(mdmtest.AttestationServer)
	f.Fuzz(func(t *testing.T, body string, bare bool) {
		if !bare {
			body = wrapped(t, body)
		}
		if status, _ := attestTo(t, a, http.MethodPost, mdmtest.AttestationPath+"?api-version=1", body); status >= 500 {
			t.Errorf("status %d", status)
		}
	})
}
