package drstest_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/errtext"
	"github.com/whiteglove/whiteglove/internal/refusal"
)

// A refusal has no words of Go's packages or of the JWT library.
func TestRefusalText(t *testing.T) {
	sign := func(claims jwt.MapClaims) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("key"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good, past := sign(jwt.MapClaims{"exp": 4e9}), sign(jwt.MapClaims{"exp": 1e9})
	parse := func(text string, key any, failed error) error {
		_, err := jwt.NewParser(jwt.WithExpirationRequired()).Parse(text, func(*jwt.Token) (any, error) { return key, failed })
		return fmt.Errorf("token: %w", err)
	}
	var v struct{ N int }
	_, der := asn1.Unmarshal([]byte{4, 0}, &v)
	late := x509.CertificateInvalidError{Cert: new(x509.Certificate), Reason: x509.Expired, Detail: "current time 2024-11-29T07:46:46Z is before 2026-11-29T07:41:46Z"}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"garbage":      {parse("garbage", nil, nil), "token: it is not a JWT, which has three parts between dots"},
		"own":          {parse(good, nil, errors.New("no device has this key")), "token: no device has this key"},
		"expired":      {parse(past, []byte("key"), nil), "token: token is expired"},
		"no time":      {parse(sign(nil), []byte("key"), nil), "token: exp claim is required"},
		"other key":    {parse(good, []byte("other"), nil), "token: the signature is not by the expected key"},
		"header":       {parse("!."+good[strings.Index(good, ".")+1:], nil, nil), "token: the header of the JWT is malformed: "},
		"no JSON":      {parse("AAAA.AAAA.AAAA", nil, nil), "token: the header of the JWT is malformed: "},
		"RSA":          {fmt.Errorf("request: %w", rsa.ErrVerification), "request: "},
		"DER":          {fmt.Errorf("certificate request: %w", der), "certificate request: it is not DER"},
		"DER, as text": {fmt.Errorf("certificate request: %v", der), "certificate request: it is not DER"},
		"late":         {fmt.Errorf("key: %w", late), "key: certificate has expired or is not yet valid: current time "},
	} {
		got := refusal.Text(tt.err)
		if !strings.HasPrefix(got, tt.want) || len(errtext.Faults(got)) > 0 || strings.Contains(got, "keyfunc") || strings.Contains(got, "segments") || strings.Contains(got, "base64 decode") {
			t.Errorf("%s: %q, %q", name, got, errtext.Faults(got))
		}
	}
}
