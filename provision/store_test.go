package provision_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/provision"
)

func TestFileStore(t *testing.T) {
	dir := t.TempDir()
	store := provision.FileStore(filepath.Join(dir, "state.json"))
	if _, err := store.Load(t.Context()); !errors.Is(err, provision.ErrNoState) {
		t.Fatalf("nothing stored: %v", err)
	}
	for _, id := range []string{"one", "two"} {
		want := &provision.State{Version: 2, Tenant: "contoso.test", DeviceID: id, EKCertificates: [][]byte{{1, 2}}}
		if err := store.Save(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, err := store.Load(t.Context())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("left beside the state: %v, %v", files, err)
	}
	if fi, _ := files[0].Info(); fi.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("mode is %v", fi.Mode())
	}
}

func TestFileStoreDamaged(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state.json")
	for _, text := range []string{"", "{", `{"version":"1"}`, `[1]`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := provision.FileStore(name).Load(t.Context()); !errors.Is(err, provision.ErrState) {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
}

// A failed Save leaves what was stored.
func TestFileStoreFailedSave(t *testing.T) {
	store := provision.FileStore(filepath.Join(t.TempDir(), "no", "such", "folder"))
	if err := store.Save(t.Context(), &provision.State{}); err == nil {
		t.Error("saved into a folder that is not there")
	}
}

// A state that Load would refuse is not saved, and the one before it stays.
func TestFileStoreTooLarge(t *testing.T) {
	store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
	for size, ok := range map[int]bool{20 << 20: true, 26 << 20: false} {
		saved := store.Save(t.Context(), &provision.State{AIK: "key", ManagementTree: make([]byte, size)})
		if (saved == nil) != ok {
			t.Errorf("a tree of %d bytes: %v", size, saved)
		}
		if s, err := store.Load(t.Context()); saved == nil && (err != nil || len(s.ManagementTree) != size) {
			t.Errorf("a tree of %d bytes does not load: %v", size, err)
		}
	}
	if s, err := store.Load(t.Context()); err != nil || s.AIK != "key" {
		t.Errorf("the keys are out of reach: %v", err)
	}
}

// What a Save left behind is removed by the next run, and nothing else is.
func TestFileStoreLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"state.123.state-tmp", "state.lock", "state.txt", "other.123.state-tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := provision.FileStore(filepath.Join(dir, "state")).Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 || files[0].Name() != "other.123.state-tmp" {
		t.Errorf("%v, %v", files, err)
	}
}

// What is read as a state is written and read as the same.
func FuzzState(f *testing.F) {
	for _, s := range []*provision.State{
		{Version: 2, Tenant: "contoso.test", EKSHA256: []byte{1, 2}, EKCertificates: [][]byte{{0x30, 0}}, Sealed: time.Unix(1, 0)},
		{AIK: "-----BEGIN TSS2 PRIVATE KEY-----\n", User: &provision.UserState{Name: "x"}},
	} {
		text, err := provision.FormatState(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		state, err := provision.ParseState(text)
		if err != nil {
			if !errors.Is(err, provision.ErrState) {
				t.Errorf("error is %v", err)
			}
			return
		}
		store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
		if err := store.Save(t.Context(), state); err != nil {
			return // a time that JSON has no form for
		}
		again, err := store.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a, b := marshal(t, state), marshal(t, again); a != b {
			t.Errorf("%s became %s", a, b)
		}
	})
}

func marshal(t *testing.T, s *provision.State) string {
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
