package services

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 1 << 20

// A SignInPage stands for the page at which a user signs in to join a device.
// Instead of showing a page it sends the password to the token endpoint (RFC
// 6749, section 4.3), which the mock server permits.
type SignInPage struct {
	Client         *http.Client
	User, Password string
}

// Token returns the user's token for the registration service. It is a
// JoinToken of [provision.User]. The error is a [*drs.Error].
func (p *SignInPage) Token(ctx context.Context, d *drs.Discovery) (drs.Token, error) {
	form := url.Values{
		"grant_type": {"password"}, "username": {p.User}, "password": {p.Password},
		"client_id": {drs.BrokerClient}, "resource": {d.JoinResource},
	}
	failed := &drs.Error{Op: "SignInPage", URL: d.TokenEndpoint}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		failed.Err = err
		return "", failed
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := wire.Do(p.Client, req, maxAnswer)
	if err != nil {
		failed.Err = err
		return "", failed
	}
	failed.HTTPStatus = got.Status
	var answer struct {
		Token       string `json:"access_token"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(got.Body, &answer); err != nil && got.Status == http.StatusOK {
		failed.Err = fmt.Errorf("%w: %w", drs.ErrMalformed, err)
	}
	if got.Status != http.StatusOK || answer.Token == "" {
		failed.Code, failed.Message = answer.Error, answer.Description
		return "", failed
	}
	return drs.Token(answer.Token), nil
}
