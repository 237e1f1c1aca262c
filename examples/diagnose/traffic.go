package main

import (
	"bytes"
	"errors"
	"os"
	"strings"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/trace"
)

// annotate writes a capture of traffic with the time line of a run. Of a damaged
// capture it writes what can be read, and fails.
func annotate(path, out string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	t, damage := trace.Annotate(f)
	if t == nil {
		return damage
	}
	var b bytes.Buffer
	write := t.WriteHTML
	if strings.HasSuffix(out, ".md") {
		write = t.WriteMarkdown
	}
	if err := write(&b); err != nil {
		return err
	}
	return errors.Join(damage, command.WriteFile(out, b.Bytes()))
}
