package traffic

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// readLines reads the lines that parse takes.
func (c *Capture) readLines(r io.Reader, parse func(line string) *entry) error {
	return wide.Lines(r, func(n int, line string) {
		if e := parse(strings.TrimSpace(line)); e != nil {
			c.add(n, e)
		}
	})
}

// parseLog parses a line of a proxy's access log, or returns nil.
func parseLog(line string) *entry {
	if m := squidLine.FindStringSubmatch(line); m != nil {
		return squidEntry(m)
	}
	if m := commonLine.FindStringSubmatch(line); m != nil {
		return commonEntry(m)
	}
	return nil
}

var (
	// squidLine is the native format of Squid: end in seconds, milliseconds, client,
	// result and status, bytes, method, URL, user, and by which way it went.
	squidLine = regexp.MustCompile(`^(\d{9,11}\.\d{3})\s+(\d{1,9}) \S+ ([A-Z_]+)/(\d{3}) (\d{1,12}) ([A-Z_]+) (\S+) \S+ (\S+)`)

	// commonLine is the common log format: client, identity, user, begin, request
	// line, status and bytes. What follows in the combined format is not read.
	commonLine = regexp.MustCompile(`^\S+ \S+ \S+ \[([^\]]{20,30})\] "([A-Z]+) (\S+)[^"]*" (\d{3}) (\d{1,12}|-)(?: |$)`)
)

func squidEntry(m []string) *entry {
	seconds, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return nil
	}
	end := time.UnixMilli(int64(seconds * 1000)).UTC()
	e := &entry{begin: end.Add(-time.Duration(atoi(m[2])) * time.Millisecond), end: end, method: m[6], target: m[7], status: atoi(m[4]), sent: -1, got: atoi(m[5]), log: true}
	direct := !strings.Contains(m[8], "NONE/")
	switch {
	case e.status == http.StatusProxyAuthRequired:
		e.failure = NoUser
	case strings.Contains(m[3], "DENIED"):
		e.failure = Denied
	case e.status >= http.StatusBadGateway && !direct:
		e.failure = Unreached
	case e.status == 0 && e.method != http.MethodConnect, strings.Contains(m[3], "ABORTED") && e.got < silent:
		e.failure = Reset
	case e.status == 0:
		e.failure = NoAnswer
	}
	return e
}

func commonEntry(m []string) *entry {
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[1])
	if err != nil {
		return nil
	}
	e := &entry{begin: at.UTC(), end: at.UTC(), method: m[2], target: m[3], status: atoi(m[4]), sent: -1, got: -1, log: true}
	if m[5] != "-" {
		e.got = atoi(m[5])
	}
	if e.status == 0 {
		e.failure = NoAnswer
	}
	return e
}

// atoi returns the number of a text of digits.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// parseListed parses a line with a time and a host, and perhaps a status or a word for
// a failure, or returns nil.
func parseListed(line string) *entry {
	m := listedLine.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	at, local, undated := parseTime(m[1])
	if at.IsZero() || target(m[2]) == nil {
		return nil
	}
	e := &entry{begin: at, end: at, local: local, undated: undated, target: m[2], sent: -1, got: -1}
	switch n := atoi(m[3]); {
	case n >= 100 && n <= 999 && n != http.StatusForbidden: // 403 is taken for the proxy's
		e.status = n
	case len(strings.Fields(m[3])) <= 4: // more words are a remark
		e.failure = failureOf(m[3])
	}
	return e
}

// listedLine is a time, a host and what else there is.
var listedLine = regexp.MustCompile(`^(\d[\d:.,TZ+-]*(?: \d\d:\d\d[\d:.,Z+-]*)?)[ \t,;]+(\S+?)[,;]?(?:[ \t]+(.*))?$`)

// parseTime parses a time: RFC 3339, with a space in place of the T, without a zone,
// seconds since 1970, or hours, minutes and seconds, or minutes and seconds, without a
// date, which is then 1970-01-01. It returns the zero time for another text.
func parseTime(text string) (at time.Time, local, undated bool) {
	text = strings.Replace(strings.Replace(text, " ", "T", 1), ",", ".", 1)
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at.UTC(), false, false
	}
	if at, err := time.Parse("2006-01-02T15:04:05", text); err == nil {
		return at, true, false
	}
	for _, form := range []string{"15:04:05", "4:05"} {
		if at, err := time.Parse(form, text); err == nil {
			return time.Unix(0, 0).UTC().Add(at.Sub(at.Truncate(24 * time.Hour))), true, true
		}
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 1e9 {
		return time.UnixMilli(int64(seconds * 1000)).UTC(), false, false
	}
	return time.Time{}, false, false
}
