package scep

import (
	"crypto"
	"fmt"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// Caps holds the capabilities that a server advertises, such as "SHA-256", in
// its order (RFC 8894, section 3.5.2). Unknown ones are kept. Nil means that the
// server advertises none.
type Caps []string

// Has reports whether name is among c. It ignores the case of letters.
func (c Caps) Has(name string) bool {
	return slices.ContainsFunc(c, func(s string) bool { return strings.EqualFold(s, name) })
}

func (c Caps) hasAny(names ...string) bool { return slices.ContainsFunc(names, c.Has) }

// Algorithms describes what a client uses with a server of these capabilities,
// such as "SHA-256, AES-128-CBC, POST, RenewalReq". legacy is the client's
// AllowLegacy. The error wraps both [ErrCapability] and [ErrLegacy] if the
// client may use none of the server's digests or ciphers.
func (c Caps) Algorithms(legacy bool) (string, error) {
	hash, err := c.digest(legacy)
	if err != nil {
		return "", err
	}
	cipher, err := c.cipher(legacy)
	if err != nil {
		return "", err
	}
	method, renewal := "GET", "PKCSReq for renewals"
	if c.post() {
		method = "POST"
	}
	if c.Has("Renewal") {
		renewal = "RenewalReq"
	}
	return fmt.Sprintf("%v, %v, %s, %s", hash, cipher, method, renewal), nil
}

// digest returns the digest for signatures. SHA-1 is the last resort.
func (c Caps) digest(legacy bool) (crypto.Hash, error) {
	switch {
	case c.hasAny("SCEPStandard", "SHA-256"):
		return crypto.SHA256, nil
	case c.Has("SHA-512"):
		return crypto.SHA512, nil
	case legacy:
		return crypto.SHA1, nil
	}
	return 0, fmt.Errorf("%w: neither SHA-256 nor SHA-512: %w", ErrCapability, ErrLegacy)
}

// cipher returns the cipher for requests. Triple DES is the last resort.
func (c Caps) cipher(legacy bool) (cms.Cipher, error) {
	switch {
	case c.hasAny("SCEPStandard", "AES", "AES128"):
		return cms.AES128CBC, nil
	case c.Has("AES256"):
		return cms.AES256CBC, nil
	case legacy:
		return cms.DES3CBC, nil
	}
	return 0, fmt.Errorf("%w: no AES: %w", ErrCapability, ErrLegacy)
}

// post reports whether a message is sent in the body of a POST rather than in
// the URL of a GET (RFC 8894, section 4.1).
func (c Caps) post() bool { return c.hasAny("SCEPStandard", "POSTPKIOperation") }

// parseCaps reads capabilities, one on each line. It skips lines that are not a
// single word, and all after the first hundred capabilities.
func parseCaps(body []byte) Caps {
	const most = 100
	var caps Caps
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if isWord(line) && len(caps) < most {
			caps = append(caps, line)
		}
	}
	return caps
}

// isWord reports whether s may be a capability rather than, say, a line of HTML.
func isWord(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("<>\"{}", r)
	})
}
