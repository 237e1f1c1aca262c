package ekcert

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/whiteglove/whiteglove/ekcert/internal/keyname"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A Fetcher asks a maker's service for the certificate of an endorsement
// key, an *[rsa.PublicKey] or *[ecdsa.PublicKey]. It returns it in a form that
// Parse reads; whether it is of the key is checked by who calls. The error
// wraps [ErrNotFound] if the maker has none for this key.
type Fetcher interface {
	Fetch(ctx context.Context, ek crypto.PublicKey) ([]byte, error)
}

// A Service is a maker's service that answers a GET of a URL with the name of
// the key at its end. It is a [Fetcher]. Answers over 64 KiB or after 10 s
// are refused, as are redirects to another host that is not below the URL's, or
// away from https.
//
// Those of Intel and AMD are
//
//	&Service{URL: "https://ekop.intel.com/ekcertservice/", Vendor: "INTC"}
//	&Service{URL: "https://ftpm.amd.com/pki/aia/", Vendor: "AMD"}
//
// Their forms are not specified by the makers, but are those of the
// tpm2-tools and other clients. Intel's has no certificates for machines of
// the 11th generation and later, which have them in NV memory.
type Service struct {
	URL string // what is before the name

	// Vendor is the maker whose names for keys are used: "INTC" or "AMD". It is
	// not used if Name is set.
	Vendor string

	// Name returns the name of a key, escaped for the end of a URL.
	Name func(ek crypto.PublicKey) (string, error)

	HTTPClient *http.Client // if nil, http.DefaultClient
}

// services returns the makers' services.
func (c *Client) services() map[string]Fetcher {
	if c.Services != nil {
		return c.Services
	}
	return map[string]Fetcher{
		"INTC": &Service{URL: "https://ekop.intel.com/ekcertservice/", Vendor: "INTC", HTTPClient: c.HTTPClient},
		"AMD":  &Service{URL: "https://ftpm.amd.com/pki/aia/", Vendor: "AMD", HTTPClient: c.HTTPClient},
	}
}

// Fetch implements [Fetcher]. Errors are of type [*Error] and wrap
// ErrNotFound where the service says 404, ErrNoService where it says 403 or
// 405, or a failure that may pass, as 429 is. They do not name the key: it
// would identify the machine.
func (s *Service) Fetch(ctx context.Context, ek crypto.PublicKey) ([]byte, error) {
	fail := &Error{Op: "fetch", Origin: wire.Redact(s.URL)}
	name, err := s.name(ek)
	if err != nil {
		fail.Err = err
		return nil, fail
	}
	answer, err := get(ctx, s.HTTPClient, s.URL+name, maxSize)
	if err != nil {
		fail.Err = s.withoutName(err)
		return nil, fail
	}
	fail.HTTPStatus, fail.RetryAfter = answer.Status, wire.RetryAfter(answer.Header, time.Now())
	switch answer.Status {
	case http.StatusOK:
		return answer.Body, nil
	case http.StatusNotFound, http.StatusGone:
		fail.Err = ErrNotFound
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		fail.Err = fmt.Errorf("%w: HTTP status %d", ErrNoService, answer.Status)
	default:
		fail.Err = fmt.Errorf("HTTP status %d", answer.Status)
	}
	return nil, fail
}

// name returns what the service calls a key.
func (s *Service) name(ek crypto.PublicKey) (string, error) {
	var name string
	var err error
	switch {
	case s.Name != nil:
		return s.Name(ek)
	case s.Vendor == "INTC":
		name, err = keyname.Intel(ek)
	case s.Vendor == "AMD":
		name, err = keyname.AMD(ek)
	default:
		return "", errors.New("the service has no Name, and no Vendor whose names are known")
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return name, nil
}

// withoutName takes the name of the key out of a [url.Error].
func (s *Service) withoutName(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return &url.Error{Op: ue.Op, URL: wire.Redact(s.URL), Err: ue.Err}
	}
	return err
}
