package mdm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/whiteglove/whiteglove/mdm"
)

// A discovery by https names no service that is reached otherwise, or with a
// user in the address, and no token goes there.
func TestDiscoverEndpoints(t *testing.T) {
	const good = "https://mdm.test/e"
	for _, c := range []struct {
		discovery, service string
		ok                 bool
		code               uint32
	}{
		{"https://mdm.test/d", good, true, 0},
		{"https://mdm.test/d", "https://other.test:8443/any/path?client-request-id=1", true, 0},
		{"https://mdm.test/d", "http://127.0.0.1:8080/e", false, 0x8018001A},
		{"https://mdm.test/d", "http://localhost/e", false, 0x8018001A},
		{"https://mdm.test/d", "http://mdm.test/e", false, 0x8018001A},
		{"https://mdm.test/d", "https://user:password@mdm.test/e", false, 0},
		{"https://mdm.test/d", "https://user@mdm.test/e", false, 0},
		{"https://mdm.test/d", "https://mdm.test/e#fragment", false, 0},
		{"https://mdm.test/d", "/e", false, 0},
		{"https://mdm.test/d", "file:///e", false, 0},
		{"http://127.0.0.1/d", "http://127.0.0.1:8080/e", true, 0},
		{"http://127.0.0.1/d", good, true, 0},
		{"http://127.0.0.1/d", "http://user@127.0.0.1/e", false, 0},
		{"http://127.0.0.1/d", "http://mdm.test/e", false, 0x8018001A},
	} {
		for _, name := range []string{"EnrollmentServiceUrl", "EnrollmentPolicyServiceUrl"} {
			body := "<EnrollmentServiceUrl>" + c.service + "</EnrollmentServiceUrl>"
			if name != "EnrollmentServiceUrl" {
				body = "<EnrollmentServiceUrl>https://mdm.test/e</EnrollmentServiceUrl><" + name + ">" + c.service + "</" + name + ">"
			}
			client := &mdm.Client{HTTPClient: &http.Client{Transport: canned{Status: 200, Body: discovered(body)}}}
			d, err := client.Discover(t.Context(), c.discovery, "")
			if (err == nil) != c.ok || (d != nil) != c.ok {
				t.Errorf("%s names %s %s: %+v, %v", c.discovery, name, c.service, d, err)
				continue
			}
			if err == nil {
				continue
			}
			if e := failure(t, err); c.code != 0 && e.HRESULT() != c.code || strings.Contains(e.Error(), "password") {
				t.Errorf("%s: %v", c.service, e)
			}
		}
		body := discovered("<EnrollmentServiceUrl>https://mdm.test/e</EnrollmentServiceUrl><AuthenticationServiceUrl>" + c.service +
			"</AuthenticationServiceUrl><DeviceAssociationMaaUrl>" + c.service + "</DeviceAssociationMaaUrl><GatewayService>" + c.service + "</GatewayService>")
		client := &mdm.Client{HTTPClient: &http.Client{Transport: canned{Status: 200, Body: body}}}
		want := c.service
		if !c.ok {
			want = ""
		}
		d, err := client.Discover(t.Context(), c.discovery, "")
		if err != nil || d.AuthURL != want || d.AttestationURL != want || d.GatewayURL != want {
			t.Errorf("%s names %s: %+v, %v", c.discovery, c.service, d, err)
		}
	}
}

// A discovery is not redirected to an address that it may not name.
func TestDiscoverRedirects(t *testing.T) {
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
	}))
	defer tls.Close()
	_, err := (&mdm.Client{HTTPClient: tls.Client()}).Discover(t.Context(), tls.URL, "")
	if e := failure(t, err); e.HRESULT() != 0x8018001A {
		t.Errorf("to http: %v", e)
	}
	for _, c := range []struct{ target, want string }{
		{"http://user:password@127.0.0.1:1/", "user name"}, {"http://mdm.test/", "not https"}, {"http://127.0.0.1:1/#x", "fragment"},
	} {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", c.target)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))
		defer h.Close()
		_, err := new(mdm.Client).Discover(t.Context(), h.URL, "")
		if e := failure(t, err); !strings.Contains(e.Error(), c.want) || strings.Contains(e.Error(), "password") {
			t.Errorf("to %s: %v", c.target, e)
		}
	}
	loops := 0
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		loops++
		http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
	}))
	defer h.Close()
	_, err = new(mdm.Client).Discover(t.Context(), h.URL, "")
	if e := failure(t, err); !strings.Contains(e.Error(), "redirect is not followed") || loops > 6 {
		t.Errorf("in circles: %v after %d requests", e, loops)
	}
}

// account returns a provisioning document with applications.
func account(parts string) string {
	return `<wap-provisioningdoc><characteristic type="APPLICATION">` + parts + `</characteristic></wap-provisioningdoc>`
}

// An account that contradicts itself is refused.
func TestAccountContradictions(t *testing.T) {
	parm := func(name, value string) string { return `<parm name="` + name + `" value="` + value + `"/>` }
	in := func(typ, parts string) string {
		return `<characteristic type="` + typ + `">` + parts + `</characteristic>`
	}
	w7 := parm("APPID", "w7") + parm("PROVIDER-ID", "P")
	addr := parm("ADDR", "https://mdm.test/s")
	auth := func(level, typ, secret string) string {
		return in("APPAUTH", parm("AAUTHLEVEL", level)+parm("AAUTHTYPE", typ)+parm("AAUTHSECRET", secret))
	}
	for name, c := range map[string]struct {
		parts string
		auth  int // -1 if the account is refused
	}{
		"as it is":              {w7 + addr + auth("CLIENT", "DIGEST", "1") + auth("APPSRV", "DIGEST", "2"), 2},
		"the same address":      {w7 + addr + in("APPADDR", addr), 0},
		"an empty address":      {w7 + addr + in("APPADDR", parm("ADDR", "")), 0},
		"another type":          {w7 + addr + auth("APPSRV", "DIGEST", "1") + auth("APPSRV", "BASIC", "2"), 2},
		"the same secret":       {w7 + addr + auth("APPSRV", "DIGEST", "1") + auth("APPSRV", "DIGEST", "1"), 1},
		"two addresses":         {w7 + addr + in("APPADDR", parm("ADDR", "https://other.test/s")), -1},
		"two APPADDR":           {w7 + in("APPADDR", addr) + in("appaddr", parm("ADDR", "https://other.test/s")), -1},
		"two in one APPADDR":    {w7 + in("APPADDR", addr+parm("addr", "https://other.test/s")), -1},
		"two secrets":           {w7 + addr + in("APPAUTH", parm("AAUTHLEVEL", "APPSRV")+parm("AAUTHSECRET", "1")+parm("aauthsecret", "2")), -1},
		"two levels":            {w7 + addr + in("APPAUTH", parm("AAUTHLEVEL", "APPSRV")+parm("AAUTHLEVEL", "CLIENT")), -1},
		"two APPAUTH":           {w7 + addr + auth("APPSRV", "DIGEST", "1") + auth("appsrv", "digest", "2"), -1},
		"two encodings":         {w7 + addr + parm("DEFAULTENCODING", "a") + parm("DEFAULTENCODING", "b"), -1},
		"address with a user":   {w7 + parm("ADDR", "https://user@mdm.test/s"), -1},
		"address in clear text": {w7 + parm("ADDR", "http://mdm.test/s"), -1},
		"no provider":           {parm("APPID", "w7") + addr, -1},
		"no address":            {w7, -1},
	} {
		d, err := mdm.ParseDocument([]byte(account(c.parts)))
		if err != nil {
			t.Fatal(name, err)
		}
		a, err := d.Account()
		switch {
		case c.auth < 0:
			var coded interface{ HRESULT() uint32 }
			if a != nil || !errors.As(err, &coded) || coded.HRESULT() != 0x8018001F {
				t.Errorf("%s: %+v, %v", name, a, err)
			}
		case err != nil || len(a.Auth) != c.auth || a.Address != "https://mdm.test/s":
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// An account by https names no sessions by http.
func TestEnrollAddress(t *testing.T) {
	made := madeDocument(t, &mdmKey().PublicKey)
	for _, c := range []struct {
		enroll, address string
		ok              bool
	}{
		{"https://mdm.test/e", "https://mdm.test/s", true},
		{"https://mdm.test/e", "http://127.0.0.1/s", false},
		{"https://mdm.test/e", "https://user@mdm.test/s", false},
		{"http://127.0.0.1/e", "http://127.0.0.1/s", true},
		{"http://127.0.0.1/e", "http://mdm.test/s", false},
	} {
		body := answered([]byte(strings.ReplaceAll(made, "https://mdm.test/s", c.address)))
		client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: canned{Status: 200, Body: body}}}
		d := &mdm.Discovery{EnrollURL: c.enroll}
		e, err := client.Enroll(t.Context(), d, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: mdmKey()})
		if (err == nil) != c.ok || (e != nil) != c.ok || err != nil && failure(t, err).HRESULT() != 0x8018001F {
			t.Errorf("Enroll at %s, sessions at %s: %v", c.enroll, c.address, err)
		}
		e, err = client.Renew(t.Context(), d, nil, &mdm.Renewal{Certificate: deviceCertificate(t), Key: mdmKey()})
		if (err == nil) != c.ok || (e != nil) != c.ok || err != nil && failure(t, err).HRESULT() != 0x8018001F {
			t.Errorf("Renew at %s, sessions at %s: %v", c.enroll, c.address, err)
		}
	}
}

// A renewal takes its account from one application, and only from one of device
// management.
func TestRenewAccount(t *testing.T) {
	made := madeDocument(t, &mdmKey().PublicKey)
	start, stop := strings.Index(made, `<characteristic type="APPLICATION">`), strings.Index(made, "</wap-")
	app := func(parms ...string) string {
		text := `<characteristic type="APPLICATION">`
		for _, p := range parms {
			name, value, _ := strings.Cut(p, "=")
			text += `<parm name="` + name + `" value="` + value + `"/>`
		}
		return text + `</characteristic>`
	}
	for name, c := range map[string]struct {
		apps             string
		provider, server string
		refused          bool
	}{
		"none":               {"", "", "", false},
		"the provider alone": {app("PROVIDER-ID=P"), "P", "", false},
		"the whole account":  {app("APPID=w7", "PROVIDER-ID=P", "ADDR=https://mdm.test/s"), "P", "https://mdm.test/s", false},
		"beside a w4":        {app("APPID=w4", "PROVIDER-ID=Q", "ADDR=https://other.test/") + app("APPID=W7", "PROVIDER-ID=P"), "P", "", false},
		"a w4 alone":         {app("APPID=w4", "PROVIDER-ID=Q", "ADDR=https://other.test/"), "", "", false},
		"two":                {app("APPID=w7", "PROVIDER-ID=P") + app("APPID=w7", "ADDR=https://other.test/"), "", "", true},
		"one without a name": {app("PROVIDER-ID=P") + app("APPID=w7", "ADDR=https://other.test/"), "", "", true},
		"two addresses":      {app("APPID=w7", "ADDR=https://mdm.test/s", "ADDR=https://other.test/"), "", "", true},
		"two providers":      {app("PROVIDER-ID=P", "PROVIDER-ID=Q"), "", "", true},
		"clear text":         {app("APPID=w7", "ADDR=http://other.test/"), "", "", true},
		"this machine":       {app("APPID=w7", "ADDR=http://127.0.0.1/"), "", "", true},
		"no URL":             {app("APPID=w7", "ADDR=other.test"), "", "", true},
	} {
		body := answered([]byte(made[:start] + c.apps + made[stop:]))
		client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: canned{Status: 200, Body: body}}}
		e, err := client.Renew(t.Context(), &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, nil, &mdm.Renewal{Certificate: deviceCertificate(t), Key: mdmKey()})
		switch {
		case c.refused:
			if e != nil || failure(t, err).HRESULT() != 0x8018001F {
				t.Errorf("%s: %+v, %v", name, e, err)
			}
		case err != nil || e.ProviderID != c.provider || e.Server != c.server:
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// made is a certificate for a provisioning document.
type made struct {
	store string
	cert  *x509.Certificate
}

// stored returns a provisioning document with certificates, and an account.
func stored(certs ...made) string {
	text := `<wap-provisioningdoc>`
	for _, c := range certs {
		for _, name := range []string{"CertificateStore", c.store, "System", fmt.Sprintf("%x", sha1.Sum(c.cert.Raw))} {
			text += `<characteristic type="` + name + `">`
		}
		text += `<parm name="EncodedCertificate" value="` + base64.StdEncoding.EncodeToString(c.cert.Raw) + `"/>` + strings.Repeat("</characteristic>", 4)
	}
	return text + `<characteristic type="APPLICATION"><parm name="APPID" value="w7"/><parm name="PROVIDER-ID" value="P"/>` +
		`<parm name="ADDR" value="https://mdm.test/s"/></characteristic></wap-provisioningdoc>`
}

// certify returns a certificate by an issuer with a key; without an issuer it
// is the key's own.
func certify(t testing.TB, pub crypto.PublicKey, ca bool, issuer *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: fmt.Sprintf("%T", pub)}, IsCA: ca, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Only a certificate in a store of the device's own counts, and it must not be
// its own root.
func TestEnrollStores(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := certify(t, &key.PublicKey, true, nil, key)
	own := &mdmKey().PublicKey
	leaf, leafCA := certify(t, own, false, root, key), certify(t, own, true, root, key)
	self := certify(t, own, true, nil, mdmKey())
	var many []made
	for range 70 {
		many = append(many, made{"CA", certify(t, &key.PublicKey, true, root, key)})
	}
	n := new(big.Int).SetBit(mdmKey().N, 8192, 1)
	large := certify(t, &rsa.PublicKey{N: n, E: 65537}, true, root, key)
	for name, c := range map[string]struct {
		certs []made
		code  uint32
	}{
		"good":                {[]made{{"Root", root}, {"My", leaf}}, 0},
		"among the issuers":   {[]made{{"Root", root}, {"CA", leafCA}}, 0x80180024},
		"among the roots":     {[]made{{"Root", root}, {"Root", leafCA}}, 0x80180024},
		"its own root":        {[]made{{"Root", self}, {"My", self}}, 0x8018001E},
		"also among roots":    {[]made{{"Root", root}, {"Root", leaf}, {"My", leaf}}, 0x8018001E},
		"root as an issuer":   {[]made{{"CA", root}, {"My", leaf}}, 0x8018001E},
		"root as the own":     {[]made{{"My", root}, {"My", leaf}}, 0x8018001E},
		"with many others":    {append([]made{{"Root", root}, {"My", leaf}}, many...), 0x8018001E},
		"with some others":    {append([]made{{"Root", root}, {"My", leaf}}, many[:62]...), 0},
		"with a large key":    {[]made{{"Root", root}, {"My", leaf}, {"CA", large}}, 0x8018001E},
		"with a large key, 2": {[]made{{"Root", large}, {"My", leaf}, {"Root", root}}, 0x8018001E},
	} {
		client := &mdm.Client{
			Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: canned{Status: 200, Body: answered([]byte(stored(c.certs...)))}},
		}
		e, err := client.Enroll(t.Context(), &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: mdmKey()})
		switch {
		case c.code == 0 && (err != nil || len(e.Issuers) != 1):
			t.Errorf("%s: %v", name, err)
		case c.code != 0 && (e != nil || failure(t, err).HRESULT() != c.code):
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// Nothing that a server says reaches a terminal with control characters.
func TestErrorPrintable(t *testing.T) {
	const bad = "\u009b2J\u202e\u007fno\r\n\tend"
	escaped := strings.NewReplacer("\r", "&#13;").Replace(bad)
	var all []error
	fail := func(status int, header http.Header, body string) {
		client := &mdm.Client{HTTPClient: &http.Client{Transport: canned{Status: status, Header: header, Body: body}}}
		_, err := client.Discover(t.Context(), "https://mdm.test/d", "")
		all = append(all, err)
	}
	fail(500, nil, soap12+`<s:Fault><s:Code><s:Value>`+escaped+`</s:Value><s:Subcode><s:Value>`+escaped+`</s:Value></s:Subcode></s:Code><s:Reason><s:Text>`+
		escaped+`</s:Text></s:Reason><s:Detail><DeviceEnrollmentServiceError><ErrorType>`+escaped+`</ErrorType><TraceId>`+escaped+
		`</TraceId></DeviceEnrollmentServiceError></s:Detail></s:Fault>`+end)
	fail(500, nil, soap11+`<s:Fault><faultcode>`+escaped+`</faultcode><faultstring>`+escaped+`</faultstring></s:Fault>`+end)
	fail(200, nil, discovered("<EnrollmentServiceUrl>https://mdm.test/"+escaped+"</EnrollmentServiceUrl>"))
	fail(200, nil, "<a>&"+bad+";</a>")
	fail(200, nil, "<a>\x1b[2J</a>")
	fail(307, http.Header{"Location": {"https://" + bad + "/"}}, "")
	fail(200, nil, soap12+"<a/><b/>"+end)
	all = append(all, &mdm.Error{Op: bad, URL: bad, OAuth: bad, Message: bad}, &mdm.Error{Err: errors.New(bad)}, &mdm.Error{Fault: &mdm.Fault{Code: bad}})
	tokens := &mdm.TokenClient{Endpoint: "https://login.test/token", HTTPClient: &http.Client{Transport: newScript([]string{
		`400 {"error":"\u001b[2J\u009b","error_description":"\u202ex\n","trace_id":"\u0007"}`,
	})}}
	_, err := tokens.Exchange(t.Context(), &mdm.TokenRequest{Certificate: deviceCertificate(t), DeviceKey: mdmKey()})
	all = append(all, err)
	unprintable := func(s string) bool { return strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) }
	for i, err := range all {
		var e *mdm.Error
		if err == nil || !errors.As(err, &e) || unprintable(err.Error()) {
			t.Errorf("%d: %q", i, err)
			continue
		}
		if e.Op == bad || e.Err != nil && e.Err.Error() == bad || e.Fault != nil && e.Fault.Code == bad {
			continue // made here
		}
		said := []string{e.OAuth, e.Message, e.TraceID, e.Protocol(), e.Reference(), e.ServerMessage(), e.Remedy()}
		if e.Fault != nil {
			said = append(said, e.Fault.Code, e.Fault.Subcode, e.Fault.Reason, e.Fault.Type, e.Fault.TraceID)
		}
		if unprintable(strings.Join(said, "")) {
			t.Errorf("%d: %q", i, said)
		}
	}
	if _, err := mdm.ParseDocument([]byte("<a>&" + bad + ";</a>")); err == nil || unprintable(err.Error()) {
		t.Errorf("%q", err)
	}
}

// The document's own roots count even if the caller's would do. A document without
// any needs the caller's.
func TestEnrollRoots(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := certify(t, &key.PublicKey, true, nil, key)
	leaf := certify(t, &mdmKey().PublicKey, false, root, key)
	own, foreign := x509.NewCertPool(), x509.NewCertPool()
	own.AddCert(root)
	foreign.AddCert(deviceCertificate(t))
	for name, c := range map[string]struct {
		certs []made
		roots *x509.CertPool
		ok    bool
	}{
		"both":            {[]made{{"Root", root}, {"My", leaf}}, own, true},
		"the document's":  {[]made{{"Root", root}, {"My", leaf}}, nil, true},
		"the caller's":    {[]made{{"My", leaf}}, own, true},
		"nobody's":        {[]made{{"My", leaf}}, nil, false},
		"of another":      {[]made{{"My", leaf}}, foreign, false},
		"two that differ": {[]made{{"Root", root}, {"My", leaf}}, foreign, false},
	} {
		client := &mdm.Client{
			Device: mdm.Device{ID: testDevice}, Roots: c.roots,
			HTTPClient: &http.Client{Transport: canned{Status: 200, Body: answered([]byte(stored(c.certs...)))}},
		}
		e, err := client.Enroll(t.Context(), &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: mdmKey()})
		if (err == nil) != c.ok || (e != nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is missing is an error before anything is sent.
func TestMissingArguments(t *testing.T) {
	client := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: broken{}}}
	d, token, cert := &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, mdm.Token("a.b.c"), deviceCertificate(t)
	enroll := func(d *mdm.Discovery, r *mdm.Request) error {
		_, err := client.Enroll(t.Context(), d, nil, r)
		return err
	}
	renew := func(d *mdm.Discovery, r *mdm.Renewal) error {
		_, err := client.Renew(t.Context(), d, nil, r)
		return err
	}
	for name, err := range map[string]error{
		"Enroll, no discovery":  enroll(nil, &mdm.Request{Credential: token, Key: mdmKey()}),
		"Enroll, no service":    enroll(new(mdm.Discovery), &mdm.Request{Credential: token, Key: mdmKey()}),
		"Enroll, no request":    enroll(d, nil),
		"Enroll, no key":        enroll(d, &mdm.Request{Credential: token}),
		"Enroll, no token":      enroll(d, &mdm.Request{Key: mdmKey()}),
		"Renew, no discovery":   renew(nil, &mdm.Renewal{Certificate: cert, Key: mdmKey()}),
		"Renew, no service":     renew(new(mdm.Discovery), &mdm.Renewal{Certificate: cert, Key: mdmKey()}),
		"Renew, no renewal":     renew(d, nil),
		"Renew, no certificate": renew(d, &mdm.Renewal{Key: mdmKey()}),
		"Renew, no key":         renew(d, &mdm.Renewal{Certificate: cert}),
		"Renew, another key":    renew(d, &mdm.Renewal{Certificate: cert, Key: otherKey()}),
		"Renew, a nil issuer":   renew(d, &mdm.Renewal{Certificate: cert, Key: mdmKey(), Issuers: []*x509.Certificate{nil}}),
	} {
		if e := failure(t, err); e.URL != "" {
			t.Errorf("%s: %v", name, e)
		}
	}
	_, err := client.Policy(t.Context(), nil, token)
	if e := failure(t, err); e.URL != "" {
		t.Errorf("Policy: %v", e)
	}
}

// A token of Azure Attestation in the context is an attestation, too.
func TestEnrollAzureBlob(t *testing.T) {
	client := &mdm.Client{
		Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: canned{Status: 200, Body: answered([]byte(madeDocument(t, &mdmKey().PublicKey)))}},
	}
	d, p := &mdm.Discovery{EnrollURL: "https://mdm.test/e", EnrollVersion: "6.0"}, &mdm.Policy{AttestationFailure: "FailOnError"}
	for name, want := range map[string]bool{mdm.ItemAzureBlob: true, "AttestationStatus": false} {
		req := &mdm.Request{Credential: mdm.Token("a.b.c"), Key: mdmKey(), Context: []mdm.Item{{Name: name, Value: "AAAA"}}}
		if _, err := client.Enroll(t.Context(), d, p, req); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
