package evidence

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzCase gives foreign bytes to a case under a name that decides on their kind. The
// report is well-formed, refers to its sources, and is the same each time.
func FuzzCase(f *testing.F) {
	for _, name := range []string{"a.txt", "a.reg", "a.json", "CertReq_x.txt", "a.csv", "a.xml", "a.log", "a.evtx", "a.cab"} {
		f.Add(name, []byte(""))
	}
	for name, data := range goodRun().contents() {
		f.Add(name, data[:min(len(data), 3000)])
	}
	for _, c := range faults() {
		for name, text := range c.evidence.files {
			f.Add(name, []byte(text[:min(len(text), 2000)]))
		}
	}
	small := map[string][]byte{"a.txt": []byte("GetCACaps: Not Found 0x80190194\n"), "b.reg": []byte(espRegistry(4, 4, "Sidecar"))}
	f.Add("a.zip", archive(f, small))
	f.Add("a.cab", mszip(small))
	f.Add("a.reg", []byte("REGEDIT4\r\n[HKEY]\r\n\"a\"=hex(2):61,00,\\\r\n62,00\r\n@=dword:1\r\n"))
	f.Add("a.xml", []byte("<Events><Event><System><Provider Name='Microsoft-Windows-AAD'/><EventID>1103</EventID></System></Event></Events>"))
	f.Add("a.txt", []byte("Event[0]:\nLog Name: x\nSource: Microsoft-Windows-AAD\nEvent ID: 1103\nDescription:\nx\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		reports := make([]*Report, 2)
		for i := range reports {
			c := Case{MaxBytes: 1 << 20, MaxFiles: 50}
			if err := c.Add(ctx, name, bytes.NewReader(data)); err != nil {
				var e *Error
				if !errors.As(err, &e) || !errors.Is(err, ErrLimit) {
					t.Fatalf("%v", err)
				}
			}
			reports[i] = c.Report()
		}
		if describe(reports[0]) != describe(reports[1]) {
			t.Errorf("%s\n%s", describe(reports[0]), describe(reports[1]))
		}
		r := reports[0]
		sources := map[string]bool{}
		for _, s := range r.Sources {
			sources[s.Name] = true
			if s.Kind == "" || !utf8.ValidString(s.Name) && utf8.ValidString(name) {
				t.Errorf("%+v", s)
			}
		}
		for _, f := range r.Findings {
			if len(f.Evidence) == 0 || f.Confidence == "" {
				t.Errorf("%+v", f)
			}
			for _, e := range f.Evidence {
				if !sources[e.File] || strings.ContainsAny(e.Text, "\n\x1b") || len(e.Text) > 2*maxQuote {
					t.Errorf("%+v", e)
				}
			}
		}
		for i, e := range r.Timeline {
			if e.Time.IsZero() || i > 0 && e.Time.Before(r.Timeline[i-1].Time) {
				t.Errorf("%+v", e)
			}
		}
	})
}
