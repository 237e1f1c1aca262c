package main

import (
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
	Elapsed   float64 `json:"ms,omitempty"`

	untimely bool // the server's certificate is not valid at this machine's time
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
		remedy = e.Remedy()
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
	for _, r := range results {
		switch n := skipped[r.Detail]; {
		case r.Status != skip || n == 1:
			fmt.Fprintf(&b, "%-4s  %-10s  %s: %s\n", strings.ToUpper(r.Status), r.Phase, r.Name, r.Detail)
		case n > 1: // all of them in the place of the first
			fmt.Fprintf(&b, "SKIP  %d services: %s\n", n, r.Detail)
			skipped[r.Detail] = 0
		}
	}
	printRemedies(&b, results)
	n := count(results)
	fmt.Fprintf(&b, "%d passed, %d with a warning, %d failed, %d skipped\n", n[pass], n[warn], n[fail], n[skip])
	_, err := io.WriteString(w, b.String())
	return err
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
