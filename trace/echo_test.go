package trace_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/trace"
)

// A server that refuses may repeat the request. What is secret in it stays out of
// every form of the trace; what the server says of its own stays in.
func TestEcho(t *testing.T) {
	const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
	for _, c := range []struct{ kind, auth, body, secret string }{
		{"application/x-www-form-urlencoded", "", "grant_type=password&username=ada%40contoso.test&password=correct+horse", "correct horse"},
		{"application/x-www-form-urlencoded", "", "refresh_token=0.AAAA1234abcd", "0.AAAA1234abcd"},
		{"application/json", "", `{"Ticket":"short-ticket","Nonce":"bm9uY2U="}`, "short-ticket"},
		{"application/json", "Bearer opaque-token-1", `{}`, "opaque-token-1"},
		{"application/json", "Bearer " + jwt, `{}`, jwt},
		{"application/json", "t=device-ticket-1", `{}`, "t=device-ticket-1"},
		{"application/soap+xml", "", `<o:Password Type="text">hunter22</o:Password>`, "hunter22"},
		{"application/soap+xml", "", `<wsse:BinarySecurityToken>ZXlKaGJHY2lPaUpTVXpJMU5pSjk1ABCD</wsse:BinarySecurityToken>`, "ZXlKaGJHY2lPaUpTVXpJMU5pSjk1ABCD"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, "device cap reached: "+r.Header.Get("Authorization")+" "+string(body)+" "+c.secret)
		}))
		var tr trace.Trace
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", c.kind)
		if strings.HasPrefix(c.auth, "t=") {
			req.Header.Set("X-Device-Token", c.auth)
		} else if c.auth != "" {
			req.Header.Set("Authorization", c.auth)
		}
		res, err := tr.HTTP(nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		server.Close()
		for name, write := range map[string]func(io.Writer) error{"Markdown": tr.WriteMarkdown, "HAR": tr.WriteHAR, "HTML": tr.WriteHTML} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(b.String(), "\\", "") // as Markdown escapes
			if strings.Contains(text, c.secret) || !strings.Contains(text, "device cap reached") || !strings.Contains(text, "hidden]") {
				t.Errorf("%s of %s: %s", name, c.secret, text)
			}
		}
	}
}
