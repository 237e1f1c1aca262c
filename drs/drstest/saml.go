package drstest

import (
	"encoding/base64"

	"github.com/whiteglove/whiteglove/drs"
)

// IssueSAML returns an assertion with which a user signs in once: a [drs.SignIn.SAML]. It stands
// for the user's identity provider; its signature is not that of one.
func (s *Server) IssueSAML(upn string) drs.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := newGrant(&s.assertions, grant{upn: upn})
	return drs.Token(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" MajorVersion="1" MinorVersion="1" AssertionID="` + id + `"/>`)
}

// userBySAML returns the user for whom an assertion was issued, and uses it up. As in the
// protocol, text is its base64.
func (s *Server) userBySAML(text string) (*User, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, noGrant("invalid_grant", "", 50013, "assertion: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, g := range s.assertions.All() {
		if string(raw) == `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" MajorVersion="1" MinorVersion="1" AssertionID="`+id+`"/>` {
			s.assertions.Delete(id)
			return s.userLocked(g.upn)
		}
	}
	return nil, noGrant("invalid_grant", "", 50013, "assertion: it is not of the identity provider, or was used")
}
