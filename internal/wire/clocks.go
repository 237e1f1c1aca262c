package wire

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// clockLeeway is how far two clocks may differ before it is worth a word.
const clockLeeway = 5 * time.Minute

// Clocks are the times of a server and of this device at an answer. The zero value
// knows neither.
type Clocks struct{ server, local time.Time }

// ClocksOf returns the clocks at an answer with a header that was received at the time
// local: the server's is in the field Date, unless a cache answered.
func ClocksOf(h http.Header, local time.Time) Clocks {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil || h.Get("Age") != "" {
		date = time.Time{}
	}
	return Clocks{date, local}
}

// timeIn returns the server's time in its own words: what Entra ID adds to each message,
// and what package crypto/x509 says of a certificate.
func timeIn(message string) (time.Time, bool) {
	for _, label := range []string{"Timestamp: ", "current time "} {
		_, said, ok := strings.Cut(message, label)
		if len("2006-01-02T15:04:05Z") > len(said) || !ok {
			continue
		}
		said = strings.Replace(said[:len("2006-01-02T15:04:05Z")], " ", "T", 1)
		if t, err := time.Parse(time.RFC3339, said); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// SpeaksOfTime reports whether the words of a server say that something is not valid at
// its time.
func SpeaksOfTime(message string) bool {
	message = strings.ToLower(message)
	for _, words := range []string{"expired", "not valid yet", "not yet valid", "not valid now", "used before issued"} {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}

// Remedy returns what to do if a server's message speaks of time and the clocks differ
// by more than five minutes, else "".
func (c Clocks) Remedy(message string) string {
	if !SpeaksOfTime(message) {
		return ""
	}
	if t, ok := timeIn(message); ok {
		c.server = t
	}
	return c.Differ()
}

// Differ returns what to do if the clocks differ by more than five minutes, else "".
func (c Clocks) Differ() string {
	if c.server.IsZero() || c.local.IsZero() || c.server.Sub(c.local).Abs() < clockLeeway {
		return ""
	}
	const minute = "2006-01-02 15:04"
	return fmt.Sprintf("The service's clock says %s UTC, this device's %s. If this device's is right, tell the service's operator.",
		c.server.UTC().Format(minute), c.local.UTC().Format(minute))
}

// Advised returns err with the remedy that [Clocks.Remedy] has for a message, which comes
// before err's own, or err if there is none.
func (c Clocks) Advised(err error, message string) error {
	if remedy := c.Remedy(message); remedy != "" {
		return &advised{err, remedy}
	}
	return err
}

// An advised error has a remedy of its own.
type advised struct {
	error
	remedy string
}

// Unwrap returns the error.
func (a *advised) Unwrap() error { return a.error }

// Remedy returns what to do.
func (a *advised) Remedy() string { return a.remedy }
