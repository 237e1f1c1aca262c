package evidence

import (
	"fmt"
	"strings"
	"time"
)

// A Ref says where something stands.
type Ref struct {
	File   string `json:"file"`             // the Name of a Source
	Record uint64 `json:"record,omitempty"` // of an event log
	Line   int    `json:"line,omitempty"`   // from 1
}

// String returns r as "file:line" or "file, record n".
func (r Ref) String() string {
	switch {
	case r.Record > 0:
		return fmt.Sprintf("%s, record %d", r.File, r.Record)
	case r.Line > 0:
		return fmt.Sprintf("%s:%d", r.File, r.Line)
	}
	return r.File
}

// A fact is one thing that the evidence says: an event, a line of a text, or a value
// with a name.
type fact struct {
	ref   Ref
	time  time.Time
	local bool   // the time has no zone
	event string // provider and number, such as "MD 192"
	level int    // of an event
	name  string // of a value
	key   string // of a registry value
	value string
	text  string // what to quote, in one line
	lower string // what rules search, in lower case
	codes []uint32
	step  string // of the flow, for what is no event
}

// add keeps a fact.
func (c *Case) add(f fact) {
	f.text = clip(printable(clip(f.text, maxSearch)), maxQuote)
	if f.event != "" {
		if c.events == nil {
			c.events = map[string]int{}
		}
		c.events[f.event]++
	}
	size := len(f.text) + len(f.lower) + len(f.value) + len(f.key) + factCost
	if c.kept+size > maxFactBytes || c.events[f.event] > maxSameEvent {
		c.left++
		return
	}
	c.kept += size
	c.facts = append(c.facts, f)
}

const (
	factCost  = 200  // bytes of a fact without its texts
	maxQuote  = 300  // bytes of a quotation
	maxSearch = 8192 // bytes of a fact that rules search
)

// clip shortens s to n bytes at the boundary of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}

// printable puts s on one line of UTF-8 without control characters, so that foreign
// text neither breaks a line nor controls a terminal.
func printable(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return r <= ' ' || r == 0x7F || r >= 0x80 && r < 0xA0 || r == 0x2028 || r == 0x2029 || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
	}), " ")
}
