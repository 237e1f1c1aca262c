package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What could not be written in the end is known before.
func TestCheckOutput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := WriteFile(file, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]string{ // of CheckFile and CheckDir
		"":                          {"", ""},
		file:                        {"", "is a file, not a folder"},
		dir:                         {"is a folder: name a file", ""},
		filepath.Join(dir, "new"):   {"", ""},
		filepath.Join(dir, "a/b/c"): {"there is no folder", ""},
		filepath.Join(file, "a/b"):  {"there is no folder", "is a file, not a folder"},
	} {
		for i, err := range []error{CheckFile("-x", name), CheckDir("-x", name)} {
			if want := want[i]; (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "-x: ")) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := os.Stat("/proc/self"); err == nil {
		for _, err := range []error{CheckFile("-x", "/proc/new"), CheckDir("-x", "/proc/new/folder"), CheckDir("-x", "/dev/null/x")} {
			if err == nil {
				t.Error("a file could be made where none can be")
			}
		}
	}
	if os.Getuid() > 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		if err := CheckDir("-x", dir); err == nil || !strings.Contains(err.Error(), "takes no new file") {
			t.Error(err)
		}
	}
}
