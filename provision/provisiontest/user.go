package provisiontest

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/provision"
)

// users are the passwords of users, by name.
type users struct {
	mu        sync.Mutex
	passwords map[string]string
}

func (u *users) add(name, password string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.passwords == nil {
		u.passwords = make(map[string]string)
	}
	u.passwords[name] = password
}

func (u *users) password(name string) (string, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	password, ok := u.passwords[name]
	return password, ok
}

// has reports whether a user has a password.
func (u *users) has(name, password string) bool {
	want, ok := u.password(name)
	return ok && subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 1
}

// AddUser adds a user, by user principal name, to the directory and to the
// management server, or gives a user another password, which ends the user's
// sessions. For a user with other rights, call Directory.AddUser.
func (s *Server) AddUser(name, password string) {
	s.users.add(name, password)
	s.Directory.AddUser(drstest.User{UPN: name, Password: password})
}

// User returns a user for Provisioner.User, who signs in with the password of
// [Server.AddUser] or Users. JoinToken stands for the sign-in page of the tenant:
// it gets a token from the directory, and its error is a [*drs.Error]. The
// directory refuses a user whom it does not know.
func (s *Server) User(name string) *provision.User {
	password, _ := s.users.password(name)
	return &provision.User{
		Name:   name,
		SignIn: drs.SignIn{Password: drs.Token(password)},
		JoinToken: func(ctx context.Context, d *drs.Discovery) (drs.Token, error) {
			return s.signIn(ctx, d, name)
		},
	}
}

// signIn returns a user's token for the registration service, by the password
// grant of RFC 6749, section 4.3. The error is a *drs.Error.
func (s *Server) signIn(ctx context.Context, d *drs.Discovery, name string) (drs.Token, error) {
	password, _ := s.users.password(name)
	form := url.Values{
		"grant_type": {"password"}, "username": {name}, "password": {password},
		"client_id": {drs.BrokerClient}, "resource": {d.JoinResource},
	}
	failed := &drs.Error{Op: "SignInPage", URL: d.TokenEndpoint}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		failed.Err = err
		return "", failed
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := wire.Do(s.client, req, maxBody)
	if err != nil {
		failed.Err = err
		return "", failed
	}
	var answer struct {
		Token       string `json:"access_token"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	failed.HTTPStatus = got.Status
	if err := json.Unmarshal(got.Body, &answer); err != nil && got.Status == http.StatusOK {
		failed.Err = fmt.Errorf("%w: %w", drs.ErrMalformed, err)
	}
	if got.Status != http.StatusOK || answer.Token == "" {
		failed.Code, failed.Message = answer.Error, answer.Description
		return "", failed
	}
	return drs.Token(answer.Token), nil
}
