package mdm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/xmltree"
)

// Either sign in a policy asks for an attestation.
func TestAsksAttestation(t *testing.T) {
	for p, want := range map[*Policy]bool{
		{}: false, {AttestationFailure: "fail"}: true, {Azure: new(AzureAttestation)}: true, {AttestationFailure: "x", Azure: new(AzureAttestation)}: true,
	} {
		if p.AsksAttestation() != want {
			t.Errorf("%+v: %v", p, !want)
		}
	}
}

// Each part of a claim has 1 to 4096 bytes.
func TestClaimParts(t *testing.T) {
	for size, ok := range map[int]bool{0: false, 1: true, 4096: true, 4097: false} {
		for i := range 3 {
			parts := [][]byte{{1}, {1}, {1}}
			parts[i] = make([]byte, size)
			if _, err := Claim(&Statement{PublicArea: parts[0], Attest: parts[1], Signature: parts[2]}); (err == nil) != ok {
				t.Errorf("part %d of %d bytes: %v", i, size, err)
			}
		}
	}
}

// A nonce of at most 64 bytes goes to the TPM as it is, and a longer one as its
// SHA-256.
func TestAzureNonce(t *testing.T) {
	for size, want := range map[int]int{1: 1, 64: 64, 65: 32} {
		got := 0
		evidence := &AzureEvidence{Certify: func(_ context.Context, nonce []byte) (*Statement, *Statement, error) {
			got = len(nonce)
			return nil, nil, errors.New("enough")
		}}
		challenge := &azureChallenge{Challenge: base64.RawURLEncoding.EncodeToString(make([]byte, size))}
		if _, err := new(AzureAttestation).request(t.Context(), challenge, evidence); err == nil || got != want {
			t.Errorf("%d bytes: %d in the TPM, %v", size, got, err)
		}
	}
}

// The claims of a token of up to 64 KiB are read, and times that are some.
func TestClaimsLimits(t *testing.T) {
	for size, ok := range map[int]bool{64 << 10: true, 64<<10 + 1: false} {
		token := Token("e30.e30.")
		token += Token(strings.Repeat("x", size-len(token)))
		if _, err := token.Claims(); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	for text, want := range map[string]int64{"": 0, "x": 0, "-1": 0, "0": 0, "0.5": 0, "1": 1, "1.9": 1, "1099511627776": 1 << 40, "1099511627777": 0, "1e300": 0} {
		got := instant(json.Number(text))
		if want == 0 && text != "0.5" && !got.IsZero() || want != 0 && got.Unix() != want {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// What a device may be called.
func TestDeviceLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		device Device
		ok     bool
	}{
		"the least":        {Device{ID: "x"}, true},
		"64 characters":    {Device{ID: strings.Repeat("x", 64)}, true},
		"65 characters":    {Device{ID: strings.Repeat("x", 65)}, false},
		"no identifier":    {Device{}, false},
		"edition 1":        {Device{ID: "x", OSEdition: 1}, true},
		"edition below 0":  {Device{ID: "x", OSEdition: -1}, false},
		"three numbers":    {Device{ID: "x", OSVersion: "10.0.1"}, false},
		"a name with NUL":  {Device{ID: "x", Name: "a\x00"}, false},
		"an odd character": {Device{ID: "x_y"}, false},
	} {
		if err := tt.device.Check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := &Device{OSEdition: 0}
	if err := d.checkFields(); err != nil && strings.Contains(err.Error(), "negative") {
		t.Error(err)
	}
}

// Names of users in both forms.
func TestIsUser(t *testing.T) {
	for user, ok := range map[string]bool{
		`CONTOSO\ada`: true, `\ada`: false, `CONTOSO\`: false, `\`: false, `CONTOSO\ada@x`: false, "CONTOSO\\a\x00": false,
		"ada@contoso.com": true, "@contoso.com": false, "ada@contoso": false, "ada@con@toso.com": false, "ada": false, "": false, "a\x00@contoso.com": false,
	} {
		if isUser(user) != ok {
			t.Errorf("%q: %v", user, !ok)
		}
	}
}

// A version is two numbers.
func TestMajor(t *testing.T) {
	for version, want := range map[string]int{"5.0": 5, "255.255": 255, "5": -1, "5.": -1, ".0": -1, "5.x": -1, "x.5": -1, "256.0": -1, "5.256": -1, "5.0.0": -1, "": -1} {
		n, err := major(version)
		if err != nil {
			n = -1
		}
		if n != want {
			t.Errorf("%q: %d, %v", version, n, err)
		}
	}
}

// What a document may contain, and how much.
func TestDocumentLimits(t *testing.T) {
	const head, tail = `<wap-provisioningdoc>`, `</wap-provisioningdoc>`
	for name, tt := range map[string]struct {
		text string
		ok   bool
	}{
		"empty":                    {head + tail, true},
		"1 MiB":                    {head + strings.Repeat(" ", 1<<20-len(head+tail)) + tail, true},
		"more":                     {head + strings.Repeat(" ", 1<<20-len(head+tail)+1) + tail, false},
		"a removed characteristic": {head + `<nocharacteristic type="A"/>` + tail, true},
		"a removed parm":           {head + `<characteristic type="A"><noparm name="B"/></characteristic>` + tail, true},
		"removed without a name":   {head + `<nocharacteristic/>` + tail, false},
		"a parm without a name":    {head + `<characteristic type="A"><noparm/></characteristic>` + tail, false},
		"another element":          {head + `<other type="A"/>` + tail, false},
	} {
		if _, err := ParseDocument([]byte(tt.text)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, err := ParseDocument([]byte(head + `<nocharacteristic type="A"/><characteristic type="B"><noparm name="C"/></characteristic>` + tail))
	if err != nil || len(d.Characteristics) != 2 || !d.Characteristics[0].Removed || d.Characteristics[0].Type != "A" ||
		d.Characteristics[1].Removed || len(d.Characteristics[1].Characteristics) != 1 || d.Characteristics[1].Characteristics[0].Type != "C" {
		t.Errorf("%+v, %v", d, err)
	}
}

// A certificate that begins in a little while is checked for the time when it
// begins, and any other for the present time.
func TestCheckTime(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c := &Client{Now: func() time.Time { return at }}
	for early, want := range map[time.Duration]time.Duration{
		-time.Hour: 0, 0: 0, time.Second: time.Second, clockSkew: clockSkew, clockSkew + 1: 0,
	} {
		if got := c.checkTime(&x509.Certificate{NotBefore: at.Add(early)}); got.Sub(at) != want {
			t.Errorf("%v early: checked for %v later", early, got.Sub(at))
		}
	}
}

// What a context item may hold, and which of several is asked for.
func TestItems(t *testing.T) {
	for i, ok := range map[Item]bool{
		{"A", "b"}: true, {"A", ""}: true, {"", "b"}: false, {"A\x00", "b"}: false, {"A", "\x00"}: false,
	} {
		if err := i.check(); (err == nil) != ok {
			t.Errorf("%+v: %v", i, err)
		}
	}
	for _, tt := range []struct {
		items []Item
		want  bool
	}{
		{nil, false},
		{[]Item{{"A", "true"}}, true},
		{[]Item{{"A", "TRUE"}}, true},
		{[]Item{{"A", "false"}}, false},
		{[]Item{{"B", "true"}}, false},
		{[]Item{{"B", "true"}, {"A", "false"}}, false},
		{[]Item{{"B", "false"}, {"A", "true"}}, true},
	} {
		if has(tt.items, "A") != tt.want {
			t.Errorf("%+v: %v", tt.items, !tt.want)
		}
	}
}

// The key length of a policy is a number from 0 to 16384, of which less than
// 2048 means 2048.
func TestKeyLength(t *testing.T) {
	for text, want := range map[string]int{"": 0, "0": 2048, "1024": 2048, "3072": 3072, "16384": 16384, "16385": -1, "-1": -1, "x": -1} {
		e, err := xmltree.Parse([]byte(`<key><minimalKeyLength>`+text+`</minimalKeyLength></key>`), 10)
		if err != nil {
			t.Fatal(err)
		}
		var p Policy
		if err := p.readNumbers(new(element), e); err != nil {
			p.MinimalKeyLength = -1
		}
		if p.MinimalKeyLength != want {
			t.Errorf("%q: %d", text, p.MinimalKeyLength)
		}
	}
}

// Which clients have no transport of their caller's.
func TestOwnTransport(t *testing.T) {
	type another struct{ http.RoundTripper }
	for name, tt := range map[string]struct {
		client *http.Client
		own    bool
	}{
		"no client": {nil, true}, "no transport": {new(http.Client), true},
		"a transport of the library": {&http.Client{Transport: new(http.Transport)}, true}, "another": {&http.Client{Transport: another{}}, false},
	} {
		if got := (&Client{HTTPClient: tt.client}).ownTransport(); got != tt.own {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The times of a schedule are 1 to 1000 days, and a try takes no longer than
// what is left.
func TestScheduleLimits(t *testing.T) {
	for _, tt := range []struct {
		period, interval string
		before, retry    int // days
	}{
		{"", "", 42, 7},
		{"60", "4", 60, 4},
		{"0", "0", 42, 7},
		{"1000", "1000", 1000, 1000},
		{"1001", "1", 42, 1},
		{"10", "10", 10, 10},
		{"10", "11", 10, 7},
		{"5", "", 5, 5},
		{"x", "-1", 42, 7},
	} {
		text := fmt.Sprintf(`<wap-provisioningdoc><characteristic type="CertificateStore"><characteristic type="My"><characteristic type="WSTEP"><characteristic type="Renew">
<parm name="RenewPeriod" value="%s"/><parm name="RetryInterval" value="%s"/></characteristic></characteristic></characteristic></characteristic></wap-provisioningdoc>`, tt.period, tt.interval)
		d, err := ParseDocument([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		const day = 24 * time.Hour
		if s := d.Schedule(); s.Before != time.Duration(tt.before)*day || s.Retry != time.Duration(tt.retry)*day {
			t.Errorf("%q, %q: %+v", tt.period, tt.interval, s)
		}
	}
}

// A bearer token is visible ASCII.
func TestCheckToken(t *testing.T) {
	for token, ok := range map[string]bool{"!x~": true, "a b": false, "a\x7f": false, "a\n": false, "ä": false, "": false} {
		if err := (&tokenAnswer{TokenType: "bearer", AccessToken: token}).checkToken(); (err == nil) != ok {
			t.Errorf("%q: %v", token, err)
		}
	}
	if (&tokenAnswer{TokenType: "mac", AccessToken: "x"}).checkToken() == nil {
		t.Error("another type")
	}
}

// What is wrong with a TLS certificate decides the code.
func TestBadCertificate(t *testing.T) {
	refused := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	expired := x509.CertificateInvalidError{Reason: x509.Expired}
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"another error":     {errors.New("no"), 0},
		"expired elsewhere": {expired, 0},
		"expired":           {refused(expired), certificateDate},
		"a name":            {refused(x509.HostnameError{}), certificateOther},
		"not a CA":          {refused(x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}), certificateOther},
	} {
		if got := badCertificate(tt.err); got != tt.want {
			t.Errorf("%s: %d", name, got)
		}
	}
	date := &Error{Op: opDiscover, Err: refused(expired)}
	if got := date.HRESULT(); got != codeDiscoveryDate {
		t.Errorf("%#x", got)
	}
	// Once there is a status the connection has stood.
	if got := (&Error{Op: opEnroll, HTTPStatus: 500, Err: refused(expired)}).HRESULT(); got == codeInvalidCert {
		t.Errorf("%#x", got)
	}
	if got := (&Error{Op: opNonce, Err: refused(expired)}).HRESULT(); got == codeInvalidCert {
		t.Errorf("at the token endpoint: %#x", got)
	}
}

// The text of an error has the parts that there are.
func TestErrorParts(t *testing.T) {
	for want, e := range map[string]*Error{
		"mdm: Enroll https://mdm.test/x: no":                      {Op: opEnroll, URL: "https://mdm.test/x", Err: hresult.Errorf(1, "no")},
		"mdm: Enroll: no":                                         {Op: opEnroll, Err: hresult.Errorf(1, "no")},
		"mdm: Enroll: fault s:Receiver s:Authorization DeviceCap": {Op: opEnroll, Fault: &Fault{Code: "s:Receiver", Subcode: "s:Authorization", Type: "DeviceCap"}},
		"mdm: Enroll: fault s:Receiver DeviceCap":                 {Op: opEnroll, Fault: &Fault{Code: "s:Receiver", Type: "DeviceCap"}},
	} {
		got := e.Error()
		if text, code, _ := strings.Cut(got, " (0x"); text != want || len(code) != 9 {
			t.Errorf("%q, want %q and a code", got, want)
		}
	}
	if got := (&Error{Op: opEnroll, Err: context.Canceled}).Error(); strings.Contains(got, "0x") {
		t.Errorf("%q has no code", got)
	}
}
