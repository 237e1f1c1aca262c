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

// placeholder stands for the authority's name in Client.URL.
const placeholder = "{authority}"

// windowsURL is where the attestation CA of Windows serves.
const windowsURL = "https://" + placeholder + ".microsoftaik.azure.net/templates/Aik/scep"

// URLs returns the addresses at which Windows's attestation CA may serve a TPM,
// likeliest first. vendor is the TPM's TCG vendor ID, such as "INTC"; chain is
// its endorsement certificate, followed by the issuers as far as known.
//
// The host is named after the key identifier of the issuer of the endorsement
// certificate. For some makers it is that of an issuer further up. Without key
// identifiers there are no addresses.
func URLs(vendor string, chain []*x509.Certificate) []string {
	return expand(windowsURL, vendor, chain)
}

// expand puts the names of the authorities into a URL. A URL without a place
// for them is the only one.
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

// vendorName returns a vendor ID as host names have it: "INTC" for "id:494E5443"
// and for "INTC", "IFX" for "IFX ", and eight hexadecimal digits for what has no
// letters.
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

// findAuthority asks the CAs at urls for their capabilities and certificates
// until one exists. Only the answer that there is no such CA leads to the next:
// the first that fails otherwise may be the right one, and is to be asked again.
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

// isNoAuthority reports whether err says that there is no such CA: 404 to the
// question for capabilities.
func isNoAuthority(err error) bool {
	var e *scep.Error
	return errors.As(err, &e) && e.Op == "GetCACaps" && e.HTTPStatus == http.StatusNotFound
}

// attempts are the errors of all CAs that were tried, in order.
type attempts []error

func (a attempts) Error() string {
	var text []string
	for _, err := range a {
		text = append(text, err.Error())
	}
	return strings.Join(text, "; ")
}

// Unwrap returns the last error first: it is the one that decides.
func (a attempts) Unwrap() []error {
	all := slices.Clone(a)
	slices.Reverse(all)
	return all
}

// checkCA checks what [scep.Client.CA] does not.
func checkCA(ca *scep.CA) error {
	if !ca.Caps.Has(capability) {
		return fmt.Errorf("%w: %s", scep.ErrCapability, capability)
	}
	return challenge.CheckRoles(ca)
}
