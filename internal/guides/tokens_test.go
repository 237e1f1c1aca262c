package guides_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/drs/login"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// What follows is in docs/tokens.md.

// tickets gets a device ticket where you know how.
type tickets func(ctx context.Context) (ticket, ztdID string, expires time.Time, err error)

// JoinToken makes it a drs.TokenSource.
func (get tickets) JoinToken(ctx context.Context, d *drs.Discovery) (*drs.DeviceToken, error) {
	ticket, ztdID, expires, err := get(ctx)
	if err != nil {
		return nil, err
	}
	return &drs.DeviceToken{Token: drs.Token(ticket), ZTDID: ztdID, Expires: expires}, nil
}

// newUser returns a user who signs in on another device.
func newUser(name string, c *http.Client, show func(context.Context, *login.Code) error) *provision.User {
	client := &login.Client{HTTPClient: c, Hint: name}
	user := &provision.User{Name: name}
	user.JoinToken = func(ctx context.Context, d *drs.Discovery) (drs.Token, error) {
		t, err := client.DeviceCode(ctx, d, show)
		if err != nil {
			return "", err
		}
		user.SignIn = drs.SignIn{RefreshToken: t.RefreshToken, ClientID: t.ClientID} // for the step signin
		return t.Token, nil
	}
	return user
}

// show is in the guide.
func show(_ context.Context, c *login.Code) error {
	_, err := fmt.Fprintf(os.Stderr, "Open %s and enter %s.\n", c.URL, c.UserCode)
	return err
}

// A directory that behaves as Microsoft's takes a ticket for the device, and then a user's
// sign-in.
func Example_tokens() {
	ctx := context.Background()
	server := &provisiontest.Server{Directory: &drstest.Server{Public: true}}
	if err := server.Start(""); err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	server.AddUser("ada@contoso.test", "secret")
	device, err := server.NewDevice(ctx, attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()

	p := server.Provisioner(device)
	p.Steps = slices.Concat(provision.Technician(), provision.UserPhase())
	p.JoinToken = tickets(func(context.Context) (string, string, time.Time, error) {
		ztdID := server.Directory.Objects()[0].ZTDID
		t, err := server.Directory.IssueTicket(ztdID)
		if err != nil {
			return "", "", time.Time{}, err
		}
		return string(t.Token), ztdID, t.Expires, nil
	})
	p.User = newUser("ada@contoso.test", server.Client(), func(ctx context.Context, c *login.Code) error {
		server.Directory.EnterCode(c.UserCode, "ada@contoso.test")
		return show(ctx, c)
	})
	state, err := p.Run(ctx)
	if err != nil {
		log.Fatalf("%v\nrefused: %q", err, server.Refusals())
	}
	fmt.Println("same device:", state.DeviceID == state.User.DeviceID)
	fmt.Println("signed in:", server.Directory.Sessions()[0].UPN)
	// Output:
	// same device: true
	// signed in: ada@contoso.test
}
