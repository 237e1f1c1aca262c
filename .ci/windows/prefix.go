package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// wine is the loader. Debian's script of that name asks for a 32-bit Wine.
const wine = "/usr/lib/wine/wine64"

// A machine is a Windows machine in Wine.
type machine struct {
	dir    string // the programs, the state files, and the folder of Wine
	bridge *bridge
	env    []string
	url    string // of the mock server, which runs on the host
	server *exec.Cmd
}

// programs are those that run in Wine.
var programs = []string{"provision", "preflight", "mockserver", "attestor", "ekcert", "diagnose"}

// newMachine makes a machine with files in dir.
func newMachine(ctx context.Context, dir string) (*machine, error) {
	m := &machine{dir: dir}
	prefix := filepath.Join(dir, "prefix")
	m.env = append(os.Environ(), "WINEPREFIX="+prefix, "WINEARCH=win64", "WINEDEBUG=-all",
		"WINEDLLOVERRIDES=mscoree,mshtml=;bcryptprimitives,tbs=n", "DISPLAY=")
	boot := exec.CommandContext(ctx, wine, "wineboot", "-i")
	boot.Env = m.env
	booted := make(chan error, 1)
	go func() {
		if out, err := boot.CombinedOutput(); err != nil {
			booted <- fmt.Errorf("wineboot: %w\n%s", err, out)
		}
		close(booted)
	}()
	err := m.build(ctx)
	if berr := <-booted; err == nil {
		err = berr
	}
	if err != nil {
		return m, err
	}
	system32 := filepath.Join(prefix, "drive_c", "windows", "system32")
	for name, libraries := range map[string]string{"bcryptprimitives": "-ladvapi32", "tbs": "-lws2_32"} {
		cc := exec.CommandContext(ctx, "x86_64-w64-mingw32-gcc", "-shared", "-O2", "-Wall", "-Werror",
			"-o", filepath.Join(system32, name+".dll"), filepath.Join(".ci", "windows", "dll", name+".c"), libraries)
		if out, err := cc.CombinedOutput(); err != nil {
			return m, fmt.Errorf("%s.c: %w\n%s", name, err, out)
		}
	}
	tpm := filepath.Join(dir, "tpm")
	if err := os.Mkdir(tpm, 0o700); err != nil {
		return m, err
	}
	if m.bridge, err = startBridge(tpm); err != nil {
		return m, err
	}
	m.env = append(m.env, fmt.Sprint("WHITEGLOVE_TBS=", m.bridge.port()))
	return m, m.serve(ctx)
}

// build builds the programs for Windows, and the servers for this system.
func (m *machine) build(ctx context.Context) error {
	for system, names := range map[string][]string{"windows": programs, "linux": {"mockserver", "verifier"}} {
		args := []string{"build", "-ldflags=-s -w", "-o", m.dir + "/"}
		for _, name := range names {
			args = append(args, "./examples/"+name)
		}
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64", "GOOS="+system)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return nil
}

// serve starts the mock server.
func (m *machine) serve(ctx context.Context) error {
	m.server = exec.CommandContext(ctx, filepath.Join(m.dir, "mockserver"), "-ready-file", "url", "-roots-out", "roots.pem", "-admit", "any", "-user", "ada@contoso.test:secret")
	m.server.Dir = m.dir
	log, err := os.Create(filepath.Join(m.dir, "server.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	m.server.Stderr = log
	if err := m.server.Start(); err != nil {
		return err
	}
	return eventually("the mock server starts", func() bool {
		url, err := os.ReadFile(filepath.Join(m.dir, "url"))
		m.url = strings.TrimSpace(string(url))
		return err == nil && m.url != ""
	})
}

// close ends what runs in the machine.
func (m *machine) close() {
	if m.server != nil && m.server.Process != nil {
		m.server.Process.Kill()
		m.server.Wait()
	}
	if m.bridge != nil {
		if err := m.bridge.close(); err != nil {
			fmt.Println("   TPM:", err)
		}
	}
	end := exec.Command("/usr/lib/wine/wineserver", "-k")
	end.Env = m.env
	_ = end.Run() // it may not run
}

// program returns a program in Wine, in the folder of the machine: one of programs, or if
// name is empty one of Wine's own.
func (m *machine) program(ctx context.Context, name string, args ...string) *exec.Cmd {
	if name != "" {
		args = append([]string{filepath.Join(m.dir, name+".exe")}, args...)
	}
	cmd := exec.CommandContext(ctx, wine, args...)
	cmd.Dir, cmd.Env = m.dir, m.env
	return cmd
}
