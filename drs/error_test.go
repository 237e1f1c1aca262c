package drs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/hresult"
)

// answering returns a client of a service that gives every request the same answer.
func answering(t testing.TB, status int, body string, header ...string) *drs.Client {
	t.Helper()
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(ts.Close)
	return &drs.Client{BaseURL: ts.URL, Now: func() time.Time { return clock }}
}

func discoverError(t *testing.T, c *drs.Client) *drs.Error {
	t.Helper()
	_, err := c.Discover(t.Context(), "contoso.test")
	var e *drs.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	return e
}

func TestErrorForms(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       drs.Error
	}{
		{
			"legacy, of MS-DVRJ",
			`{"ErrorType":"AuthenticationError","Message":"Enrollment type DomainJoin is not allowed","TraceId":"5a895a81-a4d6-41e9-8721-32a183c28d1a","Time":"02-24-2016 17:37:01Z"}`,
			drs.Error{Code: "AuthenticationError", Message: "Enrollment type DomainJoin is not allowed", RequestID: "5a895a81-a4d6-41e9-8721-32a183c28d1a"},
		},
		{
			"modern",
			`{"code":"invalid_request","subcode":"error_missing_device","message":"gone","operation":"DeviceRenew","requestid":"r1","time":"2023-04-04T06:10:25.3372369Z"}`,
			drs.Error{Code: "invalid_request", Subcode: "error_missing_device", ServerOperation: "DeviceRenew", Message: "gone", RequestID: "r1"},
		},
		{
			"key provisioning",
			`{"code":"internal_error","message":"no","response":"ERROR_FAIL","target":"x","clientrequestid":"r2","time":"t","innererror":{"trace":"x","context":"y"}}`,
			drs.Error{Code: "internal_error", Subcode: "ERROR_FAIL", Message: "no", RequestID: "r2"},
		},
		{"key provisioning, wrapped", `{"error":{"message":"no"}}`, drs.Error{Message: "no"}},
		{
			"OAuth",
			`{"error":"invalid_grant","error_description":"AADSTS50155: no","error_codes":[50155],"suberror":"tpm_ek_unknown","trace_id":"r3","correlation_id":"c"}`,
			drs.Error{Code: "invalid_grant", Subcode: "tpm_ek_unknown", Message: "AADSTS50155: no", RequestID: "r3"},
		},
		{"other types", `{"code":7,"message":["x"],"subcode":"ok"}`, drs.Error{Subcode: "ok"}},
		{"with a mark", "\xEF\xBB\xBF" + `{"code":"x"}`, drs.Error{Code: "x"}},
		{"HTML", "<html>no</html>", drs.Error{Message: "no"}},
		{"nothing", "", drs.Error{}},
	} {
		got := discoverError(t, answering(t, 400, c.body))
		if got.Code != c.want.Code || got.Subcode != c.want.Subcode || got.ServerOperation != c.want.ServerOperation || got.Message != c.want.Message || got.RequestID != c.want.RequestID {
			t.Errorf("%s: got %+v", c.name, *got)
		}
		if got.HTTPStatus != 400 || got.Op != "Discover" || strings.Contains(got.URL, "?") {
			t.Errorf("%s: %+v", c.name, *got)
		}
	}
}

func TestErrorRemedy(t *testing.T) {
	for _, c := range []struct {
		status     int
		body, want string
	}{
		{200, "\xde\xad", "in the service's place"},
		{400, "", "changes requests"},
		{404, "", "no such service"},
		{400, `{"error":"invalid_grant","error_description":"AADSTS50126: no"}`, "password"},
		{400, `{"error":"invalid_grant","error_description":"AADSTS1: no"}`, "clock"},
		{400, `{"error":"invalid_grant","suberror":"device_disabled"}`, "Enable the device"},
		{400, `{"code":"AuthorizationError","subcode":"MsaTicketTpmValidationFailed"}`, "clock"},
		{503, "", "run again later"},
		{401, "", "a proxy may have sent it"},
	} {
		if got := discoverError(t, answering(t, c.status, c.body)).Remedy(); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%d %s: %q", c.status, c.body, got)
		}
	}
}

func TestErrorRetryAfter(t *testing.T) {
	e := discoverError(t, answering(t, 429, "", "Retry-After", "300", "request-id", "r9"))
	if e.RetryAfter != 5*time.Minute || !e.Retryable() || e.RequestID != "r9" || e.Remedy() == "" {
		t.Errorf("got %+v", *e)
	}
}

func TestErrorLongMessage(t *testing.T) {
	e := discoverError(t, answering(t, 400, `{"message":"`+strings.Repeat("é", 5000)+`"}`))
	if len(e.Message) > 2048 || !strings.HasSuffix(e.Message, "é") {
		t.Errorf("%d bytes", len(e.Message))
	}
}

// Texts have up to 2048 bytes; an identifier of a request that is longer, or empty, is
// left for the next one.
func TestErrorSizes(t *testing.T) {
	for size, want := range map[int]int{2048: 2048, 2049: 2048} {
		if e := discoverError(t, answering(t, 400, `{"message":"`+strings.Repeat("m", size)+`"}`)); len(e.Message) != want {
			t.Errorf("a message of %d bytes: %d", size, len(e.Message))
		}
	}
	for _, c := range []struct{ first, want string }{
		{strings.Repeat("i", 2048), strings.Repeat("i", 2048)}, {strings.Repeat("i", 2049), "second"}, {"", "second"},
	} {
		e := discoverError(t, answering(t, 400, "", "request-id", c.first, "x-ms-request-id", "second"))
		if e.RequestID != c.want {
			t.Errorf("%d bytes: %.20q", len(c.first), e.RequestID)
		}
	}
}

type coded struct{ error }

func (coded) HRESULT() uint32 { return 0x80280921 }
func (coded) Retryable() bool { return true }
func (coded) Remedy() string  { return "Wait." }

func TestErrorCodes(t *testing.T) {
	for _, c := range []struct {
		e    drs.Error
		code uint32
		pass bool
	}{
		{drs.Error{Op: "Join", HTTPStatus: 403, Code: "AuthorizationError", Subcode: "MsaTicketTpmValidationFailed"}, 0x801C0003, false},
		{drs.Error{Op: "Join", HTTPStatus: 403, Code: "AuthorizationError", Subcode: "AikValidationFailed"}, 0x801C0010, false},
		{drs.Error{Op: "Join", HTTPStatus: 403, Code: "AuthorizationError", Subcode: "AttestationFailed"}, 0x801C0011, false},
		{drs.Error{Op: "Join", HTTPStatus: 400, Code: "invalid_request", Subcode: "error_missing_device"}, 0x801C03F3, false},
		{drs.Error{Op: "Join", HTTPStatus: 400, Code: "invalid_request", Subcode: "error_fail"}, 0x801C0001, false},
		{drs.Error{Op: "Join", HTTPStatus: 401}, 0x801C0002, false},
		{drs.Error{Op: "Join", HTTPStatus: 403}, 0x801C0003, false},
		{drs.Error{Op: "Join", HTTPStatus: 500}, 0x801C0006, true},
		{drs.Error{Op: "Join", HTTPStatus: 503}, 0x801C0025, true},
		{drs.Error{Op: "Join", HTTPStatus: 404}, 0x80190194, false},
		{drs.Error{Op: "Join", HTTPStatus: 200, Err: fmt.Errorf("x: %w", drs.ErrCertificate)}, 0x801C03E9, false},
		{drs.Error{Op: "Discover", HTTPStatus: 200, Err: drs.ErrMalformed}, 0x801C0012, false},
		{drs.Error{Op: "Discover", Err: drs.ErrEndpoint}, 0x801C000B, false},
		{drs.Error{Op: "Discover", HTTPStatus: 400, Code: "invalid_request", Subcode: "error_tenant_not_found"}, 0x801C003A, false},
		{drs.Error{Op: "Authenticate", HTTPStatus: 400, Code: "invalid_grant", Subcode: "tpm_ek_unknown"}, 0x801C03EA, false},
		{drs.Error{Op: "Authenticate", HTTPStatus: 400, Code: "invalid_grant", Subcode: "ztd_object_missing"}, 0x801C03F3, false},
		{drs.Error{Op: "Authenticate", HTTPStatus: 400, Code: "invalid_grant", Subcode: "tpm_challenge_expired"}, 0x801C03EA, true},
		{drs.Error{Op: "Authenticate", HTTPStatus: 400, Code: "temporarily_unavailable"}, 0x80190190, true},
		{drs.Error{Op: "Authenticate", Err: drs.ErrNoChallenge}, 0x801C03EA, false},
		{drs.Error{Op: "Authenticate", Err: coded{errors.New("locked out")}}, 0x80280921, true},
		{drs.Error{Op: "Join", Err: context.DeadlineExceeded}, 0x80072EE2, false},
	} {
		if got := c.e.HRESULT(); got != c.code || c.e.Retryable() != c.pass {
			t.Errorf("%v: %#x, %t", &c.e, got, c.e.Retryable())
		}
	}
}

func TestErrorText(t *testing.T) {
	e := &drs.Error{Op: "Join", URL: "https://h/x", HTTPStatus: 403, Code: "AuthorizationError", Subcode: "AttestationFailed", Message: "check 7"}
	if got, want := e.Error(), `drs: join: https://h/x: 403: AuthorizationError: AttestationFailed: "check 7"`; got != want {
		t.Errorf("got %s", got)
	}
}

func FuzzError(f *testing.F) {
	for _, s := range []string{`{"code":"a","subcode":"b","message":"c"}`, `{"error":{"message":"x"}}`, `{"error":"invalid_grant"}`, `{"ErrorType":null}`, `[]`, `{`} {
		f.Add([]byte(s))
	}
	rt := new(fixed)
	c := &drs.Client{HTTPClient: &http.Client{Transport: rt}}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := rt.with(400, b).discover(c)
		var e *drs.Error
		if !errors.As(err, &e) || e.HTTPStatus != 400 || len(e.Code)+len(e.Message) > 2*2048 {
			t.Errorf("got %v", err)
		}
		_, _, _ = e.Error(), e.Remedy(), e.HRESULT()
	})
}

// What a server says cannot steer a terminal.
func TestErrorPrintable(t *testing.T) {
	const escape = `\u001b[2J\u009b31m\u202e\u0007\r\n`
	for _, body := range []string{
		`{"code":"a` + escape + `","subcode":"b` + escape + `","operation":"c` + escape + `","message":"d` + escape + `","requestId":"e` + escape + `"}`,
		`{"error":"a` + escape + `","suberror":"b` + escape + `","error_description":"d` + escape + `","trace_id":"e` + escape + `"}`,
		`{"error":{"code":"a` + escape + `","subcode":"b` + escape + `","message":"d` + escape + `"}}`,
	} {
		e := discoverError(t, answering(t, 400, body))
		for _, s := range []string{e.Code, e.Subcode, e.ServerOperation, e.Message, e.RequestID, e.Error()} {
			if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", s)
			}
		}
		if e.Code == "" || e.Subcode == "" || e.Message == "" {
			t.Errorf("%+v", e)
		}
	}
	if e := discoverError(t, answering(t, 400, `{}`, "request-id", "e\u009b2J")); e.RequestID != "e\uFFFD2J" {
		t.Errorf("%q", e.RequestID)
	}
}

// Each known code has a remedy, which is that of its row in the table of codes. A number
// of the token service says more than the code beside it, and less than a subcode.
func TestRemedies(t *testing.T) {
	for _, code := range drs.Causes() {
		if row := hresult.Text(code); row == nil || (&drs.Error{Code: code}).Remedy() != row.Remedy || (&drs.Error{Subcode: code}).Remedy() != row.Remedy {
			t.Errorf("%s: %+v", code, row)
		}
	}
	if got := (&drs.Error{HTTPStatus: 400, Subcode: "error_fail"}).Remedy(); !strings.Contains(got, "changes requests") {
		t.Errorf("a subcode that says nothing: %s", got)
	}
	password := &drs.Error{Code: "invalid_grant", Message: "AADSTS50126: Error validating credentials."}
	if got := password.Remedy(); got != "Check the user name and the password." {
		t.Errorf("a wrong password: %s", got)
	}
	password.Subcode = "session_revoked"
	if got := password.Remedy(); !strings.HasPrefix(got, "Sign in again. The device was joined again") {
		t.Errorf("with a subcode: %s", got)
	}
}

// What the service says of a time, an audience or a ticket decides about the remedy,
// whatever code comes with it.
func TestRemedyOfMessage(t *testing.T) {
	for _, c := range []struct{ op, code, subcode, message, want string }{
		{"Join", "AuthorizationError", "MsaTicketTpmValidationFailed", "token: token has invalid claims: token is expired", "Compare the device's clock"},
		{"Join", "AuthorizationError", "MsaTicketTpmValidationFailed", "token is not valid yet", "Compare the device's clock"},
		{"Join", "AuthorizationError", "MsaTicketTpmValidationFailed", "token: token is malformed", "is not one that the directory can read"},
		{"Join", "AuthorizationError", "MsaTicketTpmValidationFailed", "", "Update the TPM's firmware"},
		{"Join", "", "", "", "No message of the directory came with this status"},
		{"Authenticate", "", "", "", "The service does not accept the device's proof."},
		{"Authenticate", "AuthorizationError", "tpm_aik_untrusted", "certificate has expired or is not yet valid", "Compare the device's clock"},
		{"Authenticate", "invalid_grant", "tpm_challenge_expired", "the challenge has expired", "again"},
		{"SignIn", "invalid_grant", "", "AADSTS50013: assertion: token has invalid audience", "for another service"},
		{"SignIn", "invalid_grant", "", "AADSTS50013: assertion: token is expired", "Compare the device's clock"},
		{"SignIn", "invalid_grant", "", "AADSTS70008: the refresh token has expired", "sign in again"},
		{"SignIn", "invalid_grant", "device_authentication_failed", "AADSTS50155: device certificate is not valid now", "Compare the device's clock"},
	} {
		e := &drs.Error{Op: c.op, HTTPStatus: 401, Code: c.code, Subcode: c.subcode, Message: c.message}
		if got := e.Remedy(); !strings.Contains(got, c.want) {
			t.Errorf("%+v: %s", c, got)
		}
	}
	for name, c := range map[string]struct {
		e    drs.Error
		want string
	}{
		"nothing":                       {drs.Error{}, "No message of the directory"},
		"code":                          {drs.Error{Code: "x"}, "does not let the device in"},
		"subcode":                       {drs.Error{Subcode: "x"}, "does not let the device in"},
		"message":                       {drs.Error{Message: "x"}, "does not let the device in"},
		"a cause that knows what helps": {drs.Error{Err: advised("Do that.")}, "Do that."},
		"a cause that does not know":    {drs.Error{Err: fmt.Errorf("%w: %w", advised(""), drs.ErrGone)}, "has left the tenant already"},
	} {
		c.e.Op, c.e.HTTPStatus = "Join", 403
		if got := c.e.Remedy(); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for code, want := range map[string]string{"invalid_grant": "OAuth invalid_grant/x", "AuthorizationError": "DRS AuthorizationError/x"} {
		if got := (&drs.Error{Code: code, Subcode: "x"}).Protocol(); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// An advised is an error that knows what helps, or not.
type advised string

func (advised) Error() string    { return "advised" }
func (a advised) Remedy() string { return string(a) }
