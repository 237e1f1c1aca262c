package evtx

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/tooltest"
)

// readLog returns the records of a log and what is wrong with it.
func readLog(r io.Reader) (records []*Record, errs []error) {
	log, err := NewReader(r)
	if err != nil {
		return nil, []error{err}
	}
	for rec, err := range log.Records() {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		records = append(records, rec)
	}
	return records, errs
}

// judge returns the records that evtxexport reads.
func judge(t *testing.T, log []byte) (roots []*Element) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.evtx")
	if err := os.WriteFile(path, log, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tooltest.Path(t, "evtxexport"), "-f", "xml", path).Output()
	if e, ok := err.(*exec.ExitError); ok {
		t.Logf("evtxexport: %v: %s", err, e.Stderr)
	}
	_, out, _ = bytes.Cut(out, []byte("\n"))
	d := xml.NewDecoder(bytes.NewReader(out))
	d.Strict = false
	for {
		token, err := d.Token()
		if err != nil {
			return roots
		}
		if start, ok := token.(xml.StartElement); ok {
			e, err := readElement(d, start, 0)
			if err != nil {
				t.Log(err)
				return roots
			}
			roots = append(roots, e)
		}
	}
}

var (
	ninthDigit = regexp.MustCompile(`(\.\d{7})00Z`)
	leadZeros  = regexp.MustCompile(`^0x0+([0-9A-Fa-f])`)
)

// alike returns a text in a form that does not tell apart what the judge writes
// otherwise than Windows: times with nine digits, and hexadecimal numbers with leading
// zeros.
func alike(s string) string {
	s = ninthDigit.ReplaceAllString(strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")), "${1}Z")
	return leadZeros.ReplaceAllString(s, "0x$1")
}

// dump writes an element on lines.
func dump(e *Element) string {
	var b strings.Builder
	var walk func(e *Element, indent string)
	walk = func(e *Element, indent string) {
		fmt.Fprintf(&b, "%s%s", indent, e.Name)
		for _, a := range e.Attrs {
			if !strings.HasPrefix(a.Name, "xmlns") {
				fmt.Fprintf(&b, " %s=%q", a.Name, alike(a.Value))
			}
		}
		fmt.Fprintf(&b, " %q\n", alike(e.Text))
		for _, c := range e.Children {
			walk(c, indent+"  ")
		}
	}
	walk(e, "")
	return b.String()
}

// TestPublicLogs reads logs that Windows wrote: those of testdata, and those of a
// folder that WHITEGLOVE_EVTX names.
func TestPublicLogs(t *testing.T) {
	logs, err := filepath.Glob("testdata/*.evtx")
	if err != nil || len(logs) == 0 {
		t.Fatal(err, "no logs")
	}
	if dir := os.Getenv("WHITEGLOVE_EVTX"); dir != "" {
		more, err := filepath.Glob(filepath.Join(dir, "*.evtx"))
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, more...)
	}
	for _, path := range logs {
		t.Run(filepath.Base(path), func(t *testing.T) {
			log, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			records, errs := readLog(bytes.NewReader(log))
			t.Logf("%d records; %d errors: %v", len(records), len(errs), errs)
			if n := compare(t, records, judge(t, log)); n > len(records) || len(records) == 0 {
				t.Errorf("%d records, %d of the judge", len(records), n)
			}
		})
	}
}

// compare checks that the judge reads the same records, or some of them. It returns
// how many the judge reads.
func compare(t *testing.T, records []*Record, want []*Element) int {
	t.Helper()
	byNumber := map[string][]string{}
	for _, r := range records {
		n := r.Root.Child("System").text("EventRecordID")
		byNumber[n] = append(byNumber[n], dump(r.Root))
	}
	bad, noRendering := 0, regexp.MustCompile(`(?s)\n  RenderingInfo .*`)
	for _, e := range want {
		n, text := e.Child("System").text("EventRecordID"), dump(e)
		found := false
		for _, ours := range byNumber[n] {
			// The judge has nothing of an event but System and its data.
			found = found || ours == text || noRendering.ReplaceAllString(ours, "\n") == text
		}
		if found {
			continue
		}
		if bad++; bad < 4 {
			t.Errorf("record %s\nours: %s\njudge: %s", n, strings.Join(byNumber[n], "or "), text)
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d records differ", bad, len(want))
	}
	t.Logf("%d records of ours, %d of the judge", len(records), len(want))
	return len(want)
}
