package mdmtest

import (
	"encoding/base64"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const typeJWT = "urn:ietf:params:oauth:token-type:jwt"

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// claims are those of a management token that the server reads.
type claims struct {
	jwt.RegisteredClaims
	TenantID string `json:"tid"`
	Type     string `json:"idtyp"`
	DeviceID string `json:"deviceid"`
}

func (s *Server) tenantID() string {
	if s.TenantID != "" {
		return s.TenantID
	}
	return DefaultTenantID
}

func (s *Server) issuer() string {
	if s.Issuer != "" {
		return s.Issuer
	}
	return "https://sts.windows.net/" + s.tenantID() + "/"
}

func (s *Server) resource() string {
	if s.Resource != "" {
		return s.Resource
	}
	return DefaultResource
}

// authenticate returns the directory's identifier of the device whose token
// the request has.
func (s *Server) authenticate(e *envelope) (string, error) {
	security := e.Header[0].Security
	if len(security) != 1 || security[0].MustUnderstand != "1" || len(security[0].Token) != 1 {
		return "", refuse(securityFault, "no one wsse:Security that must be understood with one BinarySecurityToken")
	}
	bst := security[0].Token[0]
	if bst.ValueType != typeJWT || bst.EncodingType != typeBase64 {
		return "", refuse(securityFault, "token of type %.100q, encoding %.100q", bst.ValueType, bst.EncodingType)
	}
	text, err := base64.StdEncoding.DecodeString(bst.Text)
	if err != nil {
		return "", refuse(securityFault, "token: %w", err)
	}
	return s.checkToken(string(text))
}

// checkToken judges a token. Only RS256 is known, whatever the token's header
// says, and no key in that header is looked at.
func (s *Server) checkToken(text string) (string, error) {
	if s.TokenKey == nil || s.TokenKey() == nil {
		return "", refuse(authenticationFault, "the server knows no key of token issuers")
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
		jwt.WithIssuer(s.issuer()),
		jwt.WithAudience(s.resource()),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(s.now),
	)
	c := new(claims)
	if _, err := parser.ParseWithClaims(text, c, func(*jwt.Token) (any, error) { return s.TokenKey(), nil }); err != nil {
		return "", refuse(authenticationFault, "token: %w", err)
	}
	switch {
	case c.NotBefore == nil:
		return "", refuse(authenticationFault, "token: no nbf")
	case !strings.EqualFold(c.TenantID, s.tenantID()):
		return "", refuse(authenticationFault, "token of tenant %.60q", c.TenantID)
	case c.Type != "device":
		return "", refuse(authorizationFault, "token of type %.60q, not of a device", c.Type)
	case !guid.MatchString(c.DeviceID):
		return "", refuse(authenticationFault, "token: deviceid %.60q is no GUID", c.DeviceID)
	}
	return strings.ToLower(c.DeviceID), nil
}
