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

// Roots are trusted roots by the short name of the maker, see [VendorName]:
// "INTC", "SIM0", "00001014". Those under "" are trusted for every maker. One
// maker's roots are never used for another's certificates.
type Roots map[string]*x509.CertPool

// of returns the pools for a maker.
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

// has reports whether a pool is one of r.
func (r Roots) has(pool *x509.CertPool) bool {
	for _, p := range r {
		if p == pool {
			return true
		}
	}
	return false
}

// trusted returns the pools for a maker: its Roots, and those of issuers that
// are pinned.
func (c *Client) trusted(vendor string, issuers []*x509.Certificate) []*x509.CertPool {
	pools := c.Roots.of(vendor)
	if !c.pins(vendor) {
		return pools
	}
	pinned := x509.NewCertPool()
	for _, cert := range issuers {
		if sum := sha256.Sum256(cert.Raw); slices.Contains(c.Pins[vendor], sum) || slices.Contains(c.Pins[""], sum) {
			pinned.AddCert(cert)
		}
	}
	return append(pools, pinned)
}

// pins reports whether a root of a maker is pinned.
func (c *Client) pins(vendor string) bool {
	return len(c.Pins[""]) > 0 || vendor != "" && len(c.Pins[vendor]) > 0
}

// A Client finds, checks and enrolls certificates. Its zero value is ready to
// find. It keeps nothing between calls but what Cache and KnownCAs keep, and may
// be used by several goroutines.
type Client struct {
	// Roots are trusted by Verify and Enroll and required there.
	Roots Roots

	// Pins are the SHA-256 of roots, DER, that are trusted like Roots for a
	// maker, but have to come from elsewhere: with a certificate, or fetched.
	Pins map[string][][sha256.Size]byte

	// Intermediates help to build chains. Nothing is trusted for being here.
	// It may be nil.
	Intermediates *x509.CertPool

	// SystemStore returns the certificates that the operating system keeps,
	// each in a form that Parse reads. If nil, that is the registry on
	// Windows, where a maintenance task puts what it downloads for firmware
	// TPMs, and nothing elsewhere.
	SystemStore func(ctx context.Context) ([][]byte, error)

	// Services are what Find asks for a certificate that is neither in NV
	// memory nor in SystemStore, by the short name of the maker. If nil, the
	// services of Intel and AMD, see [Service]; an empty map asks nobody.
	Services map[string]Fetcher

	// FetchIssuers has Verify fetch issuers that are missing from where the
	// certificates say that they are. Without it Verify sends no request, as
	// a server wants it that checks certificates of others: they would choose
	// where it connects to.
	FetchIssuers bool

	// CheckRevocation has Verify fetch the CRLs that the certificates name.
	CheckRevocation bool

	// Cache keeps issuers and CRLs that were fetched. If nil, nothing does.
	Cache Cache

	// KnownCAs remembers CAs that were found to lead to a root, which makes
	// Verify faster for the next certificate of the same CA. If nil, nothing
	// does.
	KnownCAs *KnownCAs

	// SCEPURL is the maker's SCEP service, without a query. Only Enroll
	// needs it.
	SCEPURL string

	HTTPClient *http.Client     // if nil, http.DefaultClient
	Now        func() time.Time // if nil, time.Now
	Logger     *slog.Logger     // if nil, nothing is logged
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// debug logs names and counts only: an endorsement key identifies a machine.
func (c *Client) debug(msg string, args ...any) {
	if c.Logger != nil {
		c.Logger.Debug(msg, args...)
	}
}
