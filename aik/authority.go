package aik

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/scep"
)

// placeholder stands for the name of the authority in Client.URL.
const placeholder = "{authority}"

// windowsURL is the URL of the attestation CA of Windows.
const windowsURL = "https://" + placeholder + ".microsoftaik.azure.net/templates/Aik/scep"

// URLs returns the URLs at which the attestation CA of Windows may serve a TPM, the
// likeliest first. vendor is the TCG vendor ID of the TPM, such as "INTC" or
// "id:494E5443". chain is the endorsement certificate, followed by its issuers as far
// as they are known; nil certificates are skipped.
//
// The host is named after the authority key identifier of the endorsement certificate
// or, for some makers, of an issuer above it. Without authority key identifiers there
// are no URLs.
func URLs(vendor string, chain []*x509.Certificate) []string {
	return expand(windowsURL, vendor, chain)
}

// expand returns url with the placeholder replaced by the name of each candidate for
// the authority, or url alone if it has no placeholder.
func expand(url, vendor string, chain []*x509.Certificate) []string {
	if !strings.Contains(url, placeholder) {
		return []string{url}
	}
	var urls []string
	for _, c := range chain {
		if c == nil || len(c.AuthorityKeyId) == 0 {
			continue
		}
		name := vendorName(vendor) + "-KeyId-" + hex.EncodeToString(c.AuthorityKeyId)
		u := strings.ReplaceAll(url, placeholder, name)
		if !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	return urls
}

// vendorName returns a vendor ID in the form that host names have: "INTC" for
// "id:494E5443" and for "INTC", "IFX" for "IFX ", and hexadecimal digits for an ID
// with characters other than letters and digits.
func vendorName(id string) string {
	raw, err := hex.DecodeString(strings.TrimPrefix(id, "id:"))
	if !strings.HasPrefix(id, "id:") || err != nil {
		raw = []byte(id)
	}
	name := strings.Trim(string(raw), "\x00 ")
	for _, r := range name {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return strings.ToUpper(hex.EncodeToString(raw))
		}
	}
	return name
}

// findAuthority asks the CAs at urls for their capabilities and certificates until one
// exists. It goes on only if a CA does not exist: one that fails otherwise may be the
// right one, so its error is returned.
func (c *Client) findAuthority(ctx context.Context, ch *Challenge, urls []string) error {
	var failed attempts
	for _, u := range urls {
		ch.x.URL, ch.URL = u, wire.Redact(u)
		ca, err := c.scepClient(u, ch.x.RequestID).CA(ctx, "")
		if err == nil {
			c.debug("attestation CA found", "url", ch.URL)
			ch.x.CA = ca
			return checkCA(ca)
		}
		failed = append(failed, err)
		if !isNoAuthority(err) {
			return failed
		}
		c.debug("no attestation CA", "url", ch.URL)
	}
	return fmt.Errorf("%w: %w", ErrNoAuthority, failed)
}

// isNoAuthority reports whether err says that there is no such CA: HTTP status 404 in
// answer to GetCACaps.
func isNoAuthority(err error) bool {
	var e *scep.Error
	return errors.As(err, &e) && e.Op == "GetCACaps" && e.HTTPStatus == http.StatusNotFound
}

// attempts are the errors of the CAs that were tried, in order.
type attempts []error

func (a attempts) Error() string {
	var text []string
	for _, err := range a {
		text = append(text, err.Error())
	}
	return strings.Join(text, "; ")
}

// Unwrap returns the errors with the last one first, because that one decided.
func (a attempts) Unwrap() []error {
	all := slices.Clone(a)
	slices.Reverse(all)
	return all
}

// checkCA checks what [scep.Client.CA] does not check.
func checkCA(ca *scep.CA) error {
	if !ca.Caps.Has(capability) {
		return fmt.Errorf("%w: %s", scep.ErrCapability, capability)
	}
	return challenge.CheckRoles(ca)
}
