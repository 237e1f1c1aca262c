package mdm_test

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
)

// documentOf returns the provisioning document a second, honest server gives
// to another device.
func documentOf(t *testing.T) (doc, ownKey string) {
	t.Helper()
	_, discovery := start(t)
	own, err := enroll(t, new(mdm.Client), discovery)
	if err != nil {
		t.Fatal(err)
	}
	_, discovery = start(t)
	c := &mdm.Client{Device: mdm.Device{ID: "another-device"}}
	d, err := c.Discover(t.Context(), discovery, "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Enroll(t.Context(), d, nil, &mdm.Request{Credential: newToken(t), Key: otherKey(), Context: extra()})
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Document), string(own.Document)
}

var (
	application = regexp.MustCompile(`<characteristic type="APPLICATION">.*?</characteristic></characteristic>`)
	rootStore   = regexp.MustCompile(`<characteristic type="Root">.*?</characteristic></characteristic></characteristic>`)
	caStore     = regexp.MustCompile(`<characteristic type="CA">.*?</characteristic></characteristic></characteristic>`)
	myStore     = regexp.MustCompile(`<characteristic type="My">.*?</characteristic></characteristic></characteristic>`)
	thumbprint  = regexp.MustCompile(`type="[0-9A-F]{40}"`)
)

// A document that is not in order as a whole is refused as a whole.
func TestLyingServers(t *testing.T) {
	foreign, foreignIssuer := documentOf(t)
	_, discovery := start(t)
	cut := func(re *regexp.Regexp, with string) func(string) string {
		return func(doc string) string { return re.ReplaceAllLiteralString(doc, with) }
	}
	for _, c := range []struct {
		name   string
		change func(doc string) string
		want   string
		code   uint32
	}{
		{"certificate for another key", func(string) string { return foreign }, "no certificate of the request's key", 0x80180024},
		{"no certificate", cut(myStore, ""), "no certificate of the request's key", 0x80180024},
		{"two certificates for the key", func(doc string) string {
			return strings.Replace(doc, myStore.FindString(doc), myStore.FindString(doc)+myStore.FindString(foreignIssuer), 1)
		}, "several certificates", 0x80180024},
		{"wrong thumbprint", cut(thumbprint, `type="`+strings.Repeat("AB", 20)+`"`), "thumbprint", 0x8018001E},
		{"foreign issuer", cut(myStore, myStore.FindString(foreignIssuer)), "leads to no trusted root", 0x8018001E},
		{"no root", cut(rootStore, ""), "leads to no trusted root", 0x8018001E},
		{"no issuer", cut(caStore, ""), "leads to no trusted root", 0x8018001E},
		{"root of another", cut(rootStore, rootStore.FindString(foreign)), "leads to no trusted root", 0x8018001E},
		{"broken certificate", func(doc string) string { return strings.Replace(doc, `value="MII`, `value="MIJ`, 1) }, "thumbprint", 0x8018001E},
		{"no account", cut(application, ""), "no w7", 0x8018001F},
		{"two accounts", func(doc string) string {
			return strings.Replace(doc, "</wap-", application.FindString(doc)+"</wap-", 1)
		}, "more than one w7", 0x8018001F},
		{"account in clear text", cut(regexp.MustCompile(`http://127[^"]*`), "http://example.com/"), "not https", 0x8018001F},
		{"document type", func(doc string) string { return `<!DOCTYPE x [<!ENTITY a "b">]>` + doc }, "document type", 0x80180023},
		{"another document", func(string) string { return "<html/>" }, "<html>", 0x80180023},
		{"no document", func(string) string { return "" }, "no XML", 0x80180023},
		{"cut off", func(doc string) string { return doc[:len(doc)-20] }, "XML", 0x80180023},
		{"too deep", func(string) string {
			return "<wap-provisioningdoc>" + strings.Repeat(`<characteristic type="a">`, 40) + strings.Repeat(`</characteristic>`, 40) + "</wap-provisioningdoc>"
		}, "32 levels", 0x80180023},
		{"too many", func(string) string {
			return "<wap-provisioningdoc>" + strings.Repeat(`<characteristic type="a"/>`, 20001) + "</wap-provisioningdoc>"
		}, "20000 elements", 0x80180023},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &mdm.Client{HTTPClient: &http.Client{Transport: document(c.change)}}
			e, err := enroll(t, client, discovery)
			if e != nil {
				t.Fatal("accepted")
			}
			if got := failure(t, err); got.HRESULT() != c.code || !strings.Contains(got.Error(), c.want) || got.Retryable() || got.Remedy() == "" {
				t.Errorf("%v, %#x, remedy %q", got, got.HRESULT(), got.Remedy())
			}
		})
	}
}

// The roots of the caller are asked too.
func TestForeignRoot(t *testing.T) {
	_, discovery := start(t)
	other, _ := start(t)
	_, err := enroll(t, &mdm.Client{Roots: other.Roots()}, discovery)
	if e := failure(t, err); e.HRESULT() != 0x8018001E {
		t.Error(e)
	}
}

// A certificate is checked by the device's clock, with a little patience.
func TestClock(t *testing.T) {
	_, discovery := start(t)
	for _, c := range []struct {
		shift time.Duration
		code  uint32
	}{{-9 * time.Minute, 0}, {-time.Hour, 0x8018001E}, {2 * 365 * 24 * time.Hour, 0x8018001E}} {
		_, err := enroll(t, &mdm.Client{Now: func() time.Time { return time.Now().Add(c.shift) }}, discovery)
		switch {
		case c.code == 0 && err != nil:
			t.Errorf("%v: %v", c.shift, err)
		case c.code != 0 && failure(t, err).HRESULT() != c.code:
			t.Errorf("%v: %v", c.shift, err)
		}
	}
}

// What servers of other makers do differently is accepted.
func TestTolerance(t *testing.T) {
	_, discovery := start(t)
	for name, l := range map[string]liar{
		"nothing changed": document(func(doc string) string { return doc }),
		"lower case thumbprints": document(func(doc string) string {
			return thumbprint.ReplaceAllStringFunc(doc, strings.ToLower)
		}),
		"declaration and indentation": document(func(doc string) string {
			return `<?xml version="1.0" encoding="utf-8"?>` + "\n" + strings.ReplaceAll(doc, "><", ">\n  <")
		}),
		"address in APPADDR": document(func(doc string) string {
			return regexp.MustCompile(`<parm name="ADDR" value="[^"]*"/>`).ReplaceAllStringFunc(doc, func(p string) string {
				return `<characteristic type="APPADDR">` + p + `</characteristic>`
			})
		}),
		"other types": func(b string) string { return strings.ReplaceAll(b, "DeviceEnrollmentProvisionDoc", "#PKCS7") },
		"SOAP 1.1": func(b string) string {
			return strings.ReplaceAll(b, "http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/")
		},
		"no disposition": func(b string) string { return regexp.MustCompile(`<DispositionMessage[^>]*>`).ReplaceAllString(b, "") },
		"header without namespace": func(b string) string {
			return strings.NewReplacer("<a:Action s:", "<Action ", "</a:Action>", "</Action>").Replace(b)
		},
		"relates to another": func(b string) string { return strings.ReplaceAll(b, "urn:uuid:", "urn:uuid:urn:uuid:") },
		"broken lines": func(b string) string {
			return bst.ReplaceAllStringFunc(b, func(found string) string {
				p := bst.FindStringSubmatch(found)
				if _, err := base64.StdEncoding.DecodeString(p[2]); err != nil || len(p[2]) < 100 {
					return found
				}
				return p[1] + "\r\n" + p[2][:76] + "\r\n" + p[2][76:] + "\r\n" + p[3]
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := enroll(t, &mdm.Client{HTTPClient: &http.Client{Transport: l}}, discovery); err != nil {
				t.Error(err)
			}
		})
	}
}
