package main

import (
	"context"
	"io"
	"net/http"

	"github.com/whiteglove/whiteglove/drs"
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
func (o *options) newUser(client *http.Client, password string, stderr io.Writer) *provision.User {
	if o.user == "" {
		return nil
	}
	o.signIn.Start(client, o.user, password, stderr)
	user := &provision.User{Name: o.user, SignIn: o.signIn.Credential(o.user)}
	user.JoinToken = func(ctx context.Context, d *drs.Discovery) (drs.Token, error) {
		token, err := o.signIn.JoinToken(ctx, d)
		user.SignIn = o.signIn.Credential(o.user) // the step signin comes after this one
		return token, err
	}
	return user
}
