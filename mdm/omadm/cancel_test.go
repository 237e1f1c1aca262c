package omadm_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A cutter ends the context of the session before byte left of the server's
// answers. Bodies then fail as those of net/http do.
type cutter struct {
	next      *scripted
	cancel    context.CancelFunc
	left      int // bytes before the end; below 0 never
	read      int
	cut       bool
	completed int // answers that were read to their end
}

func (c *cutter) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	res, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &cutBody{res.Body, c, r.Context()}
	return res, nil
}

type cutBody struct {
	io.ReadCloser
	c   *cutter
	ctx context.Context
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.c.left == b.c.read && !b.c.cut {
		b.c.cut = true
		b.c.cancel()
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.c.left > b.c.read {
		p = p[:min(len(p), b.c.left-b.c.read)]
	}
	n, err := b.ReadCloser.Read(p)
	b.c.read += n
	if errors.Is(err, io.EOF) {
		b.c.completed++
	}
	return n, err
}

// A context that ends at any byte of any message ends the session with its
// error. The commands of a message that was not read to its end are not carried
// out, and those of the messages before it are stored.
func TestSessionCanceledAtEachByte(t *testing.T) {
	set := func(name string) string {
		return `<Replace><CmdID>3</CmdID><Item><Target><LocURI>./Vendor/MSFT/` + name + `</LocURI></Target><Data>1</Data></Item></Replace>`
	}
	answers := []string{
		sync12(headerOK + `<Atomic><CmdID>2</CmdID>` + set("A1") + set("A2") + `</Atomic>` + set("A3") + `<Final/>`),
		sync12(headerOK + set("B1") + set("B2") + set("B3") + `<Get><CmdID>4</CmdID><Item><Target><LocURI>./DevInfo</LocURI></Target></Item></Get><Final/>`),
		sync12(headerOK + `<Final/>`),
	}
	run := func(at int) (*cutter, *omadm.Tree, int, error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cut := &cutter{next: &scripted{answers: answers}, cancel: cancel, left: at}
		saved := 0
		session := &omadm.Session{
			Server: "https://mdm.test/sync", Device: mdm.Device{ID: "device-7"}, Tree: new(omadm.Tree), HTTPClient: &http.Client{Transport: cut},
			Save: func(context.Context) error { saved++; return nil },
		}
		_, err := session.Run(ctx)
		return cut, session.Tree, saved, err
	}
	whole, _, saved, err := run(-1)
	if err != nil || whole.completed != 3 || saved != 3 {
		t.Fatalf("%v; %d messages, saved %d times", err, whole.completed, saved)
	}
	want := []string{"", "A1 A2 A3", "A1 A2 A3 B1 B2 B3"}
	for at := 0; at < whole.read; at += 3 {
		cut, tree, saved, err := run(at)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("byte %d of %d: %v", at, whole.read, err)
		}
		if got := strings.Join(tree.Children("./Vendor/MSFT"), " "); got != want[cut.completed] || saved != cut.completed || len(cut.next.heard) != cut.completed+1 {
			t.Errorf("byte %d of %d: nodes %q after %d messages, saved %d times, %d sent", at, whole.read, got, cut.completed, saved, len(cut.next.heard))
		}
	}
}
