package refusal

import (
	"crypto/x509"
	"errors"
	"strings"

	"github.com/whiteglove/whiteglove/internal/plain"
)

// words replaces what libraries say for programmers. Where they speak of a time, an
// audience or an issuer, the words stay: clients know those of real services.
var words = strings.NewReplacer(
	"token is unverifiable: error while executing keyfunc: ", "",
	"token is unverifiable: ", "",
	"token is malformed: token contains an invalid number of segments", "it is not a JWT, which has three parts between dots",
	"token contains an invalid number of segments", "it is not a JWT, which has three parts between dots",
	"token is malformed: could not base64 decode header: ", "the header of the JWT is malformed: ",
	"token is malformed: could not JSON decode header: ", "the header of the JWT is malformed: ",
	"token is malformed: could not base64 decode claim: ", "the claims of the JWT are malformed: ",
	"token is malformed: could not JSON decode claim: ", "the claims of the JWT are malformed: ",
	"token is malformed: could not base64 decode signature: ", "the signature of the JWT is malformed: ",
	"token is malformed: ", "the JWT is malformed: ",
	"token has invalid claims: ", "",
	"token is missing required claim: ", "",
	"token signature is invalid: crypto/rsa: verification error", "the signature is not by the expected key",
	"token signature is invalid: crypto/ecdsa: verification error", "the signature is not by the expected key",
	"token signature is invalid: signature is invalid", "the signature is not by the expected key",
	"token signature is invalid: verification error", "the signature is not by the expected key",
	"token signature is invalid: ", "the signature is not valid: ",
	"crypto/rsa: verification error", "the signature is not by the expected key",
	"crypto/ecdsa: verification error", "the signature is not by the expected key",
	"asn1: structure error: ", "it is not DER of the expected form: ",
	"asn1: syntax error: ", "it is not DER of the expected form: ",
	"asn1: ", "", "x509: ", "", "jwt: ", "",
)

// Text returns what a refusal says in plain words, without those of Go's packages and of
// libraries. A certificate that is not valid at a time keeps its words, which tell the
// time of the server.
func Text(reason error) string {
	if reason == nil {
		return ""
	}
	text := reason.Error()
	var invalid x509.CertificateInvalidError
	if !errors.As(reason, &invalid) || invalid.Reason != x509.Expired {
		text = plain.Text(reason)
	}
	return words.Replace(text)
}
