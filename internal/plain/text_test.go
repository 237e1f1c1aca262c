package plain_test

import (
	"compress/flate"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/internal/errtext"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// parsed returns the error of a text that is not a URL.
func parsed(text string) error { return second(url.Parse(text)) }

func second[T any](_ T, err error) error { return err }

// dial is a connection that fails.
func dial(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}, Err: os.NewSyscallError("connect", err)}
}

func request(err error) error { return &url.Error{Op: "Get", URL: "https://a.test/", Err: err} }

// Errors of Go's packages speak in plain words wherever they are in a chain, and stay in
// it.
func TestText(t *testing.T) {
	var object struct{ Number int }
	leaf := &x509.Certificate{
		RawIssuer: []byte{1}, RawSubject: []byte{2}, Issuer: pkix.Name{CommonName: "Proxy CA"}, Subject: pkix.Name{CommonName: "a.test"},
		DNSNames: []string{"b.test"}, NotAfter: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), NotBefore: time.Date(2025, 1, 2, 3, 4, 0, 0, time.UTC),
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"refused packet":  {&net.OpError{Op: "read", Net: "udp", Addr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 123}, Err: os.NewSyscallError("read", syscall.ECONNREFUSED)}, "nothing listens at 192.0.2.1:123"},
		"flate":           {flate.CorruptInputError(7), "the packed data is damaged"},
		"JSON":            {json.Unmarshal([]byte("\xc3\x9e"), &object), "it is not JSON (at byte 1)"},
		"foreign XML":     {xml.Unmarshal([]byte("<\xde\xad/>"), &object), "it is not well-formed XML (line 1: invalid XML name)"},
		"foreign name":    {&xml.SyntaxError{Msg: "invalid XML name: 0\xde\x1b", Line: 1}, "it is not well-formed XML (line 1: invalid XML name)"},
		"TPM":             {fmt.Errorf("x: %w", tpm2.TPMRCBadAuth), "x: TPM_RC_BAD_AUTH (handle 0): the authorization value is wrong"},
		"TPM's lockout":   {tpm2.TPMRCLockout, "TPM_RC_LOCKOUT: the TPM takes no authorization value for now, after too many wrong ones"},
		"foreign prefix":  {errors.New("http: bad \xde\x1b"), "bad \uFFFD\uFFFD"},
		"empty JSON":      {json.Unmarshal(nil, &object), "it is empty"},
		"cut JSON":        {json.Unmarshal([]byte(`{"Number":`), &object), "the JSON ends in the middle"},
		"other JSON":      {json.Unmarshal([]byte(`{"Number":"x"}`), &object), `"Number" in the JSON has to be a whole number, not a string`},
		"no object":       {json.Unmarshal([]byte(`3`), &object), "the JSON has to be an object, not a number"},
		"XML":             {xml.Unmarshal([]byte("<a>"), &object), "it is not well-formed XML (line 1: it ends too early)"},
		"hex":             {second(hex.DecodeString("0g")), `'g' is not a hexadecimal digit`},
		"odd hex":         {second(hex.DecodeString("0")), "the number of hexadecimal digits is odd"},
		"base64":          {second(base64.StdEncoding.DecodeString("a!")), "it is not base64 (at byte 1)"},
		"DER":             {second(asn1.Unmarshal([]byte{1, 2, 3}, &object)), "it is not DER of the expected form"},
		"number":          {second(strconv.Atoi("x")), `"x" is not a number`},
		"large number":    {second(strconv.ParseUint("99999999999999999999", 10, 64)), `the number "99999999999999999999" is too large or too small`},
		"date":            {second(time.Parse(time.RFC3339, "x")), `"x" is not a date`},
		"CSV":             {second(csv.NewReader(strings.NewReader("a\"b,c")).Read()), `line 1, column 2: bare " in non-quoted-field`},
		"end":             {io.ErrUnexpectedEOF, "it ends too early"},
		"certificate":     {second(x509.ParseCertificate([]byte{0x30, 0})), "malformed tbs certificate"},
		"deadline":        {context.DeadlineExceeded, "the time limit ended"},
		"canceled":        {context.Canceled, "canceled"},
		"refused":         {request(dial(syscall.ECONNREFUSED)), `Get "https://a.test/": nothing listens at 192.0.2.1:443: connection refused`},
		"no way":          {dial(syscall.EHOSTUNREACH), "this device has no way to 192.0.2.1:443"},
		"no answer":       {dial(syscall.ETIMEDOUT), "nothing answers at 192.0.2.1:443"},
		"proxy":           {&net.OpError{Op: "proxyconnect", Net: "tcp", Err: dial(syscall.ECONNREFUSED)}, "the proxy is not reached: nothing listens at 192.0.2.1:443: connection refused"},
		"name":            {&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "a.test", Server: "127.0.0.1:53", IsNotFound: true}}, `no such host: "a.test"`},
		"no DNS":          {&net.DNSError{Err: "i/o timeout", Name: "a.test", IsTimeout: true}, `no DNS server answers when asked for "a.test"`},
		"connection cut":  {request(io.EOF), `Get "https://a.test/": the connection was cut before the answer`},
		"reset":           {&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "the connection was cut before the answer"},
		"HTTP/2":          {request(errors.New("stream error: stream ID 1; INTERNAL_ERROR; received from peer")), `Get "https://a.test/": the connection was cut before the answer (HTTP/2 INTERNAL_ERROR)`},
		"GOAWAY":          {errors.New(`http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=""`), "the connection was cut before the answer (HTTP/2 NO_ERROR)"},
		"lost":            {errors.New("http2: client connection lost"), "the connection was cut before the answer"},
		"connection":      {errors.New("connection error: PROTOCOL_ERROR"), "the connection was cut before the answer (HTTP/2 PROTOCOL_ERROR)"},
		"unknown root":    {x509.UnknownAuthorityError{Cert: leaf}, `the certificate "CN=a.test", issued by "CN=Proxy CA", leads to no trusted root`},
		"no subject":      {x509.UnknownAuthorityError{Cert: &x509.Certificate{SerialNumber: big.NewInt(7), Issuer: pkix.Name{CommonName: "CA"}, RawIssuer: []byte{1}}}, `the certificate with the serial number 7, issued by "CN=CA", leads to no trusted root`},
		"no certificate":  {x509.UnknownAuthorityError{}, "the certificate leads to no trusted root"},
		"handshake":       {&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: x509.UnknownAuthorityError{}}, `the server's certificate "CN=a.test", issued by "CN=Proxy CA", leads to no trusted root`},
		"wrong name":      {&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: leaf, Host: "a.test"}}, `the server's certificate is for "b.test", not for "a.test"`},
		"dates":           {x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired}, `the certificate "CN=a.test" has expired or is not valid yet: it is valid from 2025-01-02 03:04 UTC to 2026-01-02 03:04 UTC`},
		"no TLS":          {tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "the server does not speak TLS at this port"},
		"alert":           {&net.OpError{Op: "remote error", Err: tls.AlertError(40)}, "the server ends TLS: handshake failure"},
		"URL":             {parsed("http://" + "a b/"), "it is not a URL: invalid character \" \" in host name"},
		"other":           {errors.New("x: other"), "x: other"},
		"within a word":   {fmt.Errorf("xEOFx: %w", errors.New("EOFs")), "xEOFx: EOFs"},
		"cause is hidden": {plain.Because(io.EOF, "the file of %d bytes is cut", 7), "the file of 7 bytes is cut"},
		"two":             {errors.Join(io.EOF, context.DeadlineExceeded), "it ends too early\nthe time limit ended"},
		"nil":             {nil, ""},
	} {
		if got := plain.Text(c.err); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
		if c.err == nil {
			continue
		}
		deep := fmt.Errorf("reading: %w", fmt.Errorf("the answer: %w", c.err))
		if got := plain.Text(deep); got != "reading: the answer: "+c.want && name != "two" {
			t.Errorf("%s, deep: %q", name, got)
		}
		for _, fault := range errtext.Faults(plain.Text(deep)) {
			t.Errorf("%s: %s", name, fault)
		}
	}
	if err := plain.Because(io.EOF, "x"); !errors.Is(err, io.EOF) {
		t.Error("the cause is lost")
	}
	deep := io.EOF
	for range 10000 {
		deep = fmt.Errorf("%w", deep)
	}
	_ = plain.Text(deep)
}
