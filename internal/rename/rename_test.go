package rename_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/rename"
)

// A file is replaced although another program reads it for a moment. One that stays
// open stops it on Windows, and is not changed.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		text string
		open time.Duration // 0: not at all
		fits bool
	}{{"new", 0, true}, {"newer", 300 * time.Millisecond, true}, {"newest", time.Minute, runtime.GOOS != "windows"}} {
		write(to, "old")
		write(from, tt.text)
		f, err := os.Open(to)
		if err != nil {
			t.Fatal(err)
		}
		closing := time.AfterFunc(tt.open, func() { f.Close() })
		err = rename.File(from, to)
		closing.Stop()
		f.Close()
		if (err == nil) != tt.fits {
			t.Errorf("%s: %v", tt.text, err)
		}
		want := "old"
		if tt.fits {
			want = tt.text
		}
		if got, err := os.ReadFile(to); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", tt.text, got, err)
		}
	}
	if err := rename.File(filepath.Join(dir, "none"), to); !os.IsNotExist(err) {
		t.Errorf("nothing: %v", err)
	}
}
