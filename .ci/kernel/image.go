package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are what the image holds beside the guest, which is /init.
var programs = []string{"provision", "preflight", "mockserver", "verifier", "attestor"}

// buildImage builds the programs and writes them as an initramfs, with files in dir.
func buildImage(image, dir string) error {
	builds := [][]string{
		{"build", "-o", filepath.Join(dir, "init"), "./.ci/kernel/guest"},
		{"test", "-c", "-ldflags=-s -w", "-o", filepath.Join(dir, "attest.test"), "./attest"},
	}
	for _, name := range programs {
		flags := "-ldflags=-s -w"
		if name == "mockserver" {
			flags += " -X testing.testBinary=1" // as in a test, its RSA keys come from a pool: an emulated processor searches long
		}
		builds = append(builds, []string{"build", flags, "-o", filepath.Join(dir, name), "./examples/" + name})
	}
	for _, args := range builds {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	defer f.Close()
	a := &archive{w: f} // not compressed: the emulated processor would take longer to expand it than to read it
	for _, name := range []string{"dev", "proc", "sys", "tmp", "bin", "testdata"} {
		a.add(name, 0o040755, nil)
	}
	a.addDevice("dev/console", 5, 1)
	for _, name := range append([]string{"init", "attest.test"}, programs...) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		path := "bin/" + name
		if name == "init" {
			path = name
		}
		a.add(path, 0o100755, data)
	}
	tests, err := deviceTests("attest")
	if err != nil {
		return err
	}
	a.add("tests", 0o100644, []byte(strings.Join(tests, "\n")))
	a.add("TRAILER!!!", 0, nil)
	if a.err != nil {
		return a.err
	}
	return f.Close()
}

// An archive writes a cpio archive in the form "newc", which the kernel unpacks.
type archive struct {
	w     io.Writer
	inode int
	err   error
}

func (a *archive) add(name string, mode int, data []byte) { a.entry(name, mode, data, 0, 0) }

func (a *archive) addDevice(name string, major, minor int) {
	a.entry(name, 0o020600, nil, major, minor)
}

func (a *archive) entry(name string, mode int, data []byte, major, minor int) {
	a.inode++
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0)
	head += name + "\x00"
	for _, part := range [][]byte{[]byte(head), data} {
		if a.err == nil {
			_, a.err = a.w.Write(append(part[:len(part):len(part)], make([]byte, -len(part)&3)...))
		}
	}
}
