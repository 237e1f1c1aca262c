package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// checkState returns an error if -state is of a run with another mock server than -server.
// Its sessions would go to the address of that one, which nobody named.
func (o *options) checkState(ctx context.Context) error {
	if o.state == "" || o.server == "" {
		return nil
	}
	state, err := o.store().Load(ctx)
	if err != nil || state == nil {
		return nil // the run says so, if it is an error
	}
	was, is := loopback(state.ManagementServer), loopback(o.server)
	if was == "" || is == "" || was == is {
		return nil
	}
	return command.Wrong("-state "+o.state, fmt.Errorf("it belongs to the services at %s, not to -server %s: give that server, or another state", was, is))
}

// loopback returns scheme and port of a URL at an address of the loopback interface, in the
// form of such a URL, or "".
func loopback(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	if a, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !a.IsLoopback()) {
		return ""
	}
	return u.Scheme + "://127.0.0.1:" + u.Port()
}
