package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Statuses of a check.
const (
	pass = "pass"
	warn = "warn"
	fail = "fail"
	skip = "skip"
)

// A result is what a check found.
type result struct {
	Phase     string  `json:"phase"`
	Name      string  `json:"name"`   // host, or what was checked
	Status    string  `json:"status"` // "pass", "warn", "fail" or "skip"
	Detail    string  `json:"detail"`
	Remedy    string  `json:"remedy,omitempty"`    // if it is not a pass
	Use       string  `json:"use,omitempty"`       // what the service is for
	Stage     string  `json:"stage,omitempty"`     // of a connection: "dns", "tcp", "proxy", "tls" or "http" it ended in
	Temporary bool    `json:"temporary,omitempty"` // it may go away by itself
	Allow     string  `json:"allow,omitempty"`     // for a firewall
	URL       string  `json:"url,omitempty"`       // that was asked
	Address   string  `json:"address,omitempty"`   // that was connected to
	Issuer    string  `json:"issuer,omitempty"`    // of the server's certificate
	HTTP      int     `json:"http,omitempty"`      // status of the answer
	Elapsed   float64 `json:"ms,omitempty"`

	untimely bool // by this machine's clock the server's certificate is not valid
}

// note sets what a result ends as, and returns it.
func (r *result) note(status, detail, remedy string) *result {
	r.Status, r.Detail, r.Remedy = status, detail, remedy
	return r
}

// failed is note for an error, with its own remedy if it has one.
func (r *result) failed(err error, remedy string) *result {
	var e interface{ Remedy() string }
	if errors.As(err, &e) && e.Remedy() != "" {
		remedy = e.Remedy()
	}
	return r.note(fail, oneLine(err.Error()), remedy)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// print writes results for people, or one JSON object a line.
func print(w io.Writer, results []*result, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintf(&b, "%-4s  %-10s  %s: %s\n", strings.ToUpper(r.Status), r.Phase, r.Name, r.Detail)
	}
	printRemedies(&b, results)
	n := count(results)
	fmt.Fprintf(&b, "%d passed, %d with a warning, %d failed, %d skipped\n", n[pass], n[warn], n[fail], n[skip])
	_, err := io.WriteString(w, b.String())
	return err
}

// printRemedies prints each remedy once, with what it is for below.
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

// about returns a line on what a remedy is for: the firewall's rule, or the
// check.
func (r *result) about() string {
	if r.Allow == "" {
		return fmt.Sprintf("  %s  %s\n", strings.ToUpper(r.Status), r.Name)
	}
	return fmt.Sprintf("  %s  %-50s  %s\n", strings.ToUpper(r.Status), r.Allow, r.Use)
}

func count(results []*result) map[string]int {
	n := make(map[string]int)
	for _, r := range results {
		n[r.Status]++
	}
	return n
}
