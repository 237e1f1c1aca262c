package trace_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/trace"
)

// spy keeps every token and nonce that crosses HTTP.
type spy struct {
	http.RoundTripper
	mu     sync.Mutex
	secret []string
}

var secretMember = regexp.MustCompile(`"(?i:access_token|Nonce|ServerNonce|CredentialBlob|EncryptedSecret)":\s*"([^"]+)"`)

func (s *spy) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := ""
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		sent, req.Body = string(body), io.NopCloser(bytes.NewReader(body))
	}
	res, err := s.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range secretMember.FindAllSubmatch(body, -1) {
		s.secret = append(s.secret, string(m[1]))
	}
	if form, err := url.ParseQuery(sent); err == nil {
		s.secret = append(s.secret, form.Get("assertion"), form.Get("request"))
	}
	return res, nil
}

// steps are the steps that a run takes by default.
var steps = []provision.Step{
	provision.StepEK, provision.StepAIK, provision.StepDiscover, provision.StepToken, provision.StepKeys, provision.StepJoin, provision.StepEnroll,
}

// traced runs all steps with a trace and returns what it wrote.
func traced(t *testing.T, admit bool) (md, har, html string, secrets []string, err error) {
	t.Helper()
	s := provisiontest.NewServer()
	t.Cleanup(func() { s.Close() })
	d, err := provisiontest.NewDevice(attesttest.Config{Fresh: true}) // its first command asks for a key that is not there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if admit {
		if err := s.Admit(t.Context(), d.TPM); err != nil {
			t.Fatal(err)
		}
	}
	var trace trace.Trace
	d.TPM.Transport = trace.TPM(d.Chip)
	p := s.Provisioner(d)
	inner := &spy{RoundTripper: s.Client().Transport}
	p.HTTPClient = trace.HTTP(&http.Client{Transport: inner})
	p.Observe = trace.Observe
	_, err = p.Run(t.Context())
	var b [3]bytes.Buffer
	for i, write := range []func(io.Writer) error{trace.WriteMarkdown, trace.WriteHAR, trace.WriteHTML} {
		if err := write(&b[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b[0].String(), b[1].String(), b[2].String(), inner.secret, err
}

func TestTrace(t *testing.T) {
	md, har, html, secrets, err := traced(t, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if !strings.Contains(md, "\n## "+string(step)+": done after ") || !strings.Contains(html, `<span class="name">`+string(step)+" ") {
			t.Errorf("no step %s", step)
		}
	}
	for _, want := range []string{"TPM2_ActivateCredential", "operation=GetCACaps", "IdentityKeyAttestation", "/tpmchallenge/", "/Enrollment.svc", "not there"} {
		if !strings.Contains(md, want) || !strings.Contains(html, want) {
			t.Errorf("no %s", want)
		}
	}
	if len(secrets) < 8 {
		t.Fatalf("the spy saw %d secrets only", len(secrets))
	}
	for _, secret := range secrets {
		if len(secret) < 16 {
			continue
		}
		raw, _ := base64.StdEncoding.DecodeString(secret)
		for name, text := range map[string]string{"Markdown": md, "HAR": har, "HTML": html} {
			if strings.Contains(text, secret) || len(raw) > 0 && strings.Contains(text, string(raw)) {
				t.Errorf("%s holds the secret %.16s…", name, secret)
			}
		}
	}
	if strings.Contains(html, "src=") || strings.Contains(html, "href=") || strings.Contains(html, "@import") {
		t.Error("the page loads something")
	}
	checkHAR(t, har)
}

// checkHAR checks what readers of HAR 1.2 rely on.
func checkHAR(t *testing.T, text string) {
	t.Helper()
	var har struct {
		Log struct {
			Version string
			Creator struct{ Name, Version string }
			Pages   []struct{ ID, Title, StartedDateTime string }
			Entries []struct {
				Pageref, StartedDateTime string
				Time                     *float64
				Request                  struct {
					Method, URL, HTTPVersion      string
					Cookies, Headers, QueryString []any
				}
				Response struct {
					Status           *int
					Cookies, Headers []any
					Content          struct{ Size *int }
				}
				Cache, Timings map[string]any
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &har); err != nil {
		t.Fatal(err)
	}
	pages := map[string]bool{"": true}
	for _, p := range har.Log.Pages {
		pages[p.ID] = true
	}
	if har.Log.Version != "1.2" || len(pages) != len(steps)+1 || len(har.Log.Entries) < 12 {
		t.Fatalf("version %s, %d pages, %d entries", har.Log.Version, len(har.Log.Pages), len(har.Log.Entries))
	}
	for i, e := range har.Log.Entries {
		if !pages[e.Pageref] || e.Time == nil || e.Request.Method == "" || e.Request.Cookies == nil || e.Request.Headers == nil ||
			e.Request.QueryString == nil || e.Response.Status == nil || e.Response.Headers == nil || e.Response.Content.Size == nil || e.Cache == nil || len(e.Timings) < 3 {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
}

// After a failing run the trace says where and why.
func TestTraceOfFailure(t *testing.T) {
	md, _, html, _, err := traced(t, false) // nobody is imported
	if err == nil {
		t.Fatal("enrolled all the same")
	}
	for name, text := range map[string]string{"Markdown": md, "HTML": html} {
		if !strings.Contains(text, "no device with this endorsement key") || !strings.Contains(text, "token: failed") && name == "Markdown" ||
			!strings.Contains(text, "Check that the device is registered") || strings.Contains(text, `class="name">join`) {
			t.Errorf("%s does not tell:\n%.2000s", name, text)
		}
	}
}
