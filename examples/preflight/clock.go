package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/internal/traffic"
)

// How far the clock may be off. Services are reported to refuse tickets and
// certificates from five minutes on; the warning comes earlier.
const (
	maxSkew  = 5 * time.Minute
	warnSkew = time.Minute
)

const remedyClock = "Set the clock, and let it follow a time server (UDP 123)."

// ahead returns how far the clock of the server that answered is ahead of this
// machine's. It reports false if the answer does not tell, as one from a cache.
func ahead(resp *http.Response, before, after time.Time) (time.Duration, bool) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil || resp.Header.Get("Age") != "" {
		return 0, false
	}
	middle := before.Add(after.Sub(before) / 2)
	return date.Add(time.Second / 2).Sub(middle), true // Date has no fractions of a second
}

// checkClock compares this machine's clock with the median of the services'
// clocks, so that a single wrong one does not matter.
func checkClock(answers []*answer) *result {
	r := &result{Phase: traffic.PhaseBase, Name: "clock"}
	var all []time.Duration
	for _, a := range answers {
		if a.dated {
			all = append(all, a.ahead)
		}
	}
	switch {
	case len(all) == 0 && judgeByCertificates(r, answers):
		return r
	case len(all) == 0:
		return r.note(warn, "no service said what time it is", "Compare the clock with another.")
	}
	slices.Sort(all)
	off := -all[len(all)/2]
	detail := describe(off) + ", as 1 service sees it"
	if len(all) > 1 {
		detail = fmt.Sprintf("%s, as %d services see it", describe(off), len(all))
	}
	switch {
	case off.Abs() > maxSkew:
		return r.note(fail, detail+": tickets and certificates are refused", remedyClock)
	case off.Abs() > warnSkew:
		return r.note(warn, detail, remedyClock)
	case all[len(all)-1]-all[0] > maxSkew:
		return r.note(warn, detail+", but they do not agree: "+describe(all[0])+" to "+describe(all[len(all)-1]), "Look for a proxy or a service whose clock is wrong.")
	}
	return r.note(pass, detail, "")
}

// describe returns in words how far a clock is off.
func describe(off time.Duration) string {
	switch {
	case off.Abs() < 2*time.Second:
		return "right to the second"
	case off < 0:
		return inWords(off.Abs()) + " slow"
	}
	return inWords(off) + " fast"
}

// inWords returns a duration in its two largest units, such as "6 days 13 hours".
func inWords(d time.Duration) string {
	d = d.Round(time.Second)
	var words []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		n := int(d / unit.length)
		d -= time.Duration(n) * unit.length
		if n > 0 {
			words = append(words, command.Count(n, unit.name))
		} else if len(words) > 0 {
			break
		}
		if len(words) == 2 {
			break
		}
	}
	return strings.Join(words, " ")
}
