package ekcert

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

const (
	fetchTime  = 10 * time.Second // for one answer
	maxCRLSize = 4 << 20          // bytes
)

// errSlow is the error if a server takes longer than fetchTime. Unlike the end of the
// caller's context, it may pass.
var errSlow = errors.New("no answer in time")

// errElsewhere is the error of a redirect that is not followed.
var errElsewhere = errors.New("redirect to another host")

// get fetches a URL. It does not follow redirects to another host.
func get(ctx context.Context, client *http.Client, address string, limit int64) (*wire.Answer, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("not an http or https URL")
	}
	short, cancel := context.WithTimeoutCause(ctx, fetchTime, errSlow)
	defer cancel()
	req, err := http.NewRequestWithContext(short, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := wire.Do(staying(client), req, limit)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(short), errSlow) {
		return nil, wire.OwnLimit(errSlow, err)
	}
	return answer, err
}

// staying returns a copy of client that follows redirects only to the host of the
// request and to hosts below it. Strangers may share any wider domain, such as co.uk
// or the domain of a provider.
func staying(client *http.Client) *http.Client {
	if client == nil {
		client = http.DefaultClient
	}
	own := *client
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if !within(req.URL.Hostname(), via[0].URL.Hostname()) {
			return fmt.Errorf("%w, %s", errElsewhere, req.URL.Hostname())
		}
		if client.CheckRedirect != nil {
			return client.CheckRedirect(req, via)
		}
		return nil
	}
	return &own
}

// within reports whether host is domain or a name below it.
func within(host, domain string) bool {
	host, domain = strings.ToLower(host), strings.ToLower(domain)
	return host == domain || domain != "" && strings.HasSuffix(host, "."+domain)
}

// fetch gets an issuer or a CRL from the cache or the network and passes it to keep.
// If keep accepts it, it goes to the cache until the time that keep returns.
func (c *Client) fetch(ctx context.Context, address string, limit int64, keep func([]byte) (until time.Time, err error)) error {
	if c.Cache != nil {
		if body := c.Cache.Load(address); body != nil {
			if _, err := keep(body); err == nil {
				return nil
			}
		}
	}
	answer, err := get(ctx, c.strangers(), address, limit)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("HTTP status %d", answer.Status)
	}
	until, err := keep(answer.Body)
	if err == nil && c.Cache != nil {
		c.Cache.Store(address, answer.Body, until)
	}
	return err
}
