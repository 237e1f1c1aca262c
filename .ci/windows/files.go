package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write writes a file on the machine.
func (m *machine) write(name, text string) error {
	return os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600)
}

// names runs with names that are longer than MAX_PATH (260) and beyond ASCII, and with
// line ends of Windows in each text file.
func names(ctx context.Context, m *machine) error {
	folder := strings.TrimSpace(strings.Repeat("Gerät-日本-ñ ", 11))
	deep := filepath.Join("tief", folder, folder, folder)
	if err := os.MkdirAll(filepath.Join(m.dir, deep), 0o700); err != nil {
		return err
	}
	if n := len([]rune(filepath.Join(m.dir, deep))); n < 300 {
		return fmt.Errorf("a path of only %d characters", n)
	}
	roots, err := os.ReadFile(filepath.Join(m.dir, "roots.pem"))
	if err != nil {
		return err
	}
	if err := m.write(filepath.Join(deep, "Wurzeln.pem"), windowsLines(roots)); err != nil {
		return err
	}
	state := filepath.Join(deep, "Zustand ß.json")
	args := []string{"-roots", filepath.Join(deep, "Wurzeln.pem"), "-out", filepath.Join(deep, "Schlüssel"), "-report", filepath.Join(deep, "Bericht.html")}
	if _, err := ends(m.provision(ctx, state, args...), 0, enrolled); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(m.dir, state))
	if err != nil {
		return err
	}
	// An editor may have saved it with its own line ends.
	if err := m.write(state, windowsLines(text)); err != nil {
		return err
	}
	out, err := ends(m.provision(ctx, state, args...), 0, enrolled)
	if err == nil && strings.Count(out, `"resumed"`) < 5 {
		err = fmt.Errorf("not resumed\n%s", out)
	}
	if err != nil {
		return err
	}
	for _, name := range []string{"ek.pem", "aik.pem", "device-key.pem", "summary.json"} {
		if _, err := os.Stat(filepath.Join(m.dir, deep, "Schlüssel", name)); err != nil {
			return err
		}
	}
	// What it cannot find it names so that it can be read.
	missing := "fehlt-日本.pem"
	_, err = ends(m.provision(ctx, "none", "-roots", missing), 2, missing)
	return err
}

// windowsLines returns text with line ends of Windows.
func windowsLines(text []byte) string {
	return string(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
}
