package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/diagnose"
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

	untimely *x509.Certificate // of the server or an issuer: it is not valid at this machine's time
	viaNone  bool              // the proxy was not reached, so the service was not asked
	code     uint32            // that Windows has for the failure of the connection
}

// note sets status, detail and remedy of r, and returns r.
func (r *result) note(status, detail, remedy string) *result {
	r.Status, r.Detail, r.Remedy = status, detail, remedy
	return r
}

// failed notes that an error ended the check, in the words of the other programs. If the
// error has a remedy of its own, that replaces the one given.
func (r *result) failed(err error, remedy string) *result {
	var e interface{ Remedy() string }
	if errors.As(err, &e) && e.Remedy() != "" || remedy == "" {
		remedy = command.OneLine(command.Remedy(diagnose.Explain(err).Remedy))
	}
	return r.note(fail, command.Brief(err), remedy)
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
	page, said := "", ""
	for i, r := range results {
		switch n := skipped[r.Detail]; {
		case r.Status != skip || n == 1:
			if r.Page != page {
				page = r.Page
				fmt.Fprintf(&b, "%s:\n", cmp.Or(page, "At any time"))
			}
			fmt.Fprintf(&b, "%-4s  %-10s  %s: %s\n", strings.ToUpper(r.Status), r.Phase, r.Name, r.Detail)
			if r.Step == "" {
				said = doLine(&b, r, said)
			}
		case n > 1: // all of them in the place of the first
			fmt.Fprintf(&b, "SKIP  %d services: %s\n", n, r.Detail)
			skipped[r.Detail] = 0
		}
		if i+1 == len(results) || results[i+1].Step != r.Step {
			if worst := later(&b, results[:i+1], r.Step); worst != nil {
				said = doLine(&b, worst, said)
			}
		}
	}
	printRemedies(&b, results)
	n := count(results)
	fmt.Fprintf(&b, "%d passed, %d with a warning, %d failed, %d skipped\n", n[pass], n[warn], n[fail], n[skip])
	_, err := io.WriteString(w, b.String())
	return err
}

// later prints a line with what fails later because of the hosts of a step, the last
// of results. It returns the result that it is about, or nil if none of them is in trouble. A
// host that every device needs comes before others.
func later(b *strings.Builder, results []*result, step string) (worst *result) {
	for _, r := range slices.Backward(results) {
		if r.Step != step || step == "" {
			break
		}
		if r.Status == fail || r.Status == warn && worst == nil {
			worst = r
		}
	}
	if worst == nil {
		return nil
	}
	b.WriteString("      later: " + worst.Later)
	if worst.Screen != "" {
		b.WriteString(" The screen then shows: " + worst.Screen + ".")
	}
	b.WriteString("\n")
	return worst
}

// doLine prints what to do about a result, unless the last such line said it. It returns
// what was said last.
func doLine(b *strings.Builder, r *result, said string) string {
	if r.Remedy == "" || r.Remedy == said {
		return said
	}
	fmt.Fprintf(b, "      do:    %s\n", r.Remedy)
	return r.Remedy
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
