package main

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// How far the clock may be off: tickets and certificates were reported to be
// refused from five minutes on. The warning comes earlier.
const (
	maxSkew  = 5 * time.Minute
	warnSkew = time.Minute
)

const remedyClock = "Set the clock, and have it kept by a time server that can be reached (UDP 123)."

// ahead returns how far the clock of who answered is ahead. An answer from a
// cache says nothing of it.
func ahead(resp *http.Response, before, after time.Time) (time.Duration, bool) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil || resp.Header.Get("Age") != "" {
		return 0, false
	}
	middle := before.Add(after.Sub(before) / 2)
	return date.Add(time.Second / 2).Sub(middle), true // a Date is cut to seconds
}

// checkClock compares the clock with those of the services: with the one in the
// middle, so that a single wrong one does not matter.
func checkClock(answers []*answer) *result {
	r := &result{Phase: phaseBase, Name: "clock"}
	var all []time.Duration
	untimely := 0
	for _, a := range answers {
		if a.dated {
			all = append(all, a.ahead)
		}
		if a.untimely {
			untimely++
		}
	}
	if len(all) == 0 && untimely > 0 {
		return r.note(fail, fmt.Sprintf("by it, certificates of %d services are not valid, and no service said what time it is", untimely), remedyClock)
	}
	if len(all) == 0 {
		return r.note(warn, "no service said what time it is", "Compare the clock with another.")
	}
	slices.Sort(all)
	off := -all[len(all)/2]
	detail := fmt.Sprintf("%s, as %d services see it", describe(off), len(all))
	switch {
	case off.Abs() > maxSkew:
		return r.note(fail, detail+": tickets and certificates are refused", remedyClock)
	case off.Abs() > warnSkew:
		return r.note(warn, detail, remedyClock)
	case all[len(all)-1]-all[0] > maxSkew:
		return r.note(warn, detail+", but they do not agree: "+describe(all[0])+" to "+describe(all[len(all)-1]), "Look for a proxy or a service with a wrong clock.")
	}
	return r.note(pass, detail, "")
}

// describe returns how far a clock is off.
func describe(off time.Duration) string {
	switch {
	case off.Abs() < 2*time.Second:
		return "right to the second"
	case off < 0:
		return off.Abs().Round(time.Second).String() + " slow"
	}
	return off.Round(time.Second).String() + " fast"
}
