package services

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/login"
)

// A SignIn gets a user's tokens in the way that its flags say. It keeps the refresh token of
// the last sign-in, with which the user then signs in on the device.
type SignIn struct {
	how, client string

	login    login.Client
	user     string
	password string
	stderr   io.Writer
	last     *login.Token
}

// Flags defines the flags.
func (s *SignIn) Flags(f *flag.FlagSet) {
	f.StringVar(&s.how, "signin", "password", "sign the user in by `WAY`: password (for tests), code (entered on another device) or browser (on this machine)")
	f.StringVar(&s.client, "client", "", "sign in with the OAuth client `ID`, which for browser must have the redirect URI http://localhost (default: the broker of Windows)")
}

// Check returns an error if a flag is wrong.
func (s *SignIn) Check() error {
	switch s.how {
	case "password", "code", "browser":
		return nil
	}
	return fmt.Errorf("-signin %q: want password, code or browser", s.how)
}

// NeedsPassword reports whether the sign-in needs the user's password.
func (s *SignIn) NeedsPassword() bool { return s.how == "password" }

// Start sets what the sign-in needs. What the user has to do goes to stderr.
func (s *SignIn) Start(client *http.Client, user, password string, stderr io.Writer) {
	s.login = login.Client{HTTPClient: client, ClientID: s.client, Hint: user}
	s.user, s.password, s.stderr = user, password, stderr
}

// JoinToken returns the user's token for the registration service. It is a JoinToken of
// [provision.User]. The error is a [*drs.Error].
func (s *SignIn) JoinToken(ctx context.Context, d *drs.Discovery) (drs.Token, error) {
	var err error
	switch s.how {
	case "code":
		s.last, err = s.login.DeviceCode(ctx, d, func(_ context.Context, c *login.Code) error {
			fmt.Fprintf(s.stderr, "Open %s in a browser and enter the code %s.\n", c.URL, c.UserCode)
			return nil
		})
	case "browser":
		s.last, err = s.login.Browser(ctx, d, func(_ context.Context, url string) error {
			fmt.Fprintf(s.stderr, "Open this page in a browser on this machine: %s\n", url)
			return nil
		})
	default:
		s.last, err = s.login.Password(ctx, d, s.user, drs.Token(s.password))
	}
	if err != nil {
		return "", err
	}
	return s.last.Token, nil
}

// Credential returns the credential for the user's sign-in on the device: the password, or the
// refresh token of the last sign-in.
func (s *SignIn) Credential(user string) drs.SignIn {
	if s.last == nil || s.how == "password" {
		return drs.SignIn{Username: user, Password: drs.Token(s.password)}
	}
	return drs.SignIn{Username: user, RefreshToken: s.last.RefreshToken, ClientID: s.last.ClientID}
}
