package ekcert

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// Roots holds trusted root certificates by the short name of the maker, such as
// "INTC", "SIM0" or "00001014" (see [VendorName]). Roots under "" are trusted for
// every maker. The roots of one maker are never used for the certificates of
// another. Nil or empty means that nothing is trusted.
type Roots map[string]*x509.CertPool

// of returns the pools that are trusted for a maker.
func (r Roots) of(vendor string) []*x509.CertPool {
	var pools []*x509.CertPool
	if p := r[vendor]; p != nil && vendor != "" {
		pools = append(pools, p)
	}
	if p := r[""]; p != nil {
		pools = append(pools, p)
	}
	return pools
}

// has reports whether r holds this pool.
func (r Roots) has(pool *x509.CertPool) bool {
	for _, p := range r {
		if p == pool {
			return true
		}
	}
	return false
}

// trusted returns the pools that are trusted for a maker: its Roots, and one with
// the pinned certificates among issuers.
func (c *Client) trusted(vendor string, issuers []*x509.Certificate) []*x509.CertPool {
	pools := c.Roots.of(vendor)
	if !c.pins(vendor) {
		return pools
	}
	pinned := x509.NewCertPool()
	for _, cert := range issuers {
		sum := sha256.Sum256(cert.Raw)
		for maker, pins := range c.Pins {
			if mayUse(maker, vendor) && slices.Contains(pins, sum) {
				pinned.AddCert(cert)
			}
		}
	}
	return append(pools, pinned)
}

// pins reports whether Pins has an entry that may be used for a maker.
func (c *Client) pins(vendor string) bool {
	for maker, pins := range c.Pins {
		if mayUse(maker, vendor) && len(pins) > 0 {
			return true
		}
	}
	return false
}

// mayUse reports whether the pins of a maker are for the certificate of a vendor. If
// that is empty, the root must say whose the certificate is, so all are.
func mayUse(maker, vendor string) bool { return maker == vendor || maker == "" || vendor == "" }

// A Client finds, verifies and enrolls certificates. Its zero value can find them.
// It keeps nothing between calls except in Cache and KnownCAs; several goroutines
// may use it at the same time.
type Client struct {
	// Roots are the trusted roots. Verify and Enroll need them; Verify can use
	// Pins instead.
	Roots Roots

	// Pins holds the SHA-256 digests of root certificates in DER, by the short
	// name of the maker; those under "" are for every maker. Verify trusts such
	// a root like one in Roots if it is among the Issuers of the certificate or
	// was fetched. A certificate that names no maker, as those of some clouds,
	// may lead to the pinned root of any. Enroll does not use Pins to check the
	// CA.
	Pins map[string][][sha256.Size]byte

	// Intermediates are CA certificates for building chains. They are not
	// trusted by themselves. It may be nil.
	Intermediates *x509.CertPool

	// SystemStore returns the certificates that the operating system keeps,
	// each in a form that Parse reads. If nil, it reads the registry on
	// Windows, where a maintenance task stores the certificates that it
	// downloads for firmware TPMs; on other systems it returns none.
	SystemStore func(ctx context.Context) ([][]byte, error)

	// Services are the makers' services, by the short name of the maker. Find
	// asks one for a certificate that is neither in NV memory nor in
	// SystemStore. If nil, the services of Intel and AMD are used (see
	// [Service]); an empty map uses none.
	Services map[string]Fetcher

	// FetchIssuers makes Verify fetch missing issuers from the URLs in the
	// certificates. Leave it unset on a server that verifies certificates of
	// others: they would choose to which hosts it connects.
	FetchIssuers bool

	// CheckRevocation makes Verify fetch the CRLs that the certificates name.
	// Their URLs, too, are chosen by whoever issued the certificates. If a
	// certificate has no CRL that can be used, Verify reports that as a finding
	// ("revocation-unknown") and accepts the chain.
	CheckRevocation bool

	// RequireRevocation makes Verify check revocation, as CheckRevocation does,
	// and refuse a chain unless a valid CRL covers each of its certificates.
	RequireRevocation bool

	// AllowPrivateHosts permits Verify to fetch issuers and CRLs from addresses
	// that are not public, such as loopback, private and link-local ones. If it
	// is false, Verify does not connect to such an address, even if a redirect or
	// a host name leads there, because whoever made the certificate chose the
	// URL. There are two exceptions: an HTTPClient with a Transport is used
	// without this check, and a proxy from the environment resolves host names
	// itself.
	AllowPrivateHosts bool

	// Cache keeps fetched issuers and CRLs. If nil, they are not kept.
	Cache Cache

	// KnownCAs remembers CAs that lead to a root, so that Verify is faster for
	// the next certificate of the same CA. If nil, none are remembered.
	KnownCAs *KnownCAs

	// SCEPURL is the URL of the maker's SCEP service, without a query. Only
	// Enroll and Begin need it.
	SCEPURL string

	HTTPClient *http.Client     // if nil, http.DefaultClient
	Now        func() time.Time // current time; if nil, time.Now
	Logger     *slog.Logger     // if nil, nothing is logged; it never gets a key or its hash
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// debug logs a message. Its arguments must not identify a key, because an
// endorsement key identifies a machine.
func (c *Client) debug(msg string, args ...any) {
	if c.Logger != nil {
		c.Logger.Debug(msg, args...)
	}
}
