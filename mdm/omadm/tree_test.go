package omadm_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

func TestTreePaths(t *testing.T) {
	tree := new(omadm.Tree)
	if !tree.Set("./Vendor/MSFT/A%20B/C", omadm.Value{Data: "1"}) {
		t.Fatal("not set")
	}
	for _, same := range []string{"./Device/Vendor/MSFT/A B/C", "/Vendor/MSFT/A%20B/C/", "Vendor/MSFT/A%20B/C", " ./Vendor/MSFT/A%20B/C\n"} {
		if v, ok := tree.Get(same); !ok || v.Data != "1" {
			t.Errorf("%q: %+v, %v", same, v, ok)
		}
	}
	if v, ok := tree.Get("."); !ok || v.Format != "node" {
		t.Errorf("root: %+v, %v", v, ok)
	}
	if got := tree.Children("./Vendor/MSFT"); !slices.Equal(got, []string{"A B"}) {
		t.Errorf("children %q", got)
	}
	for _, bad := range []string{"", ".", "./A//B", "./A/../B", "./A/./B", strings.Repeat("/a", 40), "./" + strings.Repeat("a", 2000)} {
		if tree.Set(bad, omadm.Value{}) || tree.Delete(bad) {
			t.Errorf("%.40q is set or deleted", bad)
		}
	}
	if tree.Set("./Vendor/MSFT/A%20B", omadm.Value{Data: "leaf"}); len(tree.Children("./Vendor/MSFT/A%20B")) != 0 {
		t.Error("a leaf has nodes")
	}
	if !tree.Delete("./Vendor/MSFT/A%20B") || tree.Delete("./Vendor/MSFT/A%20B") {
		t.Error("deleted twice or not at all")
	}
}

// A server cannot fill the device's memory.
func TestTreeLimits(t *testing.T) {
	tree := new(omadm.Tree)
	big := strings.Repeat("x", 1<<20)
	n := 0
	for ; n < 100 && tree.Set(fmt.Sprintf("./Vendor/MSFT/%d", n), omadm.Value{Data: big}); n++ {
	}
	if n != 7 { // the names count, too
		t.Errorf("%d MiB fit", n)
	}
	for size := 1 << 20; size > 0; size /= 2 {
		tree.Set(fmt.Sprintf("./Vendor/MSFT/Rest/%d", size), omadm.Value{Data: big[:size]})
	}
	if !tree.Delete("./Vendor/MSFT/0") || !tree.Set("./Vendor/MSFT/x", omadm.Value{Data: big}) {
		t.Error("there is no room again")
	}
	s := &scripted{answers: []string{sync12(headerOK + `<Add><CmdID>2</CmdID><Item><Target><LocURI>./Vendor/MSFT/y</LocURI></Target><Data>1</Data></Item></Add>`), sync12("")}}
	if _, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree }); err != nil || !strings.Contains(s.heard[1], "<Data>420</Data>") {
		t.Errorf("full: %v, %s", err, s.heard)
	}

	tree, n = new(omadm.Tree), 0
	for ; n < 60000 && tree.Set(fmt.Sprintf("./Vendor/MSFT/%d", n), omadm.Value{}); n++ {
	}
	if n < 49000 || n > 50000 {
		t.Errorf("%d nodes fit", n)
	}
}

func TestTreeHandlers(t *testing.T) {
	m := fixture.Manage(t, fixture.Key(), mdmtest.SessionConfig{Commands: []mdmtest.Command{
		mdmtest.Write("Exec", "./Vendor/MSFT/Reboot/RebootNow", "null", ""),
		mdmtest.Write("Replace", "./Vendor/MSFT/Reboot/Schedule/Single", "chr", "x"),
		mdmtest.Read("./Vendor/MSFT/Reboot/Schedule/Single", "./Vendor/MSFT/Reboot/Live"),
		mdmtest.Write("Replace", "./User/Vendor/MSFT/X", "chr", "1"),
	}})
	var calls []string
	log := func(answer int, value string) omadm.Handler {
		return func(_ context.Context, op *omadm.Operation) int {
			calls = append(calls, op.Command+" "+op.URI)
			if value != "" {
				op.Value = omadm.Value{Format: "int", Data: value}
			}
			return answer
		}
	}
	tree := m.Session.Tree
	tree.Handle("./Vendor/MSFT/Reboot", log(0, ""))
	tree.Handle("./Device/Vendor/MSFT/*/RebootNow", log(500, ""))
	tree.Handle("./Device/Vendor/MSFT/*/RebootNow", log(202, ""))
	tree.Handle("./Vendor/MSFT/Reboot/Live", log(200, "42"))
	tree.SetUserContext(true)
	m.Run(t)
	want := []string{
		"Exec ./Device/Vendor/MSFT/Reboot/RebootNow", "Replace ./Device/Vendor/MSFT/Reboot/Schedule/Single",
		"Get ./Device/Vendor/MSFT/Reboot/Schedule/Single", "Get ./Device/Vendor/MSFT/Reboot/Live",
	}
	if !slices.Equal(calls, want) {
		t.Errorf("calls %q", calls)
	}
	var got []string
	for _, r := range m.Server.Responses(fixture.Device) {
		text := fmt.Sprint(r.Status)
		if r.Result != nil {
			text += " " + r.Result.Format + " " + r.Result.Data
		}
		got = append(got, text)
	}
	if !slices.Equal(got, []string{"202", "200", "200 chr x", "200 int 42", "200"}) {
		t.Errorf("answers %q", got)
	}
}

// Handlers may use the tree, and others may too while a session runs.
func TestTreeConcurrent(t *testing.T) {
	tree := new(omadm.Tree)
	tree.Handle("./Vendor/MSFT/*", func(_ context.Context, op *omadm.Operation) int {
		tree.Set("./Vendor/MSFT/Seen", omadm.Value{Data: op.URI})
		return 0
	})
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for n := range 200 {
				uri := fmt.Sprintf("./Vendor/MSFT/%d/%d", i, n)
				tree.Set(uri, omadm.Value{Data: "1"})
				tree.Get(uri)
				tree.Children("./Vendor/MSFT")
				tree.Delete(uri)
			}
		})
	}
	s := &scripted{answers: []string{sync12(headerOK + strings.Repeat(
		`<Replace><CmdID>2</CmdID><Item><Target><LocURI>./Vendor/MSFT/y</LocURI></Target><Data>1</Data></Item></Replace>`, 100)), sync12("")}}
	_, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree })
	group.Wait()
	if v, _ := tree.Get("./Vendor/MSFT/Seen"); err != nil || v.Data != "./Device/Vendor/MSFT/y" {
		t.Errorf("%v, %+v", err, v)
	}
}

// What a provisioning document sets is there; the account's secrets are not.
func TestTreeApply(t *testing.T) {
	d, err := mdm.ParseDocument([]byte(`<wap-provisioningdoc version="1.1">
<characteristic type="APPLICATION"><characteristic type="APPAUTH"><parm name="AAUTHSECRET" value="secret"/></characteristic></characteristic>
<characteristic type="DMClient"><characteristic type="Provider"><characteristic type="MS DM Server">
<parm name="EntDMID" value="7" datatype="string"/>
<characteristic type="FirstSyncStatus"><parm name="TimeOutUntilSyncFailure" value="30" datatype="integer"/></characteristic>
</characteristic></characteristic></characteristic></wap-provisioningdoc>`))
	if err != nil {
		t.Fatal(err)
	}
	tree := new(omadm.Tree)
	tree.Apply(d)
	if v, _ := tree.Get("./Vendor/MSFT/DMClient/Provider/MS%20DM%20Server/FirstSyncStatus/TimeOutUntilSyncFailure"); v != (omadm.Value{Format: "int", Data: "30"}) {
		t.Errorf("got %+v", v)
	}
	if got := tree.Children("./Vendor/MSFT"); !slices.Equal(got, []string{"DMClient"}) {
		t.Errorf("nodes %q", got)
	}
}
