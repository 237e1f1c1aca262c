package main

import (
	"net/http"
	"os"
	"strings"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/examples/internal/signin"
	"github.com/whiteglove/whiteglove/provision"
)

// secret returns the user's password.
func (o *options) secret() (string, error) {
	name, ok := strings.CutPrefix(o.password, "@")
	if !ok {
		return o.password, nil
	}
	text, err := os.ReadFile(name)
	return strings.TrimRight(string(text), "\r\n"), err
}

// users returns the user as one of the mock server's.
func (o *options) users() (map[string]string, error) {
	if o.user == "" {
		return nil, nil
	}
	password, err := o.secret()
	return map[string]string{o.user: password}, err
}

// newUser returns the user of the flags, or nil.
func (o *options) newUser(client *http.Client) (*provision.User, error) {
	if o.user == "" {
		return nil, nil
	}
	password, err := o.secret()
	if err != nil {
		return nil, err
	}
	page := &signin.Page{Client: client, User: o.user, Password: password}
	return &provision.User{Name: o.user, JoinToken: page.Token, SignIn: drs.SignIn{Password: drs.Token(password)}}, nil
}
