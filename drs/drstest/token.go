package drstest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const grantJWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// How long tokens are valid: that of a join, and that of a joined device.
const (
	joinTokenLife   = time.Hour
	deviceTokenLife = 65 * time.Minute
)

// noGrant refuses a token.
func noGrant(code, suberror string, number int, format string, args ...any) error {
	return &refused{status: http.StatusBadRequest, oauth: true, code: code, subcode: suberror, aadsts: number, reason: fmt.Errorf(format, args...)}
}

// serveToken is the token endpoint.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return noGrant("invalid_request", "", 900144, "body: %w", err)
	}
	form := r.PostForm
	assertion, request := form.Get("assertion"), form.Get("request")
	switch grant := form.Get("grant_type"); {
	case grant == "srv_challenge":
		s.mu.Lock()
		nonce := s.nonces.issue(s.now(), base64.RawURLEncoding)
		s.mu.Unlock()
		reply(w, http.StatusOK, map[string]string{"Nonce": nonce})
		return nil
	case grant != grantJWT:
		return noGrant("unsupported_grant_type", "", 70003, "grant type %q", grant)
	case (assertion == "") == (request == ""):
		return noGrant("invalid_request", "", 900144, "one of assertion and request must be given")
	case assertion != "":
		return s.serveAssertion(w, r, assertion)
	default:
		return s.serveRequest(w, request)
	}
}

// serveRequest answers a request that is signed by a joined device.
func (s *Server) serveRequest(w http.ResponseWriter, text string) error {
	claims, device, err := s.signedByDevice(text)
	if err != nil {
		return err
	}
	str := func(name string) string { v, _ := claims[name].(string); return v }
	if grant := str("grant_type"); grant != "device_token" {
		return noGrant("unsupported_grant_type", "", 70003, "grant type %q in the request", grant)
	}
	if str("client_id") == "" {
		return noGrant("invalid_request", "", 900144, "no client_id")
	}
	if iss := str("iss"); iss != "aad:brokerplugin" {
		return noGrant("invalid_grant", "", 50013, "issuer %q", iss)
	}
	resource := str("resource")
	if !slices.Contains(s.resources(), resource) {
		return noGrant("invalid_resource", "", 500011, "resource %q not found in the tenant", resource)
	}
	s.mu.Lock()
	ok := s.nonces.use(str("request_nonce"), s.now())
	s.mu.Unlock()
	if !ok {
		return noGrant("invalid_grant", "", 50196, "request_nonce is unknown, used or expired")
	}
	return s.replyToken(w, resource, deviceTokenLife, jwt.MapClaims{
		"deviceid": device.DeviceID, "oid": device.ObjectID, "sub": device.DeviceID,
		"amr": []string{"rsa"}, "uti": newGUID(),
	})
}

// signedByDevice returns the claims of a JWT, and the device whose certificate
// and signature it bears.
func (s *Server) signedByDevice(text string) (jwt.MapClaims, *Object, error) {
	var device *Object
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	_, err := parser.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		cert, err := leaf(t.Header["x5c"])
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		o := s.byCertificate(cert)
		switch {
		case o == nil:
			return nil, errNoDevice
		case !o.Enabled:
			return nil, errDisabled
		case s.now().After(cert.NotAfter) || s.now().Before(cert.NotBefore):
			return nil, errors.New("device certificate is not valid now")
		}
		copied := o.clone()
		device = &copied
		return cert.PublicKey, nil
	})
	switch {
	case errors.Is(err, errNoDevice):
		return nil, nil, noGrant("invalid_grant", "device_not_found", 50155, "%w", errNoDevice)
	case errors.Is(err, errDisabled):
		return nil, nil, noGrant("invalid_grant", "device_disabled", 135011, "%w", errDisabled)
	case err != nil:
		return nil, nil, noGrant("invalid_grant", "device_authentication_failed", 50155, "request: %w", err)
	}
	if err := s.inTime(claims); err != nil {
		return nil, nil, noGrant("invalid_grant", "", 500133, "request: %w", err)
	}
	return claims, device, nil
}

var (
	errNoDevice = errors.New("no device has this certificate")
	errDisabled = errors.New("device is disabled")
)

func (s *Server) resources() []string {
	if s.Resources != nil {
		return s.Resources
	}
	return []string{ManagementResource}
}

// skew is how far clocks may differ.
const skew = 5 * time.Minute

// inTime checks the times among claims, where there are any. Real clients send
// them as numbers or as strings.
func (s *Server) inTime(claims jwt.MapClaims) error {
	for _, c := range []struct {
		name  string
		wrong func(at, now time.Time) bool
	}{
		{"exp", func(at, now time.Time) bool { return !now.Before(at.Add(skew)) }},
		{"nbf", func(at, now time.Time) bool { return now.Add(skew).Before(at) }},
		{"iat", func(at, now time.Time) bool { return now.Add(skew).Before(at) }},
	} {
		at, ok, err := timeOf(claims[c.name])
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if ok && c.wrong(at, s.now()) {
			return fmt.Errorf("%s is %s", c.name, at.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// timeOf reads a time in Unix seconds. It reports whether there is one.
func timeOf(v any) (time.Time, bool, error) {
	switch v := v.(type) {
	case nil:
		return time.Time{}, false, nil
	case float64:
		return time.Unix(int64(v), 0), true, nil
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return time.Unix(n, 0), err == nil, err
	}
	return time.Time{}, false, fmt.Errorf("%T is no time", v)
}

// replyToken signs a token and answers with it as Entra's older endpoint does,
// with numbers as strings.
func (s *Server) replyToken(w http.ResponseWriter, resource string, life time.Duration, claims jwt.MapClaims) error {
	key, err := s.signingKey()
	if err != nil {
		return err
	}
	now := s.now()
	claims["aud"], claims["iss"], claims["tid"] = resource, s.Issuer(), s.tenantID()
	claims["iat"], claims["nbf"], claims["exp"] = now.Unix(), now.Unix(), now.Add(life).Unix()
	claims["idtyp"], claims["ver"] = "device", "1.0"
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	text, err := token.SignedString(key)
	if err != nil {
		return err
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	reply(w, http.StatusOK, map[string]string{
		"token_type": "Bearer", "access_token": text, "resource": resource,
		"expires_in": number(int64(life / time.Second)), "expires_on": number(now.Add(life).Unix()), "not_before": number(now.Unix()),
	})
	return nil
}
