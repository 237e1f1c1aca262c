package ekcert

import (
	"crypto/x509"
	"log/slog"
	"net/http"
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

// A Client finds, checks and enrolls certificates. Its zero value is ready to
// find. It keeps nothing between calls and may be used by several goroutines.
type Client struct {
	// Roots are trusted by Verify and Enroll and required there.
	Roots Roots

	// Intermediates help to build chains. Nothing is trusted for being here.
	// It may be nil.
	Intermediates *x509.CertPool

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
