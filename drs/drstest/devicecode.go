package drstest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	grantDeviceCode = "urn:ietf:params:oauth:grant-type:device_code"
	deviceCodeLife  = 15 * time.Minute // validity of a device code
)

// A deviceCode is a sign-in by a code that the user enters on any device (RFC 8628).
type deviceCode struct {
	userCode string
	client   string
	expires  time.Time
	upn      string // who has signed in, or ""
	declined bool
}

// serveDeviceCode begins a sign-in by a device code.
func (s *Server) serveDeviceCode(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return noGrant("invalid_request", "", 900144, "body: %w", err)
	}
	client := r.PostForm.Get("client_id")
	if err := s.checkClient(client, ""); err != nil {
		return err
	}
	code := &deviceCode{userCode: strings.ToUpper(rand.Text()[:9]), client: client, expires: s.now().Add(deviceCodeLife)}
	id := secret()
	s.mu.Lock()
	s.deviceCodes.Put(id, code, s.now(), code.expires.Add(deviceCodeLife)) // an expired one is refused as such for a while
	s.mu.Unlock()
	page := s.base(r) + "/devicelogin"
	answer := map[string]any{
		"user_code": code.userCode, "device_code": id, "verification_uri": page,
		"expires_in": int64(deviceCodeLife / time.Second), "interval": 1,
		"message": "To sign in, use a web browser to open the page " + page + " and enter the code " + code.userCode + " to authenticate.",
	}
	if !s.isV2(r) {
		answer["verification_url"], answer["expires_in"], answer["interval"] = page, number(int64(deviceCodeLife/time.Second)), "1"
		delete(answer, "verification_uri")
	}
	reply(w, http.StatusOK, answer)
	return nil
}

// EnterCode stands for the page at which a user enters a device code and signs in. If upn is "",
// the user declines. It reports whether the code is known and was not entered before. The
// server has no such page.
func (s *Server) EnterCode(userCode, upn string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found *deviceCode
	for _, c := range s.deviceCodes.All() {
		if strings.EqualFold(c.userCode, userCode) && c.upn == "" && !c.declined {
			found = c
			break
		}
	}
	if found == nil {
		return false
	}
	found.upn, found.declined = upn, upn == ""
	return true
}

// PendingCodes returns the user codes that have not been entered, in no order.
func (s *Server) PendingCodes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, c := range s.deviceCodes.All() {
		if c.upn == "" && !c.declined {
			out = append(out, c.userCode)
		}
	}
	return out
}

// byDeviceCode returns the user who has signed in by a device code, and uses the code up.
func (s *Server) byDeviceCode(form url.Values) (*User, error) {
	id := form.Get("code")
	if id == "" {
		id = form.Get("device_code")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, _ := s.deviceCodes.Get(id)
	switch {
	case c == nil || !strings.EqualFold(c.client, form.Get("client_id")):
		return nil, noGrant("invalid_grant", "", 70018, "the device code is not known, or is of another client")
	case c.declined:
		return nil, noGrant("authorization_declined", "", 50126, "the user declined")
	case s.now().After(c.expires):
		return nil, noGrant("expired_token", "", 70019, "the device code has expired")
	case c.upn == "":
		return nil, noGrant("authorization_pending", "", 70016, "authorization is pending, continue polling")
	}
	s.deviceCodes.Delete(id)
	return s.userLocked(c.upn)
}
