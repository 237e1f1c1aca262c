package provision_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/provision"
)

// A source is a token source in one function.
type source func() (*drs.DeviceToken, error)

func (s source) JoinToken(context.Context, *drs.Discovery) (*drs.DeviceToken, error) { return s() }

// A badStore is a store that returns what it holds.
type badStore struct{ load, save, lock error }

func (b badStore) Load(context.Context) (*provision.State, error) { return nil, b.load }

func (b badStore) Save(context.Context, *provision.State) error { return b.save }

func (b badStore) Lock(context.Context) (func() error, error) {
	if b.lock == errors.ErrUnsupported {
		return nil, nil
	}
	return func() error { return nil }, b.lock
}

// A function of the caller that returns nothing, or an error without a remedy, is named.
func TestCallbacks(t *testing.T) {
	type do = map[provision.Step]func(context.Context, *provision.Run) (bool, error)
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	depot := errors.New("depot: no ticket for this device")
	user := func(token drs.Token, err error) func(p *provision.Provisioner) {
		return func(p *provision.Provisioner) {
			p.Steps = append(provision.Technician(), provision.StepRejoin)
			p.User = &provision.User{Name: "ada@contoso.test", JoinToken: func(context.Context, *drs.Discovery) (drs.Token, error) { return token, err }}
		}
	}
	const isMistake = " (0x80070057 ERROR_INVALID_PARAMETER). Correct that function."
	for name, c := range map[string]struct {
		change func(p *provision.Provisioner)
		want   string
	}{
		"no token": {func(p *provision.Provisioner) {
			p.JoinToken = source(func() (*drs.DeviceToken, error) { return nil, nil })
		}, "token: Provisioner.JoinToken returned neither a token nor an error" + isMistake},
		"empty token": {func(p *provision.Provisioner) { p.JoinToken = new(drs.DeviceToken) }, "token: Provisioner.JoinToken returned an empty token" + isMistake},
		"its error": {
			func(p *provision.Provisioner) {
				p.JoinToken = source(func() (*drs.DeviceToken, error) { return nil, depot })
			},
			"token: depot: no ticket for this device. This is the error of Provisioner.JoinToken: ask whoever runs it.",
		},
		"a user's empty token": {user("", nil), "rejoin: User.JoinToken returned neither a token nor an error" + isMistake},
		"a user's error":       {user("", depot), "rejoin: depot: no ticket for this device. This is the error of User.JoinToken: ask whoever runs it."},
		"no state":             {func(p *provision.Provisioner) { p.Store = badStore{} }, "Store.Load returned neither a state nor an error" + isMistake},
		"no folder": {
			func(p *provision.Provisioner) { p.Store = provision.FileStore("no/such/state") },
			`the folder "no/such" does not exist (0x80070002 ERROR_FILE_NOT_FOUND). Make it, or name a file in a folder that exists.`,
		},
		"no unlock":       {func(p *provision.Provisioner) { p.Store = badStore{lock: errors.ErrUnsupported} }, "Store.Lock returned neither a function that unlocks nor an error" + isMistake},
		"state not saved": {func(p *provision.Provisioner) { p.Store = badStore{load: provision.ErrNoState, save: depot} }, "This is the error of Store.Save: ask whoever runs it."},
		"a step's error": {
			func(p *provision.Provisioner) {
				p.Do = do{provision.StepAIK: func(context.Context, *provision.Run) (bool, error) { return false, depot }}
			}, `aik: depot: no ticket for this device. This is the error of Provisioner.Do["aik"]: ask whoever runs it.`,
		},
		"a step without results": {
			func(p *provision.Provisioner) { p.Do = do{provision.StepAIK: nothing} },
			`aik: Provisioner.Do["aik"] returned without all results of the step; see Run and State` + isMistake,
		},
		"no transport": {func(p *provision.Provisioner) {
			p.Steps = append(provision.Technician(), provision.StepSession)
			p.MutualTLS = func(*tls.Config) http.RoundTripper { return nil }
		}, "session: Provisioner.MutualTLS returned no transport" + isMistake},
		"no transport to leave": {func(p *provision.Provisioner) {
			p.SealEarly, p.Steps, p.MutualTLS = true, provision.Technician(), func(*tls.Config) http.RoundTripper { return nil }
		}, "Client.MutualTLS returned no transport" + isMistake},
	} {
		p := w.provisioner(tpm)
		c.change(p)
		_, err := p.Run(t.Context())
		if got := diagnose.Explain(err).String(); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}
