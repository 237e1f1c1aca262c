package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
)

// authorizer returns an authorization at a server.
func authorizer(t *testing.T, h http.HandlerFunc) (*authorization, *strings.Builder) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	said := new(strings.Builder)
	return &authorization{client: s.Client(), authority: s.URL, clientID: "app", secret: "hush", stderr: said, now: time.Now}, said
}

// The device-code flow keeps to RFC 8628 whatever a server answers: it asks no more
// often than every second, every five without an interval, and ends with the code.
func TestDeviceCodeAnswers(t *testing.T) {
	const good = `"device_code":"dc","user_code":"AB","verification_uri":"https://sign.in"`
	for name, tt := range map[string]struct {
		code, token string
		status      int // of the token's answer
		most        int32
		words       string
	}{
		"no interval":   {`{` + good + `,"expires_in":900}`, `{"error":"authorization_pending"}`, 400, 1, context.DeadlineExceeded.Error()},
		"interval 0":    {`{` + good + `,"interval":0,"expires_in":900}`, `{"error":"authorization_pending"}`, 400, 2, context.DeadlineExceeded.Error()},
		"negative":      {`{` + good + `,"interval":-5,"expires_in":900}`, `{"error":"authorization_pending"}`, 400, 2, context.DeadlineExceeded.Error()},
		"centuries":     {`{` + good + `,"interval":9223372036854775807,"expires_in":1}`, `{"error":"authorization_pending"}`, 400, 1, "expired"},
		"expires":       {`{` + good + `,"interval":1,"expires_in":1}`, `{"error":"authorization_pending"}`, 400, 2, "expired"},
		"no user code":  {`{"device_code":"dc","verification_uri":"https://sign.in","interval":1}`, ``, 400, 0, "no user_code"},
		"no address":    {`{"device_code":"dc","user_code":"AB","interval":1}`, ``, 400, 0, "verification_uri"},
		"no code":       {`{"access_token":"x"}`, ``, 400, 0, "device_code"},
		"HTML":          {`<html>`, ``, 400, 0, "token endpoint"},
		"another token": {`{` + good + `,"interval":1,"expires_in":900}`, `{"device_code":"dc"}`, 200, 1, "no access_token"},
		"denied":        {`{` + good + `,"interval":1,"expires_in":900}`, `{"error":"authorization_declined","error_description":"no\u001b[2J"}`, 400, 1, "authorization_declined"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			a, said := authorizer(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/devicecode") {
					_, _ = io.WriteString(w, tt.code)
					return
				}
				asked.Add(1)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.token)
			})
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			defer cancel()
			token, err := a.byDeviceCode(ctx)
			if err == nil || !strings.Contains(err.Error(), tt.words) || asked.Load() > tt.most || strings.Contains(err.Error()+said.String(), "\x1b") {
				t.Errorf("%v, %v; asked %d times: %q", token, err, asked.Load(), said)
			}
		})
	}
}

// While a person signs in, the network may fail for a moment.
func TestDeviceCodeThroughFailures(t *testing.T) {
	left := int32(1)
	a, said := authorizer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/devicecode"):
			_, _ = io.WriteString(w, `{"device_code":"dc","user_code":"A\u001b[31mB","verification_uri":"https://sign.in\u0007","interval":1,"expires_in":900}`)
		case atomic.AddInt32(&left, -1) >= 0:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		default:
			_, _ = io.WriteString(w, `{"access_token":"good","expires_in":3600}`)
		}
	})
	if token, err := a.byDeviceCode(t.Context()); err != nil || token.Token != "good" || strings.ContainsAny(said.String(), "\x1b\x07") {
		t.Errorf("%+v, %v: %q", token, err, said)
	}
}

// A secret goes to no other host, and over no plain http.
func TestSecretStays(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		t.Errorf("the other host got %v", r.PostForm)
	}))
	defer other.Close()
	a, _ := authorizer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	if token, err := a.bySecret(t.Context()); err == nil || !strings.Contains(err.Error(), "307") {
		t.Errorf("%v, %v", token, err)
	}
	a.authority = "http://login.example/contoso/oauth2/v2.0"
	a.client = &http.Client{Transport: refuseAll{}}
	if token, err := a.bySecret(t.Context()); err == nil || errors.Is(err, errAsked) {
		t.Errorf("%v, %v", token, err)
	}
}

var errAsked = errors.New("a request was sent")

type refuseAll struct{}

// RoundTrip implements http.RoundTripper.
func (refuseAll) RoundTrip(*http.Request) (*http.Response, error) { return nil, errAsked }

// A token that does not say how long it is good is kept for some minutes, so that no
// person has to sign in for each request.
func TestTokenKept(t *testing.T) {
	for _, seconds := range []int{0, 30, 61, 9223372036854775807} {
		a := &authorization{now: time.Now}
		asked := 0
		get := a.cached(func(context.Context) (*tokenAnswer, error) {
			asked++
			return &tokenAnswer{Token: "x", ExpiresIn: seconds}, nil
		})
		for range 3 {
			if token, err := get(t.Context()); err != nil || token != "x" {
				t.Errorf("%q, %v", token, err)
			}
		}
		if asked != 1 {
			t.Errorf("%d seconds: asked %d times", seconds, asked)
		}
	}
}

// utf16File is a text as "program > FILE" of PowerShell 5.1 writes it.
func utf16File(text string) []byte {
	b := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// Files that people have.
func TestHashFiles(t *testing.T) {
	const header = "Device Serial Number,Windows Product ID,Hardware Hash\r\n"
	one, two := autopilottest.Device{Serial: "S1"}.Text(), autopilottest.Device{Serial: "S2"}.Text()
	for name, tt := range map[string]struct {
		file  []byte
		code  int
		words string
	}{
		"PowerShell":    {utf16File(one + "\r\n"), 0, "serial number     S1"},
		"its CSV":       {utf16File(header + "S1,," + one + "\r\n"), 0, "serial number     S1"},
		"lines":         {[]byte(one[:2000] + "\r\n" + one[2000:] + "\r\n"), 0, "serial number     S1"},
		"two devices":   {[]byte(header + "S1,," + one + "\r\nS2,," + two + "\r\n"), 2, "has 2 devices"},
		"header only":   {[]byte(header), 2, "has 0 devices"},
		"no header":     {[]byte("S1,," + one + "\r\n"), 0, "serial number     S1"},
		"cut off":       {[]byte(one[:400]), 2, "the header counts"},
		"something":     {[]byte("hello"), 2, "neither"},
		"no hash":       {[]byte(header + "S1,,\r\n"), 2, "no hardware hash"},
		"encoded twice": {[]byte(strings.Repeat("VDBF", 40)), 2, "twice"},
	} {
		if code, out, errs := try(t, "hash", exampletest.File(t, tt.file)); code != tt.code || !strings.Contains(out+errs, tt.words) {
			t.Errorf("%s: %d: %.300s%s", name, code, out, errs)
		}
	}
}

// What would be done at a mock service, though the flags are for a real one, is not
// done, and nor is what the flags misspell.
func TestWrongUsage(t *testing.T) {
	file := mockFile(t)
	for _, args := range [][]string{
		{"-token", "x", "import", file},
		{"-client-id", "x", "import", file},
		{"-client-secret", "x", "import", file},
		{"-until", "soon", "import", file},
		{"-until", "importing", "import", file},
		{"-pause", "-1s", "import", file},
		{"-format", "intune", "csv", "convert", file},
		{"csv", "lint merge", file},
		{"-graph", "nonsense", "-token", "x", "import", file},
		{"-graph", "http://graph.example", "-token", "x", "import", file},
	} {
		if code, out, errs := try(t, args...); code != 2 || out != "" {
			t.Errorf("%q: %d: %s%s", args, code, out, errs)
		}
	}
	// Without a service the mock one is named.
	if code, _, errs := try(t, "-pause", "10ms", "import", file); code != 0 || !strings.Contains(errs, "mock service") {
		t.Errorf("%d: %s", code, errs)
	}
	spoiled := exampletest.File(t, []byte("Device Serial Number,Windows Product ID,Hardware Hash\r\n5.12E+12,,"+autopilottest.Device{Serial: "5120000000001"}.Text()+"\r\n"))
	if code, _, errs := try(t, "-until", "imported", "import", spoiled); code != 1 || !strings.Contains(errs, "line 2: spreadsheet (refused)") || !strings.Contains(errs, "took what the real one refuses") {
		t.Errorf("what a spreadsheet changed: %s", errs)
	}
	empty := exampletest.File(t, []byte("Device Serial Number,Windows Product ID,Hardware Hash\r\n"))
	if code, out, errs := try(t, "import", empty); code != 2 || !strings.Contains(errs, "no device") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// 501 devices are two requests, and one that another tenant owns fails alone.
func TestImportMany(t *testing.T) {
	s := &autopilottest.Server{PageSize: 200}
	foreign := autopilottest.Device{Serial: "N7", EK: testKey()}
	s.Elsewhere(foreign.Hash())
	h := httptest.NewServer(s)
	defer h.Close()
	var file strings.Builder
	file.WriteString("Device Serial Number,Windows Product ID,Hardware Hash\r\n")
	for i := range 501 {
		d := autopilottest.Device{Serial: fmt.Sprint("N", i)}
		if i == 7 {
			d = foreign
		}
		fmt.Fprintf(&file, "%s,,%s\r\n", d.Serial, d.Text())
	}
	code, out, errs := try(t, "-graph", h.URL, "-token", "x", "-until", "imported", "-pause", "50ms", "-json", "import", exampletest.File(t, []byte(file.String())))
	if code != 1 || !strings.Contains(errs, "1 of 501 devices failed") || !strings.Contains(errs, "ZTD 808/") || len(s.Devices()) != 500 {
		t.Errorf("%d: %d devices: %s", code, len(s.Devices()), errs)
	}
	if n := strings.Count(out, `"stage":"failed"`); n != 2 { // the event and the result
		t.Errorf("%d failures", n)
	}
}
