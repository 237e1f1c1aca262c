package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// checkState returns an error if -state is of a run with other services than those of this
// run: with another mock server than -server or, without that, with any, because this run
// starts one of its own. The device would not be known there, and its sessions would go to
// an address that nobody named.
func (o *options) checkState(ctx context.Context) error {
	if o.state == "" {
		return nil
	}
	state, err := o.store().Load(ctx)
	if err != nil || state == nil {
		return nil // the run says so, if it is an error
	}
	was, local := origin(cmp.Or(state.ManagementServer, state.JoinServer))
	is, mock := origin(o.server)
	if was == "" || was == is || o.server != "" && !(local && mock) {
		return nil
	}
	return command.Wrong("-state "+o.state, fmt.Errorf("it belongs to the services at %s, not to those of this run: give -server %s if they still run, or another state", was, was))
}

// origin returns scheme and host of a URL, and whether the host is this machine: its
// addresses of the loopback interface are then the same.
func origin(raw string) (of string, local bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "", false
	}
	if a, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !a.IsLoopback()) {
		return u.Scheme + "://" + u.Host, false
	}
	return u.Scheme + "://127.0.0.1:" + u.Port(), true
}
