package evidence_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/diagnose/evidence"
	"github.com/whiteglove/whiteglove/internal/errtext"
)

// What is wrong with a file is said in plain words.
func TestProblemsArePlain(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a.cab":  {"MSCF\x00\x00\x00\x00abc", "the cabinet cannot be read: header: it ends too early"},
		"a.evtx": {"ElfFile\x00abc", "the event log cannot be read: header: it ends too early"},
		"a.zip":  {"PK", "no ZIP archive"},
		"a.har":  {`{"log":`, "no HTTP archive"},
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var all evidence.Case
		if err := all.AddPath(t.Context(), file); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var problems []string
		for _, s := range all.Report().Sources {
			problems = append(problems, s.Problems...)
		}
		text := strings.Join(problems, "; ")
		if !strings.Contains(text, c.want) || len(errtext.Faults(text)) > 0 {
			t.Errorf("%s: %q, %q", name, text, errtext.Faults(text))
		}
	}
}
