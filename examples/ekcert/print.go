package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// print prints results and returns the exit code: 0 if there is a certificate
// and none is bad.
func (o *options) print(w io.Writer, results []*result) int {
	found, code := false, 0
	for i, r := range results {
		switch r.Verdict {
		case good:
			found = true
		case bad:
			code = 1
		}
		if o.json {
			if err := json.NewEncoder(w).Encode(r); err != nil {
				return 1
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		r.print(w)
	}
	if !found {
		code = 1
	}
	return code
}

// print prints a result for people.
func (r *result) print(w io.Writer) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-13s%s\n", name, value)
		}
	}
	line("key", r.Key)
	line("verdict", strings.TrimSuffix(r.Verdict+": "+r.Error, ": "))
	line("origin", r.Origin)
	line("maker", strings.TrimSpace(r.Vendor+" "+r.Manufacturer))
	line("model", r.Model)
	line("version", r.Version)
	line("firmware", r.Firmware)
	line("serial", r.Serial)
	line("sha256", r.SHA256)
	line("issuer", r.Issuer)
	if !r.NotAfter.IsZero() {
		line("valid", r.NotBefore.Format("2006-01-02")+" to "+r.NotAfter.Format("2006-01-02"))
	}
	for _, subject := range r.Chain {
		line("chain", subject)
	}
	line("revocation", r.Revocation)
	for _, f := range r.Findings {
		line("finding", strings.Join(strings.Fields(f.Severity+" "+f.ID+" "+f.CVE+" "+f.Detail), " "))
	}
}
