package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/trace"
)

// A capture is a capture of traffic with the time line of a run.
type capture struct {
	page   []byte
	damage error // of what was read
}

// annotate returns the capture of -traffic, or nil without the flag. Of a damaged capture it
// has what can be read.
func (o *options) annotate() (*capture, error) {
	if o.traffic == "" {
		return nil, nil
	}
	path := o.args[0]
	f, err := os.Open(path)
	if err != nil {
		return nil, command.Wrong("-traffic", err)
	}
	defer f.Close()
	t, damage := trace.Annotate(f)
	switch {
	case errors.Is(damage, trace.ErrNoCapture):
		return nil, command.Wrong("-traffic", fmt.Errorf("%s is neither an HTTP archive, a proxy's log nor a list of times and hosts: name a capture of the device's traffic. %s was not written", path, o.traffic))
	case t == nil:
		return nil, command.Wrong("-traffic", damage)
	}
	var b bytes.Buffer
	write := t.WriteHTML
	if strings.HasSuffix(o.traffic, ".md") {
		write = t.WriteMarkdown
	}
	if err := write(&b); err != nil {
		return nil, err
	}
	return &capture{b.Bytes(), damage}, nil
}

// write writes the capture to a file, and fails if it was damaged.
func (c *capture) write(name string) error {
	if c == nil {
		return nil
	}
	return errors.Join(c.damage, command.WriteFile(name, c.page))
}
