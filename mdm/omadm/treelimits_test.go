package omadm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// mostJSON is what the largest tree may take as JSON.
const mostJSON = 2 * 8 << 20

// full returns trees that take no more, each filled in another way.
func full(t testing.TB) map[string]*omadm.Tree {
	t.Helper()
	trees := make(map[string]*omadm.Tree)
	fill := func(name string, uri func(n int) string, v omadm.Value) {
		tree, n := new(omadm.Tree), 0
		for ; tree.Set(uri(n), v); n++ {
			if n > 60000 {
				t.Fatalf("%s: there is no limit", name)
			}
		}
		if n == 0 {
			t.Fatalf("%s: nothing fits", name)
		}
		trees[name] = tree
	}
	wide := func(n int) string { return fmt.Sprintf("./Device/Vendor/MSFT/%d", n) }
	fill("values", wide, omadm.Value{Data: strings.Repeat("x", 1<<16)})
	fill("signs", wide, omadm.Value{Data: strings.Repeat("<&>", 1<<14)})
	fill("quotes", wide, omadm.Value{Data: strings.Repeat(`"\`, 1<<14)})
	fill("line separators", wide, omadm.Value{Data: strings.Repeat("\u2028", 1<<14)})
	fill("control characters", wide, omadm.Value{Data: strings.Repeat("\x01\x7f", 1<<14)})
	fill("not UTF-8", wide, omadm.Value{Data: strings.Repeat("\xff", 1<<14)})
	fill("types", wide, omadm.Value{Type: strings.Repeat("x", 1<<14), Format: strings.Repeat("y", 1<<14)})
	fill("nodes", wide, omadm.Value{})
	fill("interior nodes", wide, omadm.Value{Format: "node"})
	fill("a node below each", func(n int) string { return wide(n) + "/a" }, omadm.Value{})
	fill("long names", func(n int) string { return fmt.Sprintf("./Device/%d%s", n, strings.Repeat("x", 1000)) }, omadm.Value{})
	fill("escaped names", func(n int) string { return fmt.Sprintf("./Device/%d%s", n, strings.Repeat(" ", 1000)) }, omadm.Value{})
	deep := strings.Repeat("/"+strings.Repeat("d", 200), 28)
	fill("deep", func(n int) string { return fmt.Sprintf("./Device/%d%s", n/100, deep) + fmt.Sprint("/", n) }, omadm.Value{Data: "1"})
	for n := range 40000 { // nodes that have lost what was below them
		trees["a node below each"].Delete(wide(n) + "/a")
	}
	return trees
}

// A tree at its limit is read from its own JSON, which has a limit too.
func TestFullTreeLoads(t *testing.T) {
	for name, tree := range full(t) {
		t.Run(name, func(t *testing.T) {
			text, err := tree.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > mostJSON {
				t.Errorf("%d bytes of JSON", len(text))
			}
			again := new(omadm.Tree)
			if err := json.Unmarshal(text, again); err != nil {
				t.Fatal(err)
			}
			if text2, err := again.MarshalJSON(); err != nil || !bytes.Equal(text, text2) && !sameJSON(text, text2) {
				t.Errorf("it is another tree: %d and %d bytes, %v", len(text), len(text2), err)
			}
		})
	}
}

// sameJSON reports whether two trees in JSON are the same. The bytes need not be
// if a value is not UTF-8.
func sameJSON(a, b []byte) bool {
	var x, y map[string]omadm.Value
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && maps.Equal(x, y)
}

// The order does not matter in which the nodes of a full tree are set, and each
// parent counts once.
func TestFullTreeOrder(t *testing.T) {
	tree, n := new(omadm.Tree), 0
	for ; n < 10; n++ {
		tree.Set(fmt.Sprint("./Device/Z", strings.Repeat("/deep", 25), "/", n), omadm.Value{Data: "1"})
	}
	for ; n < 60000 && tree.Set(fmt.Sprintf("./Device/A/%d", n), omadm.Value{Data: "1"}); n++ {
	}
	text, err := tree.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]omadm.Value
	if err := json.Unmarshal(text, &values); err != nil || len(values) != n || n < 49000 {
		t.Fatalf("%d nodes of %d, %v", len(values), n, err)
	}
	uris := slices.Sorted(maps.Keys(values))
	for range 2 {
		again := new(omadm.Tree)
		for i, uri := range uris {
			if !again.Set(uri, values[uri]) {
				t.Fatalf("node %d of %d does not fit", i, n)
			}
		}
		if again.Set("./Device/A/more", omadm.Value{}) {
			t.Error("there is room for more")
		}
		slices.Reverse(uris)
	}
}

// Every node that can be set is read from JSON, whatever its name and value.
func FuzzTreeJSON(f *testing.F) {
	for _, uri := range []string{
		"./Vendor" + strings.Repeat("/a", 31), "./Device" + strings.Repeat("/a", 31), "./%56endor/x", "./a%2Fb/%25zz", "./%zz", "./ a /\u00a0/b", "./\xff/%FF",
	} {
		f.Add(uri, "chr", "", "1", "./a", true)
	}
	f.Add("./a/b", "node", "t", "", "./a/b/c", true)
	f.Add("./a/b", "node", "", "x", "./a", false)
	f.Fuzz(func(t *testing.T, uri, format, typ, data, deleted string, remove bool) {
		tree, again := new(omadm.Tree), new(omadm.Tree)
		tree.Set("./a/b/c", omadm.Value{Data: "1"})
		if !tree.Set(uri, omadm.Value{Format: format, Type: typ, Data: data}) {
			return
		}
		if remove {
			tree.Delete(deleted)
		}
		text, err := tree.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalJSON(text); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if text2, err := again.MarshalJSON(); err != nil || !sameJSON(text, text2) {
			t.Errorf("%s is %s", text, text2)
		}
	})
}

// Empty nodes are stored too, and one that is there already keeps what is below
// it.
func TestTreeJSONEmpty(t *testing.T) {
	tree, again := new(omadm.Tree), new(omadm.Tree)
	tree.Set("./Device/A/B", omadm.Value{Format: "node"})
	tree.Set("./Device/C/D", omadm.Value{Data: "<"})
	tree.Delete("./Device/C/D")
	text, err := tree.MarshalJSON()
	if want := `{"./Device/A/B":{"Format":"node","Type":"","Data":""},"./Device/C":{"Format":"node","Type":"","Data":""}}`; err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	again.Set("./Device/A/B/Own", omadm.Value{Data: "kept"})
	if err := again.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	if v, ok := again.Get("./Device/C"); !ok || v.Format != "node" {
		t.Errorf("%+v, %t", v, ok)
	}
	if v, _ := again.Get("./Device/A/B/Own"); v.Data != "kept" {
		t.Errorf("%+v", v)
	}
	if text, _ := new(omadm.Tree).MarshalJSON(); string(text) != "{}" {
		t.Errorf("an empty tree is %s", text)
	}
}

// What a failed Atomic gives back fits, even if a handler has used the room in
// the meantime.
func TestAtomicKeepsRoom(t *testing.T) {
	tree := new(omadm.Tree)
	big := omadm.Value{Data: strings.Repeat("x", 1<<20)}
	n := 0
	for ; tree.Set(fmt.Sprintf("./Vendor/MSFT/%d", n), big); n++ {
	}
	var stored bool
	tree.Handle("./Vendor/MSFT/Handled", func(_ context.Context, _ *omadm.Operation) int {
		stored = tree.Set("./Vendor/MSFT/Other", big)
		return 200
	})
	item := func(verb, uri string) string {
		return `<` + verb + `><CmdID>3</CmdID><Item><Target><LocURI>./Vendor/MSFT/` + uri + `</LocURI></Target></Item></` + verb + `>`
	}
	s := &scripted{answers: []string{
		sync12(headerOK + `<Atomic><CmdID>2</CmdID>` + item("Delete", "0") + item("Exec", "Handled") + item("Delete", "none") + `</Atomic>`), sync12(""),
	}}
	if _, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = tree }); err != nil || stored {
		t.Errorf("%v; stored: %t", err, stored)
	}
	if v, _ := tree.Get("./Vendor/MSFT/0"); v != big {
		t.Error("the node is not back")
	}
	text, err := tree.MarshalJSON()
	if err != nil || new(omadm.Tree).UnmarshalJSON(text) != nil {
		t.Errorf("the tree does not load: %v", err)
	}
	if !tree.Delete("./Vendor/MSFT/0") || !tree.Set("./Vendor/MSFT/Other", big) {
		t.Error("the room is still kept")
	}
}

// many returns a tree with a node that has many nodes below it.
func many(names int, name string) *omadm.Tree {
	tree := new(omadm.Tree)
	for n := range names {
		tree.Set(fmt.Sprintf("./Vendor/MSFT/Many/%05d%s", n, name), omadm.Value{})
	}
	return tree
}

// A message that reads a large node again and again costs little more than one
// that reads it once.
func TestManyGetsOfManyNodes(t *testing.T) {
	for _, c := range []struct {
		name  string
		tree  *omadm.Tree
		sent  int // Results
		calls int // of the handler
	}{{"that fit", many(40000, ""), 4, 5}, {"that do not fit", many(40000, "long"), 0, 4000}} {
		get := `<Get><CmdID>2</CmdID>` + strings.Repeat(`<Item><Target><LocURI>./Vendor/MSFT/Many</LocURI></Target></Item>`, 200) + `</Get>`
		s := &scripted{answers: []string{sync12(headerOK + strings.Repeat(get, 20)), sync12("")}}
		calls := 0
		c.tree.Handle("./Vendor/MSFT/Many", func(context.Context, *omadm.Operation) int { calls++; return 0 })
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := scriptedSession(t, s, func(s *omadm.Session) { s.Tree = c.tree })
		runtime.ReadMemStats(&after)
		if err != nil || len(s.heard) != 2 || r.Failed != 4000-c.sent || strings.Count(s.heard[1], "<Source><LocURI>./Vendor/MSFT/Many<") != c.sent {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%s: %d MiB are allocated", c.name, used>>20)
		}
		if calls != c.calls {
			t.Errorf("%s: the handler is called %d times", c.name, calls)
		}
	}
}

// A context that ends stops a command between two of its items.
func TestSessionContextItems(t *testing.T) {
	for _, verb := range []string{"Get", "Replace", "Exec"} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &scripted{answers: []string{sync12(headerOK + `<` + verb + `><CmdID>4</CmdID>` +
			strings.Repeat(`<Item><Target><LocURI>./Vendor/MSFT/X</LocURI></Target></Item>`, 100) + `</` + verb + `>`)}}
		tree, calls := new(omadm.Tree), 0
		tree.Handle("./Vendor/MSFT/X", func(context.Context, *omadm.Operation) int {
			if calls++; calls == 3 {
				cancel()
			}
			return 200
		})
		session := &omadm.Session{
			Server: "https://mdm.test/sync", Device: mdm.Device{ID: "device-7"}, Tree: tree, HTTPClient: &http.Client{Transport: s},
		}
		if _, err := session.Run(ctx); !errors.Is(err, context.Canceled) || calls != 3 || len(s.heard) != 1 {
			t.Errorf("%s: %v after %d calls and %d messages", verb, err, calls, len(s.heard))
		}
	}
}

// An Atomic that is canceled leaves nothing behind.
func TestSessionContextAtomic(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	set := func(name string) string {
		return `<Item><Target><LocURI>./Vendor/MSFT/` + name + `</LocURI></Target><Data>1</Data></Item>`
	}
	s := &scripted{answers: []string{sync12(headerOK + `<Atomic><CmdID>4</CmdID><Replace><CmdID>5</CmdID>` + set("A") + set("X") + set("B") + `</Replace></Atomic>`)}}
	tree := new(omadm.Tree)
	tree.Handle("./Vendor/MSFT/X", func(context.Context, *omadm.Operation) int { cancel(); return 0 })
	session := &omadm.Session{
		Server: "https://mdm.test/sync", Device: mdm.Device{ID: "device-7"}, Tree: tree, HTTPClient: &http.Client{Transport: s},
	}
	if _, err := session.Run(ctx); !errors.Is(err, context.Canceled) || !reflect.DeepEqual(tree.Children("./Vendor/MSFT"), []string(nil)) {
		t.Errorf("%v, %q", err, tree.Children("./Vendor/MSFT"))
	}
}

// A message has a limit of commands and items.
func TestSessionManyCommands(t *testing.T) {
	for _, body := range []string{strings.Repeat(`<Exec/>`, 10001), `<Get>` + strings.Repeat(`<Item/>`, 10001) + `</Get>`, `<Atomic>` + strings.Repeat(`<Add><Item/></Add>`, 5001) + `</Atomic>`} {
		_, err := scriptedSession(t, &scripted{answers: []string{sync12(headerOK + body)}}, nil)
		if err == nil || !strings.Contains(err.Error(), "10000 commands") {
			t.Errorf("%.20s: %v", body, err)
		}
	}
}
