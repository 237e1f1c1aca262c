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

const (
	grantJWT  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantSAML = "urn:ietf:params:oauth:grant-type:saml1_1-bearer"
)

const (
	joinTokenLife   = time.Hour        // validity of a token for a join, and of a user's token
	deviceTokenLife = 65 * time.Minute // validity of a joined device's token
)

// noGrant returns the error of a token request that is refused. number is that of AADSTS.
func noGrant(code, suberror string, number int, format string, args ...any) error {
	return &refused{status: http.StatusBadRequest, oauth: true, code: code, subcode: suberror, aadsts: number, reason: fmt.Errorf(format, args...)}
}

// serveToken is the token endpoint.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.Header.Get("Content-Type") == "" { // some clients leave it out, and the service reads the form
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if err := r.ParseForm(); err != nil {
		return noGrant("invalid_request", "", 900144, "body: %w", err)
	}
	form := r.PostForm
	assertion, request := form.Get("assertion"), form.Get("request")
	switch grant := form.Get("grant_type"); {
	case grant == "srv_challenge":
		reply(w, http.StatusOK, map[string]string{"Nonce": s.newNonce("Token", &s.nonces, base64.RawURLEncoding)})
		return nil
	case grant == "password", grant == "refresh_token", grant == "authorization_code", grant == grantDeviceCode:
		return s.serveUser(w, r)
	case grant != grantJWT:
		return noGrant("unsupported_grant_type", "", 70003, "grant type %q", grant)
	case (assertion == "") == (request == ""):
		return noGrant("invalid_request", "", 900144, "one of assertion and request must be given")
	case assertion != "":
		return s.serveAssertion(w, r, assertion)
	default:
		return s.serveRequest(w, r, request)
	}
}

// serveRequest answers a request that a joined device signed, or the session key of a user on
// one.
func (s *Server) serveRequest(w http.ResponseWriter, r *http.Request, text string) error {
	token, _, err := jwt.NewParser().ParseUnverified(text, jwt.MapClaims{})
	if err != nil {
		return noGrant("invalid_grant", "", 50013, "request: %w", err)
	}
	if token.Method.Alg() == jwt.SigningMethodHS256.Alg() {
		return s.serveSession(w, r, text)
	}
	claims, device, err := s.signedByDevice(text)
	if err != nil {
		return err
	}
	if err := s.checkClient(claimText(claims, "client_id"), claimText(claims, "redirect_uri")); err != nil {
		return err
	}
	grant := claimText(claims, "grant_type")
	onDevice := grant == "refresh_token" && claims["resource"] != nil
	if grant != "device_token" && !onDevice {
		protocol, err := s.protocolOf(r)
		if err != nil {
			return err
		}
		if protocol == 4 {
			return s.serveDeviceSession(w, r, claims, token, device)
		}
		return s.serveSignIn(w, r, claims, token.Header, device, nil)
	}
	if iss := claimText(claims, "iss"); iss != "aad:brokerplugin" {
		return noGrant("invalid_grant", "", 50013, "issuer %q", iss)
	}
	if onDevice {
		return s.serveUserOnDevice(w, r, claims, device)
	}
	resource := claimText(claims, "resource")
	if !s.hasResource(resource) {
		return noGrant("invalid_resource", "", 500011, "resource %q not found in the tenant", resource)
	}
	if err := s.useNonce(claims); err != nil {
		return err
	}
	answer, err := s.token(r, resource, deviceTokenLife, jwt.MapClaims{
		"deviceid": device.DeviceID, "oid": device.ObjectID, "sub": device.DeviceID, "idtyp": "device",
		"amr": []string{"rsa"}, "uti": newGUID(),
	})
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, answer)
	return nil
}

// serveUserOnDevice issues a token for a resource to the user of a refresh token, in a request
// that the user's device signed.
func (s *Server) serveUserOnDevice(w http.ResponseWriter, r *http.Request, claims jwt.MapClaims, device *Object) error {
	if err := s.useNonce(claims); err != nil {
		return err
	}
	u, err := s.userOf(claims)
	if err != nil {
		return err
	}
	return s.replyUser(w, r, &userAnswer{
		user: u, client: claimText(claims, "client_id"), resource: claimText(claims, "resource"),
		scope: strings.Fields(claimText(claims, "scope")), deviceID: device.DeviceID,
	})
}

// claimText returns a claim, or "" if it is not a string.
func claimText(claims jwt.MapClaims, name string) string {
	text, _ := claims[name].(string)
	return text
}

// useNonce uses up the nonce of a request.
func (s *Server) useNonce(claims jwt.MapClaims) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.nonces.use(claimText(claims, "request_nonce"), s.now()) {
		return noGrant("invalid_grant", "", 50196, "request_nonce is unknown, used or expired")
	}
	return nil
}

// signedByDevice verifies a JWT with the device certificate in its header, and returns its
// claims and that device.
func (s *Server) signedByDevice(text string) (jwt.MapClaims, *Object, error) {
	var device *Object
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256", "ES256"}), jwt.WithoutClaimsValidation())
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

// hasResource reports whether joined devices and users get tokens for a resource.
func (s *Server) hasResource(name string) bool {
	if s.Resources == nil {
		return name == ManagementResource
	}
	return slices.Contains(s.Resources, name)
}

// skew is the largest accepted difference of clocks.
const skew = 5 * time.Minute

// inTime checks the claims exp, nbf and iat, each of which may be missing. Real clients send
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
	return time.Time{}, false, fmt.Errorf("a %T is not a time", v)
}

// token signs a token and returns the answer with it. In the older endpoint, numbers are
// strings.
func (s *Server) token(r *http.Request, resource string, life time.Duration, claims jwt.MapClaims) (map[string]any, error) {
	key, err := s.signingKey()
	if err != nil {
		return nil, err
	}
	now := s.now()
	end := now.Add(life)
	if op, _ := route(s.path(r)); s.fault(op) == FaultExpired {
		end = now.Add(-skew)
	}
	claims["aud"], claims["iss"], claims["tid"] = resource, s.Issuer(), s.tenantID()
	claims["iat"], claims["nbf"], claims["exp"] = now.Unix(), now.Unix(), end.Unix()
	claims["ver"] = "1.0"
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	if err != nil {
		return nil, err
	}
	if s.isV2(r) {
		seconds := int64(life / time.Second)
		return map[string]any{"token_type": "Bearer", "access_token": text, "expires_in": seconds, "ext_expires_in": seconds}, nil
	}
	return map[string]any{
		"token_type": "Bearer", "access_token": text, "resource": resource,
		"expires_in": number(int64(life / time.Second)), "expires_on": number(now.Add(life).Unix()), "not_before": number(now.Unix()),
	}, nil
}

// number returns a number as a text.
func number(n int64) string { return strconv.FormatInt(n, 10) }
