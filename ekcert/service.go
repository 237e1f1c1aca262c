package ekcert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

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
//	&Service{URL: "https://ekop.intel.com/ekcertservice/", Name: IntelName}
//	&Service{URL: "https://ftpm.amd.com/pki/aia/", Name: AMDName}
//
// Their forms are not specified by the makers, but are those of the
// tpm2-tools and other clients. Intel's has no certificates for machines of
// the 11th generation and later, which have them in NV memory.
type Service struct {
	URL        string                                    // what is before the name
	Name       func(ek crypto.PublicKey) (string, error) // escaped for the end of a URL
	HTTPClient *http.Client                              // if nil, http.DefaultClient
}

// services returns the makers' services.
func (c *Client) services() map[string]Fetcher {
	if c.Services != nil {
		return c.Services
	}
	return map[string]Fetcher{
		"INTC": &Service{URL: "https://ekop.intel.com/ekcertservice/", Name: IntelName, HTTPClient: c.HTTPClient},
		"AMD":  &Service{URL: "https://ftpm.amd.com/pki/aia/", Name: AMDName, HTTPClient: c.HTTPClient},
	}
}

// Fetch implements [Fetcher]. Errors are of type [*Error] and wrap
// ErrNotFound where the service says 404, ErrNoService where it says 403 or
// 405, or a failure that may pass, as 429 is. They do not name the key: it
// would identify the machine.
func (s *Service) Fetch(ctx context.Context, ek crypto.PublicKey) ([]byte, error) {
	fail := &Error{Op: "fetch", Origin: wire.Redact(s.URL)}
	if s.Name == nil {
		fail.Err = errors.New("the service has no Name")
		return nil, fail
	}
	name, err := s.Name(ek)
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

// withoutName takes the name of the key out of a [url.Error].
func (s *Service) withoutName(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return &url.Error{Op: ue.Op, URL: wire.Redact(s.URL), Err: ue.Err}
	}
	return err
}

// IntelName returns what Intel's service calls a key: the SHA-256 of the
// modulus and the exponent 01 00 01 (RSA) or of both coordinates (ECC), in
// URL-safe base64 whose padding is percent-encoded: the service refuses a
// bare "=". There is no name for an RSA key with another exponent.
func IntelName(ek crypto.PublicKey) (string, error) {
	var in []byte
	switch k := ek.(type) {
	case *rsa.PublicKey:
		if k.E != 65537 {
			return "", fmt.Errorf("%w: Intel's service has no name for the exponent %d", ErrNotFound, k.E)
		}
		in = append(modulus(k), 0x01, 0x00, 0x01)
	case *ecdsa.PublicKey:
		point, err := coordinates(k)
		if err != nil {
			return "", err
		}
		in = point
	default:
		return "", noName(ek)
	}
	sum := sha256.Sum256(in)
	return url.QueryEscape(base64.URLEncoding.EncodeToString(sum[:])), nil
}

// AMDName returns what AMD's service calls a key: the first half of a SHA-256,
// in hexadecimal, over 00 00 22 22, the exponent in 4 bytes and the modulus
// (RSA), or over 00 00 44 44 and both coordinates (ECC).
func AMDName(ek crypto.PublicKey) (string, error) {
	var in []byte
	switch k := ek.(type) {
	case *rsa.PublicKey:
		in = binary.BigEndian.AppendUint32([]byte{0x00, 0x00, 0x22, 0x22}, uint32(k.E))
		in = append(in, modulus(k)...)
	case *ecdsa.PublicKey:
		point, err := coordinates(k)
		if err != nil {
			return "", err
		}
		in = append([]byte{0x00, 0x00, 0x44, 0x44}, point...)
	default:
		return "", noName(ek)
	}
	sum := sha256.Sum256(in)
	return hex.EncodeToString(sum[:16]), nil
}

func noName(ek crypto.PublicKey) error {
	return fmt.Errorf("%w: the service has no name for a key of type %T", ErrNotFound, ek)
}

func modulus(k *rsa.PublicKey) []byte { return k.N.FillBytes(make([]byte, k.Size())) }

// coordinates returns X and Y in the width of the curve.
func coordinates(k *ecdsa.PublicKey) ([]byte, error) {
	point, err := k.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return point[1:], nil // without 04, the form
}
