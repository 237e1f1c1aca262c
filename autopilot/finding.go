package autopilot

import (
	"fmt"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// A Finding is something that a lint found: in a hash, in a file of hashes, or in
// a profile.
type Finding struct {
	// ID names the kind of finding, such as "no-serial". The IDs are listed with
	// the methods that return findings.
	ID string `json:"id"`

	// Line is the line in a file, from 1; 0 if the finding is not about a line.
	Line int `json:"line,omitempty"`

	// Refused is true if the service is known to refuse this, false if the
	// finding is advice or predicts trouble later on.
	Refused bool `json:"refused"`

	// Detail says what was found.
	Detail string `json:"detail"`
}

// String returns the finding on one line, such as "line 2: no-serial (refused):
// the hash has no serial number".
func (f Finding) String() string {
	s := f.ID
	if f.Line > 0 {
		s = fmt.Sprintf("line %d: %s", f.Line, s)
	}
	if f.Refused {
		s += " (refused)"
	}
	return s + ": " + wire.Visible(f.Detail)
}

// A findings is a list under way.
type findings []Finding

// add adds a finding if it is one.
func (f *findings) add(found, refused bool, id, format string, args ...any) {
	if found {
		*f = append(*f, Finding{ID: id, Refused: refused, Detail: fmt.Sprintf(format, args...)})
	}
}
