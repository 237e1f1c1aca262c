package autopilot

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/internal/ztd"
)

const opDownload = "Download"

// A ProfileClient downloads a device's profile. URL and Ticket are required. It
// keeps nothing between calls; several goroutines may use it at the same time.
//
// What is known of the public service at https://ztd.dds.microsoft.com is that the
// request carries a device ticket of the Microsoft account service in the header
// X-Device-Token, a correlation vector, and since July 2022 the hardware hash; that
// the service compares the device of the ticket with that of the hash; and the form
// of the answer. Path and body of the request are not public. This client sends
// what this module's test server expects (package autopilottest): a POST of JSON
// with the member hardwareHash.
type ProfileClient struct {
	// URL is the address to which the request is sent. It is https, or http on
	// the loopback interface.
	URL string

	// Ticket returns a device ticket. This module obtains none: it talks to no
	// Microsoft account service. The ticket is neither logged nor kept.
	Ticket func(ctx context.Context) (string, error)

	// HTTPClient sends the request. If nil, it is http.DefaultClient. A redirect
	// is a refusal: it is not followed, because it would carry the ticket along.
	HTTPClient *http.Client

	Now    func() time.Time // current time; if nil, time.Now
	Logger *slog.Logger     // if nil, nothing is logged
}

// Download asks for the profile of the device with the hash h. A device asks at
// each start until it is provisioned, and Windows keeps an empty answer until the
// next start (documented), so that [ErrNoProfile] may pass after an assignment.
//
// The error is an [*Error]. It has the Code of a refusal, such as 807 for a device
// that is not registered and 808 for one of another tenant; see the package
// documentation of codes. It wraps [ErrNoProfile] if no profile is assigned,
// [ErrMalformed] if the answer cannot be read, [ErrRefused] if h is a mock and the
// service is not on the loopback interface, the error of Ticket, and the error of
// ctx if that ended first.
func (c *ProfileClient) Download(ctx context.Context, h *Hash) (*Profile, error) {
	if h == nil || c.Ticket == nil {
		return nil, &Error{Op: opDownload, Err: misuse.Errorf("a download needs a hash, and the ProfileClient a Ticket")}
	}
	p, err := c.download(ctx, h)
	if err != nil {
		var own *Error
		if !errors.As(err, &own) {
			own = &Error{Err: err}
		}
		own.Op, own.URL = opDownload, wire.Redact(c.URL)
		return nil, own
	}
	return p, nil
}

func (c *ProfileClient) download(ctx context.Context, h *Hash) (*Profile, error) {
	if err := c.check(h); err != nil {
		return nil, err
	}
	ticket, err := c.Ticket(ctx)
	if err == nil && ticket == "" {
		err = misuse.Neither("ProfileClient.Ticket", "a ticket")
	}
	if err != nil {
		return nil, fmt.Errorf("device ticket: %w", misuse.Of("ProfileClient.Ticket", err))
	}
	body, err := json.Marshal(map[string]string{"hardwareHash": h.String()})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("cannot make a request of this URL")
	}
	vector := correlationVector()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "whiteglove")
	req.Header.Set("X-Device-Token", ticket)
	req.Header.Set("MS-CV", vector)
	answer, err := wire.Do(wire.NoRedirects(c.HTTPClient), req, maxProfile)
	if err != nil {
		if errors.Is(err, wire.ErrTooLarge) {
			err = malformed("%w", err)
		}
		return nil, &Error{RequestID: vector, Err: err}
	}
	if c.Logger != nil {
		c.Logger.DebugContext(ctx, "autopilot", "op", opDownload, "url", wire.Redact(c.URL), "status", answer.Status, "ms-cv", vector)
	}
	return c.read(answer, vector)
}

// check checks what does not need the service.
func (c *ProfileClient) check(h *Hash) error {
	switch {
	case h.Mock() && !wire.Loopback(c.URL):
		return fmt.Errorf("%w: the hash is a mock", ErrRefused)
	}
	return wire.CheckSecure(c.URL)
}

// read reads an answer. A refusal may come with any status.
func (c *ProfileClient) read(answer *wire.Answer, vector string) (*Profile, error) {
	p, err := parseProfile(answer.Body)
	refused := answer.Status < 200 || answer.Status > 299
	if err == nil && !refused {
		return p, nil
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{}
		switch {
		case wire.IsHTML(answer.Body) && (!refused || wire.Barred(answer.Status)):
			e.Message, e.Err = wire.Page(answer.Body), malformed("%w", wire.ErrWebPage)
		case refused:
			e.Message = wire.Page(answer.Body)
		default:
			e.Err = err
		}
	}
	if e.Code == ztd.NoProfile {
		e.Err = ErrNoProfile
	}
	e.HTTPStatus = answer.Status
	e.RetryAfter = wire.RetryAfter(answer.Header, c.now())
	if e.RequestID == "" {
		e.RequestID = vector
	}
	return nil, e
}

func (c *ProfileClient) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// correlationVector returns a new correlation vector (version 2: 22 characters of
// base64, and a counter), which the service's logs show.
func correlationVector() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return base64.RawStdEncoding.EncodeToString(b[:]) + ".0"
}
