package wire

import (
	"fmt"
	"net/http"
)

// secure returns a copy of c that does not follow redirects from https to http.
func secure(c *http.Client) *http.Client {
	if c == nil {
		c = http.DefaultClient
	}
	own := *c
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return ErrInsecure
		}
		if len(via) > MaxRedirects {
			return fmt.Errorf("%w: more than %d", ErrRedirect, MaxRedirects)
		}
		if c.CheckRedirect == nil {
			return nil
		}
		err := c.CheckRedirect(req, via)
		if err != nil && err != http.ErrUseLastResponse {
			return fmt.Errorf("%w: %w", ErrRedirect, err)
		}
		return err
	}
	return &own
}

// NoRedirects returns a copy of c (nil: [http.DefaultClient]) that follows no
// redirect: [Do] then returns the redirect as the answer.
func NoRedirects(c *http.Client) *http.Client {
	if c == nil {
		c = http.DefaultClient
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}
