package command

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A file that has no end, or is something else, is told by name and not waited for.
func TestReadOddFiles(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	f, err := os.Create(large)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(maxFile + 1); err != nil {
		t.Fatal(err)
	}
	f.Close()
	cases := map[string][2]string{ // of ReadFile and ReadSmall
		dir:   {"is a folder: name a file", "is a folder: name a file"},
		large: {"is larger than 64 MiB", "is larger than 1 MiB"},
	}
	if runtime.GOOS != "windows" {
		cases["/dev/zero"] = [2]string{`"/dev/zero" is no regular file: name a file`, `"/dev/zero" is no regular file: name a file`}
		fifo := filepath.Join(dir, "fifo")
		if makeFIFO(fifo) {
			cases[fifo] = [2]string{"is no regular file", "is no regular file"}
		}
	}
	for name, want := range cases {
		for i, read := range []func(string) ([]byte, error){ReadFile, ReadSmall} {
			if _, err := read(name); err == nil || !strings.Contains(err.Error(), want[i]) {
				t.Errorf("%s: %v, want %q", name, err, want[i])
			}
		}
		_, certs := ReadCertificates(name)
		_, keys := ReadKeys(name)
		_, roots := ReadRoots("-roots", name)
		_, secret := Secret("-x", "@"+name)
		if certs == nil || keys == nil || roots == nil || secret == nil {
			t.Errorf("%s: %v, %v, %v, %v", name, certs, keys, roots, secret)
		}
	}
	if _, err := ReadRoots("-roots", dir); err.Error() != `-roots: "`+dir+`" is a folder: name a file in PEM` && runtime.GOOS != "windows" {
		t.Error(err)
	}
}

func TestCheckWhole(t *testing.T) {
	for text, want := range map[string]string{
		"": "the file is empty", " \n": "the file is empty", "junk": "",
		"-----BEGIN TSS2 PRIVATE KEY-----\nAA": "the file is cut off: there is no -----END TSS2 PRIVATE KEY-----",
		"-----BEGIN A-----\n-----END A-----\n": "",
	} {
		if err := CheckWhole([]byte(text)); err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
