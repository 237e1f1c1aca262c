package omadm

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/syncml"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// An executor carries out the commands of one message of a server.
type executor struct {
	tree     *Tree
	ref      string // MsgID of the message
	statuses []*syncml.Command
	results  []*syncml.Command
	changes  []undo // made since the Atomic began
	aborted  bool   // the server ended the session (alert 1223)
	result   *Result
	size     int  // bytes of the results
	full     bool // a result did not fit, so no further one is sent
}

// maxResults bounds the values in the answer to one message, in bytes.
const maxResults = 1 << 20

// run carries out a command and the commands in it, and reports whether all
// succeeded. In an Atomic it refuses a Get and another Atomic.
func (x *executor) run(ctx context.Context, c *syncml.Command, inAtomic bool) bool {
	x.result.Commands++
	if c.NoID {
		return x.status(c, syncml.StatusBadRequest, "")
	}
	switch c.Name {
	case syncml.Add, syncml.Replace, syncml.Delete, syncml.Exec:
		return x.items(ctx, c)
	case syncml.Get:
		if inAtomic {
			return x.status(c, syncml.StatusFailed, "")
		}
		return x.get(ctx, c)
	case syncml.Sequence:
		at := x.reserve(c, syncml.StatusOK)
		ok := x.all(ctx, c.Commands, inAtomic)
		return at.finish(ok, syncml.StatusOK, syncml.StatusFailed)
	case syncml.Atomic:
		if inAtomic {
			return x.status(c, syncml.StatusFailed, "")
		}
		return x.atomic(ctx, c)
	case syncml.Alert:
		return x.alert(c)
	case "Copy", "Move", "Put", "Search", "Sync", "Map", "Correlator":
		return x.status(c, syncml.StatusOptional, "")
	}
	return x.status(c, syncml.StatusBadRequest, "")
}

// all carries out commands and reports whether all succeeded. In an Atomic it
// stops at the first that fails; the rest get status 215.
func (x *executor) all(ctx context.Context, commands []*syncml.Command, inAtomic bool) bool {
	ok := true
	for _, c := range commands {
		switch {
		case ctx.Err() != nil:
			return false
		case inAtomic && !ok:
			x.skip(c)
		case !x.run(ctx, c, inAtomic):
			ok = false
		}
	}
	return ok
}

// skip answers a command that is not carried out, and those in it.
func (x *executor) skip(c *syncml.Command) {
	x.result.Commands++
	x.status(c, syncml.StatusNotExecuted, "")
	for _, inner := range c.Commands {
		x.skip(inner)
	}
}

// atomic carries out an Atomic. If a command in it fails, the changes of those
// before it are taken back, and their status becomes 216.
func (x *executor) atomic(ctx context.Context, c *syncml.Command) bool {
	at := x.reserve(c, syncml.StatusOK)
	first := len(x.statuses)
	x.changes = nil
	x.tree.keep(true)
	ok := x.all(ctx, c.Commands, true)
	x.tree.keep(false)
	if !ok {
		x.tree.rollBack(x.changes)
		for _, s := range x.statuses[first:] {
			if strings.HasPrefix(s.Data, "2") && s.Data != strconv.Itoa(syncml.StatusNotExecuted) {
				s.Data = strconv.Itoa(syncml.StatusRolledBack)
			}
		}
	}
	x.changes = nil
	return at.finish(ok, syncml.StatusOK, syncml.StatusAtomicFailed)
}

// items carries out a command on each of its items. It answers with one status
// if all items have the same, else with one for each.
func (x *executor) items(ctx context.Context, c *syncml.Command) bool {
	if len(c.Items) == 0 {
		return x.status(c, syncml.StatusBadRequest, "")
	}
	codes, same := make([]int, len(c.Items)), true
	for i, item := range c.Items {
		if ctx.Err() != nil {
			return false
		}
		codes[i] = x.item(ctx, c, item)
		same = same && codes[i] == codes[0]
	}
	if same && len(codes) > 1 {
		return x.status(c, codes[0], "")
	}
	ok := true
	for i, item := range c.Items {
		ok = x.status(c, codes[i], uri(item)) && ok
	}
	return ok
}

// item carries out a command on one item and returns the status.
func (x *executor) item(ctx context.Context, c *syncml.Command, item *syncml.Item) int {
	switch {
	case uri(item) == "":
		return syncml.StatusBadRequest
	case item.MoreData:
		return syncml.StatusOptional
	}
	op := &Operation{Command: c.Name, URI: uri(item), Value: value(c, item), scope: item.Scope}
	if x.unenroll(op) {
		return syncml.StatusOK
	}
	status, change := x.tree.serve(ctx, op, 0)
	if change != nil {
		x.changes = append(x.changes, change)
	}
	return status
}

// unenroll reports whether op ends the device's management ([MS-MDM], the node
// Unenroll of the DMClient configuration service provider), and notes that. A
// handler for the node goes first.
func (x *executor) unenroll(op *Operation) bool {
	names, ok := splitPath(op.URI)
	if !ok || op.Command != syncml.Exec || len(names) != 5 || strings.Join(names[1:], "/") != "Vendor/MSFT/DMClient/Unenroll" ||
		names[0] != rootDevice && (names[0] != rootUser || !x.tree.UserContext()) || x.tree.handler(names) != nil {
		return false
	}
	x.result.Unenrolled = true
	return true
}

// get answers a Get with one Status for each item, and with one Results that
// has the values of all nodes that exist.
func (x *executor) get(ctx context.Context, c *syncml.Command) bool {
	if len(c.Items) == 0 {
		return x.status(c, syncml.StatusBadRequest, "")
	}
	results := &syncml.Command{Name: syncml.Results, MsgRef: x.ref, CmdRef: c.ID}
	ok := true
	for _, item := range c.Items {
		if ctx.Err() != nil {
			return false
		}
		op := &Operation{Command: c.Name, URI: uri(item)}
		status := x.read(ctx, op)
		if status == syncml.StatusOK {
			results.Items = append(results.Items, &syncml.Item{
				Source: uri(item), Data: op.Value.Data,
				Meta: syncml.Meta{Format: cmp.Or(op.Value.Format, "chr"), Type: op.Value.Type},
			})
		}
		ok = x.status(c, status, uri(item)) && ok
	}
	if len(results.Items) > 0 {
		x.results = append(x.results, results)
	}
	return ok
}

// read carries out a Get of one node. Once an answer did not fit into the
// message, further ones are not even looked for.
func (x *executor) read(ctx context.Context, op *Operation) int {
	switch {
	case op.URI == "":
		return syncml.StatusBadRequest
	case x.full:
		return syncml.StatusTooLarge
	}
	status, _ := x.tree.serve(ctx, op, maxResults-x.size)
	if status == syncml.StatusOK {
		x.size += len(op.Value.Data)
	}
	if x.full = status == syncml.StatusTooLarge || x.size > maxResults; x.full {
		status = syncml.StatusTooLarge
	}
	return status
}

// alert answers an alert of the server's: that it wants the next message, or
// that it ends the session. Alerts for a person to see are not supported.
func (x *executor) alert(c *syncml.Command) bool {
	switch c.Data {
	case alertAbort:
		x.aborted = true
		return x.status(c, syncml.StatusOK, "")
	case alertNext:
		return x.status(c, syncml.StatusOK, "")
	}
	return x.status(c, syncml.StatusOptional, "")
}

// status answers a command, and reports whether the status is one of success.
func (x *executor) status(c *syncml.Command, code int, target string) bool {
	x.note(c, code, target)
	if !c.NoResp {
		s := &syncml.Command{Name: syncml.Status, MsgRef: x.ref, CmdRef: c.ID, Cmd: c.Name, Data: strconv.Itoa(code)}
		if target != "" {
			s.Targets = []string{target}
		}
		x.statuses = append(x.statuses, s)
	}
	return code < 300
}

// note notes a command that has failed, for the node target, or for all of the
// command's if that is empty.
func (x *executor) note(c *syncml.Command, code int, target string) {
	if code < 300 {
		return
	}
	x.result.Failed++
	targets := []string{target}
	if target == "" && len(c.Items) > 0 {
		targets = targets[:0]
		for _, i := range c.Items {
			targets = append(targets, uri(i))
		}
	}
	for _, t := range targets {
		if len(x.result.Failures) < maxFailures {
			x.result.Failures = append(x.result.Failures, &Failure{wire.Words(c.Name), wire.Words(t), code})
		}
	}
}

// A reserved status has its place before those of the commands inside, and gets
// its code after them.
type reserved struct {
	x *executor
	c *syncml.Command // that is answered
	s *syncml.Command // nil if the server wants none
}

// reserve answers a command with a status that finish may change.
func (x *executor) reserve(c *syncml.Command, code int) reserved {
	before := len(x.statuses)
	x.status(c, code, "")
	if len(x.statuses) == before {
		return reserved{x: x, c: c}
	}
	return reserved{x, c, x.statuses[before]}
}

// finish sets the code of a reserved status, and returns ok.
func (r reserved) finish(ok bool, good, bad int) bool {
	code := good
	if !ok {
		r.x.note(r.c, bad, "")
		code = bad
	}
	if r.s != nil {
		r.s.Data = strconv.Itoa(code)
	}
	return ok
}

// uri returns the LocURI of the node that an item is about. Some servers write
// it as the source.
func uri(i *syncml.Item) string { return cmp.Or(i.Target, i.Source) }

// value returns the value in an item. White space around numbers is removed.
func value(c *syncml.Command, i *syncml.Item) Value {
	v := Value{Format: strings.ToLower(cmp.Or(i.Meta.Format, c.Meta.Format)), Type: cmp.Or(i.Meta.Type, c.Meta.Type), Data: i.Data}
	if v.Format == "int" || v.Format == "bool" {
		v.Data = strings.TrimSpace(v.Data)
	}
	return v
}
