package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// A Code is what the user needs for a sign-in on any device.
type Code struct {
	UserCode string    // to be entered, such as "ABCD12345"
	URL      string    // page at which to enter it, such as "https://microsoft.com/devicelogin"
	Message  string    // the service's own instructions; may be empty
	Expires  time.Time // when the code ends
}

// The limits of what a service may say.
const (
	maxCode     = 4096 // size of a code, in bytes
	minInterval = time.Second
	maxInterval = time.Minute
)

// DeviceCode gets a token by a device code (RFC 8628). show is called once with the code and
// must return soon; it tells the user what to do. DeviceCode then asks the service again and
// again, as often as the service allows, until the user has signed in, the code has ended, or
// ctx has.
//
// The error is a [*drs.Error]. It wraps [drs.ErrEndpoint] as that of Password; [drs.ErrMalformed];
// the error of show; or the error of ctx. If the service refuses, it has the service's
// HTTPStatus and Code, such as "authorization_declined" or "expired_token".
func (c *Client) DeviceCode(ctx context.Context, d *drs.Discovery, show func(context.Context, *Code) error) (*Token, error) {
	at, err := endpoint(d, "devicecode")
	if err == nil && show == nil {
		err = misuse.Errorf("there is no function to show the code")
	}
	if err != nil {
		return nil, fail(opDeviceCode, err)
	}
	var a struct {
		DeviceCode string          `json:"device_code"`
		UserCode   string          `json:"user_code"`
		URL        string          `json:"verification_url"`
		URI        string          `json:"verification_uri"`
		Message    string          `json:"message"`
		ExpiresIn  json.RawMessage `json:"expires_in"`
		Interval   json.RawMessage `json:"interval"`
	}
	form := url.Values{"client_id": {c.client()}, "resource": {c.resource(d)}}
	if err := c.post(ctx, opDeviceCode, at, form, &a); err != nil {
		return nil, err
	}
	malformed := func(err error) error {
		return &drs.Error{Op: opDeviceCode, URL: wire.Redact(at), HTTPStatus: http.StatusOK, Err: err}
	}
	life, err := seconds(a.ExpiresIn)
	if err != nil {
		return nil, malformed(err)
	}
	interval := 5 * time.Second // the default of RFC 8628
	if len(a.Interval) > 0 {
		if interval, err = seconds(a.Interval); err != nil {
			return nil, malformed(err)
		}
	}
	if a.DeviceCode == "" || a.UserCode == "" || len(a.DeviceCode) > maxCode || len(a.UserCode) > maxCode || a.URL+a.URI == "" {
		return nil, malformed(fmt.Errorf("%w: there is no code or no page to enter it", drs.ErrMalformed))
	}
	code := &Code{UserCode: visible(a.UserCode), URL: visible(a.URL), Message: visible(a.Message), Expires: c.now().Add(life)}
	if a.URL == "" {
		code.URL = visible(a.URI)
	}
	if err := show(ctx, code); err != nil {
		return nil, fail(opDeviceCode, misuse.Of("the function that shows the code", err))
	}
	return c.poll(ctx, d, a.DeviceCode, min(max(interval, minInterval), maxInterval), code.Expires)
}

// poll asks for the token until the user has signed in.
func (c *Client) poll(ctx context.Context, d *drs.Discovery, code string, interval time.Duration, expires time.Time) (*Token, error) {
	for {
		if err := sleep(ctx, interval); err != nil {
			return nil, fail(opDeviceCode, fmt.Errorf("nobody entered the code: %w", err))
		}
		form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "code": {code}}
		t, err := c.token(ctx, opDeviceCode, d, form)
		var e *drs.Error
		if err == nil || !errors.As(err, &e) {
			return t, err
		}
		switch e.Code {
		case "authorization_pending":
		case "slow_down":
			interval = min(interval+5*time.Second, maxInterval)
		default:
			return nil, err
		}
		if !c.now().Before(expires) {
			return nil, &drs.Error{Op: opDeviceCode, Code: "expired_token", Err: errors.New("the user has not signed in in time")}
		}
	}
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
