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
			return Circle(via[0].URL.String(), req.URL.String())
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

// Circle returns the error for more than MaxRedirects redirects of a request to the URL
// first, of which the next would lead to the URL last. It wraps [ErrRedirect].
func Circle(first, last string) error {
	first, last = Redact(first), Redact(last)
	if first == last {
		last = "the same address"
	}
	return &circle{last}
}

// A circle is the error for too many redirects.
type circle struct{ last string }

// Error says how many there are, and where they lead to.
func (c *circle) Error() string {
	return fmt.Sprintf("%v: more than %d, the last to %s", ErrRedirect, MaxRedirects, c.last)
}

// Unwrap returns ErrRedirect.
func (c *circle) Unwrap() error { return ErrRedirect }

// remedy returns what to do so that the redirects of a host end.
func (c *circle) remedy(host string) string {
	return fmt.Sprintf("The redirects go in a circle, or are too many: tell the operator of %s, or look for a portal or proxy on the way.", host)
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
