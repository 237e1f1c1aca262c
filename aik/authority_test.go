package aik_test

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/scep"
)

// TestCandidates asks two authorities and looks at what is left of each answer.
func TestCandidates(t *testing.T) {
	d := newDevice(t, isRSA, rsaAIK)
	first := *d.EKChain[0]
	first.AuthorityKeyId = []byte{1}
	second := *d.EKChain[1]
	second.AuthorityKeyId = []byte{2}
	d.EKChain = append(d.EKChain[:0:0], &first, &second)
	type answer struct {
		status int
		body   string
	}
	none := func(n string) answer { return answer{404, `{"Message":"The authority ` + n + ` does not exist"}`} }
	ok := answer{200, "POSTPKIOperation\nAES\nSHA-256\nIdentityKeyAttestation\nGetCACertChain\n"}
	for _, tt := range []struct {
		name      string
		answers   map[string]answer // by key identifier and operation
		asked     []string
		want      []string // in the error, in this order
		terminal  bool     // wraps ErrNoAuthority
		retryable bool
		status    int // that decides
	}{
		{
			"none",
			map[string]answer{"01 GetCACaps": none("A"), "02 GetCACaps": none("B")},
			[]string{"01 GetCACaps", "02 GetCACaps"},
			[]string{"KeyId-01", "404", "The authority A does not", "KeyId-02", "404", "The authority B does not"},
			true, false, 404,
		},
		{
			"the second is busy",
			map[string]answer{"01 GetCACaps": none("A"), "02 GetCACaps": {503, `{"Message":"come back"}`}},
			[]string{"01 GetCACaps", "02 GetCACaps"},
			[]string{"KeyId-01", "404", "The authority A does not", "KeyId-02", "503", "come back"},
			false, true, 503,
		},
		{
			"the first is busy",
			map[string]answer{"01 GetCACaps": {503, `{"Message":"come back"}`}},
			[]string{"01 GetCACaps"},
			[]string{"KeyId-01", "503", "come back"},
			false, true, 503,
		},
		{
			"forbidden",
			map[string]answer{"01 GetCACaps": {403, `{"Message":"not from here"}`}},
			[]string{"01 GetCACaps"},
			[]string{"403", "not from here"},
			false, false, 403,
		},
		{
			"404 for the certificates",
			map[string]answer{"01 GetCACaps": ok, "01 GetCACertChain": {404, "gone"}},
			[]string{"01 GetCACaps", "01 GetCACertChain"},
			[]string{"GetCACertChain", "404"},
			false, false, 404,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, id, _ := strings.Cut(strings.Split(r.URL.Path, "/")[1], "-KeyId-")
				q := id + " " + r.URL.Query().Get("operation")
				asked = append(asked, q)
				w.WriteHeader(tt.answers[q].status)
				_, _ = w.Write([]byte(tt.answers[q].body))
			}), nil)
			c.Roots = newServer().Roots()
			_, err := c.Begin(t.Context(), d.Request)
			var e *aik.Error
			var se *scep.Error
			if !errors.As(err, &e) || !errors.As(err, &se) {
				t.Fatalf("error is %v", err)
			}
			if strings.Join(asked, ",") != strings.Join(tt.asked, ",") {
				t.Errorf("asked %q", asked)
			}
			rest := err.Error()
			for _, w := range tt.want {
				_, after, ok := strings.Cut(rest, w)
				if !ok {
					t.Errorf("no %q in %q", w, rest)
				}
				rest = after
			}
			if errors.Is(err, aik.ErrNoAuthority) != tt.terminal || e.Retryable() != tt.retryable || se.HTTPStatus != tt.status ||
				e.HRESULT() != 0x80190000+uint32(tt.status) {
				t.Errorf("error is %v, retryable %v, code %#x", err, e.Retryable(), e.HRESULT())
			}
		})
	}
}

func TestNoKeyIdentifier(t *testing.T) {
	d := newDevice(t, isRSA, rsaAIK)
	bare := *d.EKChain[0]
	bare.AuthorityKeyId = nil
	d.EKChain = append(d.EKChain[:0:0], &bare)
	_, err := new(aik.Client).Begin(t.Context(), d.Request)
	var e *aik.Error
	if !errors.Is(err, aik.ErrNoAuthority) || !errors.As(err, &e) || e.Retryable() || e.URL != "" {
		t.Errorf("error is %v", err)
	}
}

// TestVendorsInURLs has vendor IDs with the first and last characters that stay as they
// are, those beside them, and others that are no ID in hexadecimal.
func TestVendorsInURLs(t *testing.T) {
	chain := []*x509.Certificate{{AuthorityKeyId: []byte{0xab}}}
	for vendor, want := range map[string]string{
		"id:494E5443": "INTC", "INTC": "INTC", "IFX ": "IFX", "09AZ": "09AZ", "az": "az", "4D41": "4D41",
		"/": "2F", ":": "3A", "@": "40", "[": "5B", "`": "60", "{": "7B", "id:49x": "69643A343978",
	} {
		got := aik.URLs(vendor, chain)
		if len(got) != 1 || got[0] != "https://"+want+"-KeyId-ab.microsoftaik.azure.net/templates/Aik/scep" {
			t.Errorf("%s: %q", vendor, got)
		}
	}
}

// TestURLOnce checks that the text of an error has the URL once.
func TestURLOnce(t *testing.T) {
	const ca = "https://ca.test/scep"
	for _, cause := range []error{errors.New("other"), &scep.Error{Op: "GetCACaps", URL: ca, HTTPStatus: 404}} {
		if text := (&aik.Error{Op: "authority", URL: ca, Err: cause}).Error(); strings.Count(text, ca) != 1 {
			t.Error(text)
		}
	}
	if text := (&aik.Error{Op: "request", Err: errors.New("other")}).Error(); text != "aik: request: other" {
		t.Error(text)
	}
}

// TestRemedyOfAnswer checks when an error advises to run again.
func TestRemedyOfAnswer(t *testing.T) {
	for _, tt := range []struct {
		op    string
		cause scep.Error
		want  bool
	}{
		{"answer", scep.Error{FailInfo: scep.BadRequest, HTTPStatus: 200}, true},
		{"answer", scep.Error{HTTPStatus: 400}, true},
		{"answer", scep.Error{HTTPStatus: 403}, false},
		{"answer", scep.Error{FailInfo: scep.BadAlg, HTTPStatus: 200}, false},
		{"enroll", scep.Error{FailInfo: scep.BadRequest, HTTPStatus: 200}, false},
		{"enroll", scep.Error{HTTPStatus: 400}, false},
	} {
		e := &aik.Error{Op: tt.op, Err: &tt.cause}
		if strings.HasPrefix(e.Remedy(), "Run again") != tt.want {
			t.Errorf("%v: %q", e, e.Remedy())
		}
	}
}

// A CA that is not there names the issuer that it may not know, and the address first.
func TestRemedyOfNoAuthority(t *testing.T) {
	for url, want := range map[string]string{
		"https://ca.test/SIM0-KeyId-5da71b73/templates/Aik/scep": "endorsement certificate (key identifier 5da71b73): ask its operator.",
		"https://ca.test/scep": "endorsement certificate: ask its operator.",
	} {
		e := &aik.Error{Op: "authority", URL: url, Err: aik.ErrNoAuthority}
		if got := e.Remedy(); !strings.HasPrefix(got, "There is no attestation CA at this address: check it.") || !strings.Contains(got, want) {
			t.Errorf("%s: %s", url, got)
		}
	}
	if got := (&aik.Error{Op: "request", Err: aik.ErrRequest}).Remedy(); !strings.HasPrefix(got, "Nothing was sent.") {
		t.Error(got)
	}
}
