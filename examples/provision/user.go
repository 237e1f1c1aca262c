package main

import (
	"net/http"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/provision"
)

// users returns the user of the flags as one of the mock server's.
func (o *options) users(password string) map[string]string {
	if o.user == "" {
		return nil
	}
	return map[string]string{o.user: password}
}

// newUser returns the user of the flags, or nil if there is none.
func (o *options) newUser(client *http.Client, password string) *provision.User {
	if o.user == "" {
		return nil
	}
	page := &services.SignInPage{Client: client, User: o.user, Password: password}
	return &provision.User{Name: o.user, JoinToken: page.Token, SignIn: drs.SignIn{Password: drs.Token(password)}}
}
