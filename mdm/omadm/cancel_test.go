package omadm_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/canceltest"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

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
	run := func(at int) (*canceltest.Transport, *scripted, *omadm.Tree, int, error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		next := &scripted{answers: answers}
		cut := &canceltest.Transport{Next: next, Cancel: cancel, At: at}
		saved := 0
		session := &omadm.Session{
			Server: "https://mdm.test/sync", Device: mdm.Device{ID: "device-7"}, Tree: new(omadm.Tree), HTTPClient: &http.Client{Transport: cut},
			Save: func(context.Context) error { saved++; return nil },
		}
		_, err := session.Run(ctx)
		return cut, next, session.Tree, saved, err
	}
	whole, _, _, saved, err := run(-1)
	if err != nil || whole.Completed != 3 || saved != 3 {
		t.Fatalf("%v; %d messages, saved %d times", err, whole.Completed, saved)
	}
	want := []string{"", "A1 A2 A3", "A1 A2 A3 B1 B2 B3"}
	for at := 0; at < whole.Read; at += 3 {
		cut, next, tree, saved, err := run(at)
		if !cut.Cut && at > whole.Read-8 { // the answers have the session's ID, whose length differs
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("byte %d of %d: %v", at, whole.Read, err)
		}
		if got := strings.Join(tree.Children("./Vendor/MSFT"), " "); got != want[cut.Completed] || saved != cut.Completed || len(next.heard) != cut.Completed+1 {
			t.Errorf("byte %d of %d: nodes %q after %d messages, saved %d times, %d sent", at, whole.Read, got, cut.Completed, saved, len(next.heard))
		}
	}
}
