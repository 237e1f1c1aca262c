package trace_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/whiteglove/whiteglove/trace"
)

const proxyLog = `1764320400.500    300 10.0.0.7 TCP_TUNNEL/200 9120 CONNECT login.live.com:443 jane HIER_DIRECT/20.1.1.1 -
1764320402.000    100 10.0.0.7 TCP_TUNNEL/200 7000 CONNECT ztd.dds.microsoft.com:443 jane HIER_DIRECT/20.1.1.2 -
1764320403.000      0 10.0.0.7 TCP_DENIED/403 3900 CONNECT ekop.intel.com:443 jane HIER_NONE/- text/html
1764320404.000      0 10.0.0.7 TCP_MISS/200 3900 GET http://intranet.contoso.example/jane - HIER_DIRECT/10.1.1.1 text/html
1764320405.000      0 10.0.0.7 TCP_DENIED/403 3900 CONNECT client.wns.windows.com:443 jane HIER_NONE/- text/html
1764320406.000     90 10.0.0.7 TCP_MISS/200 500 POST https://login.microsoftonline.com/contoso.example/oauth2/token?secret=hunter22 jane HIER_DIRECT/20.1.1.5 -
`

const capture = `{"log":{"version":"1.2","entries":[
{"startedDateTime":"2026-11-28T10:00:00+01:00","time":120,"request":{"method":"POST","url":"https://login.live.com/RST2.srf?t=hunter22","headers":[{"name":"Cookie","value":"hunter22"}],"postData":{"text":"hunter22"},"bodySize":9},"response":{"status":200,"bodySize":7,"content":{"text":"hunter22"}}},
{"startedDateTime":"2026-11-28T10:00:20+01:00","time":20,"request":{"method":"GET","url":"https://ekop.intel.com/ekcertservice/hunter22","bodySize":0},"response":{"status":0,"bodySize":-1,"_error":"net::ERR_NAME_NOT_RESOLVED"}},
{"startedDateTime":"2026-11-28T10:00:21+01:00","time":20,"request":{"method":"GET","url":"https://x.microsoftaik.azure.net/templates/Aik/scep?operation=GetCACaps","bodySize":0},"response":{"status":404,"bodySize":10,"_securityDetails":{"issuer":"Contoso Inspection CA"}}}]}}`

// written returns a trace in its three forms.
func written(t testing.TB, tr *trace.Trace) (md, har, page string) {
	t.Helper()
	var b [3]bytes.Buffer
	for i, write := range []func(io.Writer) error{tr.WriteMarkdown, tr.WriteHAR, tr.WriteHTML} {
		if err := write(&b[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b[0].String(), b[1].String(), b[2].String()
}

// headings returns the steps of a trace as Markdown.
func headings(md string) string {
	return strings.Join(regexp.MustCompile(`(?m)^## .*$`).FindAllString(md, -1), "\n")
}

func TestAnnotate(t *testing.T) {
	for name, c := range map[string]struct {
		in, head, steps string
		says            []string
	}{
		"proxy log": {
			proxyLog, "# Traffic of a device, 2025-11-28 09:00:00 UTC\n",
			"## ticket: done after 300ms, begun at 0s\n## profile: done after 100ms, begun at 1.7s\n## ek: failed after 0s, begun at 2.8s\n" +
				"## aik: missing\n## join: missing\n## token: done after 90ms, begun at 5.71s\n## push: done after 0s, begun at 4.8s",
			[]string{
				"other hosts: 1 (requests: 1), not shown", "> ekop.intel.com: the proxy or firewall refuses it. The endorsement key gets no certificate", "Securing your hardware (Failed: 0x81039001)",
				"- `CONNECT login.live.com` **200** 300ms — the device's ticket", "`POST login.microsoftonline.com` **200** 90ms — tokens: get a nonce", "TLS to login.microsoftonline.com seems to be inspected",
				"Every pre-provisioning asks *.microsoftaik.azure.net here.",
			},
		},
		"archive": {
			capture, "# Traffic of a device, 2026-11-28 09:00:00 UTC\n",
			"## ticket: done after 120ms, begun at 0s\n## profile: missing\n## ek: failed after 20ms, begun at 20s\n## aik: done after 20ms, begun at 21s",
			[]string{"sent [9 bytes], got [7 bytes]", "**its name is not resolved**", "**404**", "certificates of attestation keys: ask what the CA supports", "Contoso Inspection CA"},
		},
		"list": {
			"00:10 login.live.com\n00:12 ztd.dds.microsoft.com\n00:12 client.wns.windows.com blocked\n", "# Traffic of a device, 00:00:10 of a day\n",
			"## ticket: done after 0s, begun at 0s\n## profile: done after 0s, begun at 2s\n## push: done after 0s, begun at 2s",
			[]string{"- `login.live.com` **asked** 0s — the device's ticket", "> Warning: client.wns.windows.com: the proxy or firewall refuses it. The device is not told"},
		},
		"nothing": {"00:10 intranet.contoso.example\n", "# Traffic of a device, no request of a setup\n\nother hosts: 1 (requests: 1), not shown", "", nil},
		"local":   {"2026-11-28 09:00:00 ekop.intel.com 407\n", "# Traffic of a device, 2026-11-28 09:00:00 local time\n", "## ek: failed after 0s, begun at 0s", []string{"**407, the proxy asks for authentication**"}},
	} {
		tr, err := trace.Annotate(iotest.HalfReader(strings.NewReader(c.in)))
		if err != nil {
			t.Fatal(err)
		}
		md, har, page := written(t, tr)
		if !strings.HasPrefix(md, c.head) || headings(md) != c.steps {
			t.Errorf("%s: %s", name, md)
		}
		for _, want := range c.says {
			if !strings.Contains(strings.ReplaceAll(md, "\\", ""), want) {
				t.Errorf("%s: %q is not in\n%s", name, want, md)
			}
		}
		for form, text := range map[string]string{"Markdown": md, "HAR": har, "HTML": page} {
			for _, secret := range []string{"hunter22", "jane", "intranet", "10.0.0.7", "contoso.example"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s of %s holds %s", form, name, secret)
				}
			}
		}
		blocked := strings.Contains(c.steps, "failed")
		if strings.Contains(page, `bad">blocked`) != blocked || strings.Contains(page, `good">not blocked`) == blocked || strings.Contains(page, "TPM commands") || strings.Contains(page, `<span class="name">ticket <small>done</small>`) != strings.Contains(c.steps, "ticket: done") {
			t.Errorf("%s: %s", name, page)
		}
		again, err := trace.Annotate(strings.NewReader(har))
		if err != nil {
			t.Fatal(err)
		}
		if md2, _, _ := written(t, again); name == "archive" && !strings.Contains(headings(md2), "## aik: done after 20ms, begun at 21s") {
			t.Errorf("%s: what was written is read as\n%s", name, md2)
		}
	}
}

func TestAnnotateErrors(t *testing.T) {
	for _, text := range []string{"", "hello", "\x00\x01", `{"a":1}`, "<html>"} {
		if tr, err := trace.Annotate(strings.NewReader(text)); !errors.Is(err, trace.ErrNoCapture) || tr != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	tr, err := trace.Annotate(strings.NewReader(capture[:len(capture)-300]))
	if err == nil || tr == nil {
		t.Fatal(err)
	}
	if md, _, _ := written(t, tr); !strings.Contains(md, "## ticket") {
		t.Error(md)
	}
	if _, err := trace.Annotate(iotest.ErrReader(os.ErrPermission)); !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
	late := io.MultiReader(strings.NewReader(strings.Repeat(proxyLog, 20)), iotest.ErrReader(os.ErrPermission))
	if tr, err := trace.Annotate(late); !errors.Is(err, os.ErrPermission) || tr == nil {
		t.Error(err)
	}
}

// FuzzAnnotate gives foreign bytes. What is written of them is the same each time, and
// holds no markup or control character of theirs.
func FuzzAnnotate(f *testing.F) {
	for _, text := range []string{proxyLog, capture, "00:10 login.live.com\n", "09:00:01 ekop.intel.com 403\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := trace.Annotate(bytes.NewReader(b))
		if tr == nil {
			if err == nil {
				t.Fatal("neither a trace nor an error")
			}
			return
		}
		md, _, page := written(t, tr)
		if strings.Contains(page, "<script") || strings.ContainsRune(md, 0x1b) || strings.ContainsRune(page, 0x1b) {
			t.Error(page)
		}
		again, _ := trace.Annotate(bytes.NewReader(b))
		if md2, _, page2 := written(t, again); md != md2 || page != page2 {
			t.Error("not the same each time")
		}
	})
}
