package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// lastLines is how much of the console a failure shows.
const lastLines = 60

// A console is what a machine prints. The guest reports in lines that begin with "@@".
type console struct {
	device string
	last   []string // the last lines
	tried  int
	done   bool // the guest tried all that it has
	failed bool
}

// follow prints what the guest reports, until it has tried everything or the machine
// ends. After a failure it prints the console's last lines.
func (c *console) follow(r io.Reader) {
	for in := bufio.NewReader(r); !c.done; {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			c.line(bytes.TrimRight(line, "\r\n"))
		}
		if err != nil {
			return
		}
	}
}

func (c *console) line(line []byte) {
	if c.last = append(c.last, string(line)); len(c.last) > lastLines {
		c.last = c.last[1:]
	}
	report, ok := bytes.CutPrefix(line, []byte("@@ "))
	if !ok {
		if *verbose {
			fmt.Printf("   %s | %s\n", c.device, line)
		}
		return
	}
	if c.done = string(report) == "all was tried"; c.done {
		return
	}
	fmt.Printf("   %s: %s\n", c.device, report)
	switch word, _, _ := strings.Cut(string(report), " "); word {
	case "ok":
		c.tried++
	case "FAIL":
		c.tried++
		c.failed = true
		c.show()
	}
}

// show prints the last lines, unless -v has shown them already.
func (c *console) show() {
	if !*verbose {
		fmt.Printf("   %s: the console's last lines:\n   | %s\n", c.device, strings.Join(c.last, "\n   | "))
	}
}
