package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/provision"
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
	switch {
	case errors.Is(err, provision.ErrNoState):
		return nil
	case err != nil:
		return command.Wrong("-state", err)
	}
	was, local := origin(cmp.Or(state.ManagementServer, state.JoinServer))
	is, mock := origin(o.server)
	if was == "" || was == is || o.server != "" && !(local && mock) {
		return nil
	}
	return command.Wrong("-state "+o.state, fmt.Errorf("it belongs to the services at %s, not to those of this run: give -server %s if they still run, or another state", was, was))
}

// blame returns the error of a run as one of the flag that is at fault.
func (o *options) blame(ctx context.Context, p *provision.Provisioner, err error) error {
	var e *provision.Error
	switch {
	case errors.Is(err, provision.ErrState) && errors.As(err, &e) && e.Step == "": // nothing was done
		return command.Wrong("-state", err)
	case errors.Is(err, provision.ErrState):
		return command.At("-state", err)
	case errors.Is(err, provision.ErrLocked):
		return command.At("-state "+o.state, err)
	case errors.Is(err, provision.ErrNotDone):
		return command.Wrong("-steps "+o.steps, fmt.Errorf("it needs steps that are neither listed nor in a state (%s): add them, or give the -state of the run that took them", missing(ctx, *p)))
	}
	return err
}

// missing returns the names of the steps that p needs and has not.
func missing(ctx context.Context, p provision.Provisioner) string {
	var names []string
	for {
		_, err := p.Plan(ctx)
		var e *provision.Error
		if !errors.Is(err, provision.ErrNotDone) || !errors.As(err, &e) {
			return strings.Join(names, ", ")
		}
		names = append(names, string(e.Step))
		p.Steps = append(p.Steps, e.Step)
	}
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
