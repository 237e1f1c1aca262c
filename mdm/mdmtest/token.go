package mdmtest

import (
	"encoding/base64"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Fixed strings of credentials.
const (
	typeJWT       = "urn:ietf:params:oauth:token-type:jwt"
	typeUserToken = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentUserToken"
	typePassword  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
	usernameID    = "uuid-cc1ccc1f-2fba-4bcf-b063-ffc0cac77917-4"
	userScope     = "mdm_delegation"
)

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// claims are the claims of a management token that the server reads.
type claims struct {
	jwt.RegisteredClaims
	TenantID string `json:"tid"`
	Type     string `json:"idtyp"`
	DeviceID string `json:"deviceid"`
	UPN      string `json:"upn"`
	Scope    string `json:"scp"`
}

// A caller is the device or the user that a credential belongs to.
type caller struct {
	id       string // the directory's identifier of the device, or "user:" and the user's name
	deviceID string // the directory's identifier of the device that the token is for, also if it is a user's; "" if there is none
	user     bool
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

// authenticate returns the caller that the credential in a request belongs to.
func (s *Server) authenticate(e *envelope) (*caller, error) {
	security := e.Header[0].Security
	if len(security) == 1 && security[0].MustUnderstand == "1" && len(security[0].User) == 1 && len(security[0].Token) == 0 && s.Passwords != nil {
		return s.checkPassword(security[0].User[0])
	}
	if len(security) != 1 || security[0].MustUnderstand != "1" || len(security[0].Token) != 1 || len(security[0].User) != 0 {
		return nil, refuse(securityFault, "not exactly one wsse:Security that must be understood, with one BinarySecurityToken")
	}
	bst := security[0].Token[0]
	opaque := bst.ValueType == typeUserToken && s.OpaqueTokens != nil
	if bst.ValueType != typeJWT && !opaque || bst.EncodingType != typeBase64 {
		return nil, refuse(securityFault, "a token of the type %.100q in the encoding %.100q is not accepted", bst.ValueType, bst.EncodingType)
	}
	text, err := base64.StdEncoding.DecodeString(bst.Text)
	if err != nil {
		return nil, refuse(securityFault, "token: %w", err)
	}
	if !opaque {
		return s.checkToken(string(text))
	}
	user, ok := s.OpaqueTokens(string(text))
	if !ok {
		return nil, refuse(authenticationFault, "opaque token is not known")
	}
	return ofUser(user), nil
}

// ofUser returns the caller for a user.
func ofUser(name string) *caller { return &caller{id: "user:" + strings.ToLower(name), user: true} }

// read returns the name and the password in a UsernameToken, which must have
// the form that [MS-MDE2] shows.
func (u userToken) read() (name, password string, err error) {
	if u.ID != usernameID || len(u.Name) != 1 || u.Name[0] == "" || len(u.Password) != 1 || u.Password[0].Type != typePassword {
		return "", "", refuse(securityFault, "UsernameToken with Id %.60q, %d names, %d passwords", u.ID, len(u.Name), len(u.Password))
	}
	return u.Name[0], u.Password[0].Text, nil
}

// checkPassword checks a name and a password.
func (s *Server) checkPassword(u userToken) (*caller, error) {
	name, password, err := u.read()
	if err != nil {
		return nil, err
	}
	if !s.Passwords(name, password) {
		return nil, refuse(authenticationFault, "wrong name or password")
	}
	return ofUser(name), nil
}

// checkToken checks a token. It accepts RS256 only, whatever the token's header
// says, and ignores any key in that header.
func (s *Server) checkToken(text string) (*caller, error) {
	if s.TokenKey == nil || s.TokenKey() == nil {
		return nil, refuse(authenticationFault, "the server has no key to check tokens with")
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
		return nil, refuse(authenticationFault, "token: %w", err)
	}
	switch {
	case c.NotBefore == nil:
		return nil, refuse(authenticationFault, "token: no nbf")
	case !strings.EqualFold(c.TenantID, s.tenantID()):
		return nil, refuse(authenticationFault, "token of tenant %.60q", c.TenantID)
	case s.Quirks.NeedUPN && c.UPN == "":
		return nil, malformed("invalid UPN claim")
	case c.Type != "device" && s.Users != nil:
		return s.checkUser(c)
	case c.Type != "device":
		return nil, refuse(authorizationFault, "the token is of the type %.60q, not of a device, and Server.Users is nil", c.Type)
	case !guid.MatchString(c.DeviceID):
		return nil, refuse(authenticationFault, "token: deviceid %.60q is not a GUID", c.DeviceID)
	}
	return &caller{id: strings.ToLower(c.DeviceID), deviceID: strings.ToLower(c.DeviceID)}, nil
}

// checkUser checks the claims of a user's token.
func (s *Server) checkUser(c *claims) (*caller, error) {
	switch {
	case c.Type != "" && c.Type != "user":
		return nil, refuse(authorizationFault, "a token of the type %.60q is not accepted", c.Type)
	case c.UPN == "":
		return nil, refuse(authenticationFault, "token: no upn")
	case !strings.Contains(" "+c.Scope+" ", " "+userScope+" "):
		return nil, refuse(authorizationFault, "token: scp %.60q has no %s", c.Scope, userScope)
	case !s.Users(c.UPN):
		return nil, refuse(authorizationFault, "user %.100q may not enroll", c.UPN)
	}
	who := ofUser(c.UPN)
	if guid.MatchString(c.DeviceID) {
		who.deviceID = strings.ToLower(c.DeviceID)
	}
	return who, nil
}
