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
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A Fetcher asks a maker's service for certificates.
type Fetcher interface {
	// Fetch returns the certificate of the endorsement key ek, an
	// *rsa.PublicKey or *ecdsa.PublicKey, in a form that Parse reads. The
	// caller checks that it is for the key. The error wraps [ErrNotFound] if
	// the maker has none for this key.
	Fetch(ctx context.Context, ek crypto.PublicKey) ([]byte, error)
}

// A Service is a maker's service that answers the GET of a URL which ends in a name of
// the key. It is a [Fetcher].
//
// The services of Intel and AMD are
//
//	&Service{URL: "https://ekop.intel.com/ekcertservice/", Vendor: "INTC"}
//	&Service{URL: "https://ftpm.amd.com/pki/aia/", Vendor: "AMD"}
//
// The makers do not document them; the names are those of tpm2-tools and other clients.
// Intel's service has no certificates for machines of the 11th generation and later,
// which have them in NV memory.
type Service struct {
	URL string // the part of the URL before the name

	// Vendor is the maker whose way to name keys is used: "INTC" for the SHA-256
	// in base64url, "AMD" for half of a SHA-256 in hexadecimal. It is not used if
	// Name is set.
	Vendor string

	// Name, if set, returns the name of a key, escaped for the end of a URL. Its
	// error should wrap [ErrNotFound] if there cannot be one.
	Name func(ek crypto.PublicKey) (string, error)

	HTTPClient *http.Client // if nil, http.DefaultClient
}

// services returns Services or its default.
func (c *Client) services() map[string]Fetcher {
	if c.Services != nil {
		return c.Services
	}
	return map[string]Fetcher{
		"INTC": &Service{URL: "https://ekop.intel.com/ekcertservice/", Vendor: "INTC", HTTPClient: c.HTTPClient},
		"AMD":  &Service{URL: "https://ftpm.amd.com/pki/aia/", Vendor: "AMD", HTTPClient: c.HTTPClient},
	}
}

// Fetch implements [Fetcher]. It gives up after 10 seconds, accepts at most 64 KiB, and
// follows redirects only to the same host or one below it, and not from https to http.
//
// The error is an [*Error]. It wraps [ErrNotFound] if the HTTP status is 404 or 410, or
// the maker has no name for the key; [ErrNoService] if the status is 403 or 405; and the
// error of ctx if that ended first. The HTTPStatus has any status other than 200. The
// error does not have the name of the key, which would identify the machine.
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
		if !wire.IsHTML(answer.Body) {
			return answer.Body, nil
		}
		fail.HTTPStatus, fail.RetryAfter = 0, 0
		fail.Err = fmt.Errorf("%w: %w: %q", ErrMalformed, wire.ErrWebPage, wire.Page(answer.Body))
	case http.StatusNotFound, http.StatusGone:
		fail.Err = ErrNotFound
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		fail.Err = fmt.Errorf("%w: HTTP status %d", ErrNoService, answer.Status)
	default:
		fail.Err = fmt.Errorf("HTTP status %d", answer.Status)
	}
	return nil, fail
}

// name returns the name of a key at the service.
func (s *Service) name(ek crypto.PublicKey) (string, error) {
	var name string
	var err error
	switch {
	case !isKey(ek):
		return "", errNoKey
	case s.Name != nil:
		name, err = s.Name(ek)
		if err == nil && name == "" {
			err = misuse.Neither("Service.Name", "a name")
		}
		return name, misuse.Of("Service.Name", err)
	case s.Vendor == "INTC":
		name, err = keyname.Intel(ek)
	case s.Vendor == "AMD":
		name, err = keyname.AMD(ek)
	default:
		return "", errors.New("the service has neither a Name nor a Vendor whose names are known")
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return name, nil
}

// withoutName removes the name of the key from a [url.Error].
func (s *Service) withoutName(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return &url.Error{Op: ue.Op, URL: wire.Redact(s.URL), Err: ue.Err}
	}
	return err
}
