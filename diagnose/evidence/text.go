package evidence

import (
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// readText reads lines. It keeps those that a rule looks for or that have a code, and
// values of the form "name : value".
func (c *Case) readText(s *Source, r io.Reader) error {
	return wide.Lines(r, func(n int, line string) {
		s.Records++
		c.line(s, n, line)
	})
}

func (c *Case) line(s *Source, n int, line string) {
	f := fact{ref: Ref{File: s.Name, Line: n}, text: line}
	if isNamed(s.Kind) {
		f.name, f.value = namedValue(line)
		c.private.value(f.name, f.value)
	}
	f.codes = textCodes(nil, line)
	lower := strings.ToLower(line)
	matched := len(f.codes) > 0 || searched().match(lower) || searched().named(f.name)
	if !s.Known {
		at, _ := lineTime(line)
		s.Known = matched || !at.IsZero()
	}
	if f.name == "" && !matched {
		return
	}
	f.lower = clip(lower, maxSearch)
	f.time, f.local = lineTime(line)
	if m := logMessage.FindStringSubmatch(line); m != nil {
		f.text = m[1]
	}
	c.add(f)
}

// isNamed reports whether lines of a kind of file are values with names.
func isNamed(kind string) bool {
	switch kind {
	case kindDSReg, kindTPMTool, kindCertReq, kindText:
		return true
	}
	return false
}

// namedValue returns the name and value of a line such as "AzureAdJoined : YES" or
// "-TPM Present: True", or "".
func namedValue(line string) (name, value string) {
	name, value, found := strings.Cut(strings.Trim(line, " \t-|"), ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !found || name == "" || len(name) > 60 || value == "" || len(value) > 1000 || strings.ContainsAny(name, `/\<>(),.`) {
		return "", ""
	}
	return name, value
}

var (
	// logMessage is a line of a log in the form of Configuration Manager.
	logMessage = regexp.MustCompile(`^<!\[LOG\[(.*?)\]LOG\]!>`)
	logTime    = regexp.MustCompile(`<time="(\d\d:\d\d:\d\d)[.\d]*([+-]\d+)?" date="(\d{1,2})-(\d{1,2})-(\d{4})"`)
	isoTime    = regexp.MustCompile(`^\W{0,3}(\d{4})-(\d\d)-(\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:\d\d)?`)
)

// lineTime returns the time that a line starts or ends with, and whether it lacks a
// zone.
func lineTime(line string) (t time.Time, local bool) {
	if m := isoTime.FindStringSubmatch(line[:min(len(line), 48)]); m != nil {
		text := m[1] + "-" + m[2] + "-" + m[3] + "T" + m[4]
		if m[5] != "" {
			text += "." + m[5]
		}
		zone := m[6]
		if zone == "" {
			zone = "Z"
		}
		t, err := time.Parse(time.RFC3339Nano, text+zone)
		if err == nil {
			return t.UTC(), m[6] == ""
		}
	}
	if !strings.HasPrefix(line, "<![LOG[") {
		return time.Time{}, false
	}
	if m := logTime.FindStringSubmatch(line); m != nil {
		t, err := time.Parse("2006-1-2T15:04:05", m[5]+"-"+m[3]+"-"+m[4]+"T"+m[1])
		if err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// readMarkup reads XML or HTML by its texts: each text between tags is a line, and
// what an element named Name and the next one say is a value.
func (c *Case) readMarkup(s *Source, r io.Reader) error {
	var before string
	return wide.Lines(r, func(n int, line string) {
		for _, text := range texts(line) {
			s.Records++
			f := fact{ref: Ref{File: s.Name, Line: n}, text: text, codes: textCodes(nil, text), lower: clip(strings.ToLower(text), maxSearch)}
			if before != "" {
				f.name, f.value, f.text = before, text, before+": "+text
			}
			before = ""
			if len(text) < 60 {
				before = text
			}
			if len(f.codes) > 0 || searched().match(f.lower) || searched().named(f.name) {
				s.Known = true
				c.add(f)
			}
		}
	})
}

// texts returns what stands between the tags of a line.
func texts(line string) (list []string) {
	for line != "" {
		text, rest, _ := strings.Cut(line, "<")
		text = strings.TrimSpace(unescape.Replace(text))
		if text != "" && len(list) < 1000 {
			list = append(list, text)
		}
		_, line, _ = strings.Cut(rest, ">")
	}
	return list
}

var unescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#39;", "'", "&nbsp;", " ", "&amp;", "&")
