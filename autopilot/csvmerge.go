package autopilot

import (
	"fmt"
	"slices"
	"time"
)

// Merge returns the rows of all sheets in the format of the first, without those
// of devices that came before: rows with the same endorsement key, or the same
// serial number unless their hashes are of two different mainboards. Of two rows
// of a device the one is kept that [Sheet.Lint] accepts, then the one that has a hash, then
// one of 4000 characters, then the one whose hash was taken later; what it lacks, but for serial number and hash, is
// taken from the other. Findings of the result say which were left out; the findings of the
// sheets are not taken over. Lines are numbered anew. Merge() is an empty Sheet of the
// format Intune.
func Merge(sheets ...*Sheet) *Sheet {
	m := merger{out: &Sheet{Format: Intune}, first: map[string]int{}}
	for n, s := range sheets {
		if n == 0 {
			m.out.Format = s.Format
		}
		name := or(s.Name, fmt.Sprintf("sheet %d", n+1))
		for _, r := range s.Rows {
			m.add(r, place{name, r.Line})
		}
	}
	line := 2
	if m.out.Format == Identifiers {
		line = 1
	}
	for i := range m.out.Rows {
		m.out.Rows[i].Line = line + i
	}
	return m.out
}

// A place is where a row comes from.
type place struct {
	file string
	line int
}

func (p place) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s line %d", p.file, p.line)
}

// A merger puts rows of sheets into one.
type merger struct {
	out   *Sheet
	from  []place        // of the rows of out
	first map[string]int // rows of out by their identities
}

// add adds a row, unless its device is there.
func (m *merger) add(r Row, from place) {
	h, _ := parseHash(r.Hash)
	ids := r.identities(h)
	for _, id := range ids {
		i, seen := m.first[id]
		if !seen {
			continue
		}
		old, _ := parseHash(m.out.Rows[i].Hash)
		if h != nil && old != nil && h.Compare(old).Verdict == Other {
			m.find("serial-conflict", from, "%s has the same serial number, and another mainboard", m.from[i])
			continue
		}
		m.choose(i, r, from)
		if m.from[i] == from {
			for _, id := range ids {
				m.first[id] = i
			}
		}
		return
	}
	for _, id := range ids {
		m.first[id] = len(m.out.Rows)
	}
	m.out.Rows, m.from = append(m.out.Rows, r), append(m.from, from)
}

// choose keeps the better one of a row that is there and another of the same device.
func (m *merger) choose(i int, r Row, from place) {
	old := m.out.Rows[i]
	better, why := r.worth(m.out.Format).compare(old.worth(m.out.Format))
	if better <= 0 {
		m.out.Rows[i] = complete(old, r)
		m.find("duplicate", from, "the device is in %s already, which was kept%s", m.from[i], why)
		return
	}
	m.out.Rows[i] = complete(r, old)
	m.find("duplicate", m.from[i], "the device is in %s too, which was kept%s", from, why)
	m.from[i] = from
}

// find adds a finding about a row.
func (m *merger) find(id string, at place, format string, args ...any) {
	f := newFinding(id, at.line, false, format, args...)
	f.File = at.file
	if id == "duplicate" {
		f.Remedy = "" // it is done
	}
	m.out.Findings = append(m.out.Findings, f)
}

// A worth is by what one row of a device is better than another.
type worth struct {
	accepted, hash, whole bool
	taken                 time.Time
}

// worth returns the worth of a row in a file of a format.
func (r Row) worth(format Format) worth {
	var f findings
	h := r.lint(&f, format)
	// What is only not padded is padded when it is written.
	w := worth{accepted: !slices.ContainsFunc(f, func(f Finding) bool { return f.Refused && f.ID != idUnpadded }), hash: h != nil}
	if h != nil {
		w.whole = h.chars == fullChars
		w.taken = h.Hardware().Taken
	}
	return w
}

// compare returns a positive number if w is worth more than old, a negative one if it is
// worth less, and what decided that, in words that follow a sentence.
func (w worth) compare(old worth) (better int, why string) {
	which := map[bool]int{true: 1, false: -1}
	switch {
	case w.accepted != old.accepted:
		return which[w.accepted], ": the service would refuse this row"
	case w.hash != old.hash:
		return which[w.hash], ": this row has no hash that can be read"
	case w.whole != old.whole:
		return which[w.whole], ": the hash of this row may be cut off"
	case !w.taken.Equal(old.taken):
		return w.taken.Compare(old.taken), ": the hash there was taken later"
	}
	return 0, ""
}

// complete returns a row with what it lacks from another row of the same device, but
// for serial number and hash, which belong together.
func complete(r, other Row) Row {
	r.ProductKeyID, r.GroupTag, r.User = or(r.ProductKeyID, other.ProductKeyID), or(r.GroupTag, other.GroupTag), or(r.User, other.User)
	r.Manufacturer, r.Model = or(r.Manufacturer, other.Manufacturer), or(r.Model, other.Model)
	return r
}
