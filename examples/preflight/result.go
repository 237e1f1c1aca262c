package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// Statuses of a check.
const (
	pass = "pass"
	warn = "warn"
	fail = "fail"
	skip = "skip"
)

// A result is the outcome of a check.
type result struct {
	Phase     string  `json:"phase"`
	Name      string  `json:"name"`   // a host, or what else was checked
	Status    string  `json:"status"` // "pass", "warn", "fail" or "skip"
	Detail    string  `json:"detail"`
	Remedy    string  `json:"remedy,omitempty"`    // for "warn" and "fail"
	Use       string  `json:"use,omitempty"`       // what the service is for
	Stage     string  `json:"stage,omitempty"`     // in which a connection failed: "dns", "tcp", "udp", "proxy", "tls" or "http"
	Temporary bool    `json:"temporary,omitempty"` // the failure may pass without action
	Allow     string  `json:"allow,omitempty"`     // what a firewall has to let through
	URL       string  `json:"url,omitempty"`       // what was requested
	Address   string  `json:"address,omitempty"`   // what was connected to
	Issuer    string  `json:"issuer,omitempty"`    // of the server's certificate
	HTTP      int     `json:"http,omitempty"`      // HTTP status of the answer
	Step      string  `json:"step,omitempty"`      // of the flow, in which a device asks the host
	Page      string  `json:"page,omitempty"`      // the line of the setup page at that time
	Later     string  `json:"later,omitempty"`     // what fails later, for "warn" and "fail"
	Screen    string  `json:"screen,omitempty"`    // what the setup screen shows then
	Elapsed   float64 `json:"ms,omitempty"`

	untimely bool   // the server's certificate is not valid at this machine's time
	code     uint32 // that Windows has for the failure of the connection
}

// note sets status, detail and remedy of r, and returns r.
func (r *result) note(status, detail, remedy string) *result {
	r.Status, r.Detail, r.Remedy = status, detail, remedy
	return r
}

// failed notes that an error ended the check. If the error has a remedy of its
// own, that replaces the one given.
func (r *result) failed(err error, remedy string) *result {
	var e interface{ Remedy() string }
	if errors.As(err, &e) && e.Remedy() != "" {
		remedy = command.Remedy(e.Remedy())
	}
	return r.note(fail, command.OneLine(err.Error()), remedy)
}

// print writes results as text for people, or as one JSON object a line.
func print(w io.Writer, results []*result, asJSON bool) error {
	if asJSON {
		for _, r := range results {
			if err := command.WriteJSONLine(w, r); err != nil {
				return err
			}
		}
		return nil
	}
	var b strings.Builder
	skipped := make(map[string]int) // by the reason
	for _, r := range results {
		if r.Status == skip {
			skipped[r.Detail]++
		}
	}
	page := ""
	for i, r := range results {
		switch n := skipped[r.Detail]; {
		case r.Status != skip || n == 1:
			if r.Page != page {
				page = r.Page
				fmt.Fprintf(&b, "%s:\n", cmp.Or(page, "At any time"))
			}
			fmt.Fprintf(&b, "%-4s  %-10s  %s: %s\n", strings.ToUpper(r.Status), r.Phase, r.Name, r.Detail)
		case n > 1: // all of them in the place of the first
			fmt.Fprintf(&b, "SKIP  %d services: %s\n", n, r.Detail)
			skipped[r.Detail] = 0
		}
		if i+1 == len(results) || results[i+1].Step != r.Step {
			b.WriteString(later(results[:i+1], r.Step))
		}
	}
	printRemedies(&b, results)
	n := count(results)
	fmt.Fprintf(&b, "%d passed, %d with a warning, %d failed, %d skipped\n", n[pass], n[warn], n[fail], n[skip])
	_, err := io.WriteString(w, b.String())
	return err
}

// later returns a line with what fails later because of the hosts of a step, the last
// of results, or "" if none of them is in trouble. A host that every device needs
// comes before others.
func later(results []*result, step string) string {
	line := ""
	for _, r := range slices.Backward(results) {
		switch {
		case r.Step != step || step == "":
			return line
		case r.Status == fail || r.Status == warn && line == "":
			line = "      later: " + r.Later
			if r.Screen != "" {
				line += " The screen then shows: " + r.Screen + "."
			}
			line += "\n"
		}
	}
	return line
}

// printRemedies prints each remedy once, and below it the results that it is
// for.
func printRemedies(b *strings.Builder, results []*result) {
	var remedies []string
	for _, r := range results {
		if r.Remedy != "" && !slices.Contains(remedies, r.Remedy) {
			remedies = append(remedies, r.Remedy)
		}
	}
	for _, remedy := range remedies {
		fmt.Fprintf(b, "\n%s\n", remedy)
		var lines []string
		for _, r := range results {
			if line := r.about(); r.Remedy == remedy && !slices.Contains(lines, line) {
				lines = append(lines, line)
				b.WriteString(line)
			}
		}
	}
	if len(remedies) > 0 {
		b.WriteString("\n")
	}
}

// about returns a line that says what a remedy is for: what a firewall has to let
// through, or the name of the check.
func (r *result) about() string {
	if r.Allow == "" {
		return fmt.Sprintf("  %s  %s\n", strings.ToUpper(r.Status), r.Name)
	}
	return fmt.Sprintf("  %s  %-50s  %s\n", strings.ToUpper(r.Status), r.Allow, r.Use)
}

// count returns how many results there are of each status.
func count(results []*result) map[string]int {
	n := make(map[string]int)
	for _, r := range results {
		n[r.Status]++
	}
	return n
}
