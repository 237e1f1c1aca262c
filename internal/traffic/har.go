package traffic

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// A harEntry has the members of an entry that are read (HAR 1.2, and what browsers and
// mitmproxy add). Bodies and cookies are skipped.
type harEntry struct {
	Started string  `json:"startedDateTime"`
	Time    float64 `json:"time"`
	TLS     harTLS  `json:"_securityDetails"`
	Request struct {
		Method, URL string
		BodySize    float64
	}
	Response struct {
		Status     float64
		StatusText string
		Headers    []struct{ Name string }
		BodySize   float64
		Error      string `json:"_error"`
		TLS        harTLS `json:"_securityDetails"`
	}
}

type harTLS struct{ Issuer string }

var errNoHAR = errors.New("not an HTTP archive: it has no log with entries")

// readHAR reads an archive, one entry after the other.
func (c *Capture) readHAR(r io.Reader) error {
	limited := &entryReader{r: &shortReader{r: wide.UTF8(r)}}
	d := json.NewDecoder(limited)
	for _, name := range []string{"log", "entries"} {
		if err := enter(d, limited, name); err != nil {
			return err
		}
	}
	if err := begin(d, '['); err != nil {
		return err
	}
	for n := 1; d.More(); n++ {
		limited.left = maxEntry
		var e harEntry
		if err := d.Decode(&e); err != nil {
			var wrong *json.UnmarshalTypeError
			if errors.As(err, &wrong) {
				continue // the entry is valid JSON
			}
			return err
		}
		c.add(n, e.entry())
	}
	_, err := d.Token()
	return err
}

// enter reads an object to the value of the member name.
func enter(d *json.Decoder, limited *entryReader, name string) error {
	limited.left = maxEntry
	if err := begin(d, '{'); err != nil {
		return err
	}
	for d.More() {
		limited.left = maxEntry
		key, err := d.Token()
		if err != nil {
			return err
		}
		if key == name {
			return nil
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return err
		}
	}
	return errNoHAR
}

// begin reads the begin of an object or array.
func begin(d *json.Decoder, delim json.Delim) error {
	t, err := d.Token()
	if err == nil && t != delim {
		err = errNoHAR
	}
	return err
}

// An entryReader fails with ErrLimit if an entry needs more bytes than left, so that a
// decoder does not fill the memory.
type entryReader struct {
	r    io.Reader
	left int
}

// Read implements io.Reader.
func (e *entryReader) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, ErrLimit
	}
	n, err := e.r.Read(p[:min(len(p), e.left)])
	e.left -= n
	return n, err
}

// entry returns what is kept of an entry.
func (h *harEntry) entry() *entry {
	e := &entry{
		method: h.Request.Method, target: h.Request.URL, status: clamp(h.Response.Status, 0, 999), issuer: h.Response.TLS.Issuer + h.TLS.Issuer,
		sent: clamp(h.Request.BodySize, -1, math.MaxInt32), got: clamp(h.Response.BodySize, -1, math.MaxInt32),
	}
	e.begin, e.local, _ = parseTime(h.Started)
	e.end = e.begin.Add(time.Duration(clamp(h.Time, 0, 1e9)) * time.Millisecond)
	if e.method == http.MethodConnect {
		e.got = -1 // the size is that of the answer to CONNECT, and not of what the tunnel passed
	}
	text := h.Response.Error
	if text == "" && strings.Contains(strings.ToLower(h.Response.StatusText), "fiddler") {
		text = h.Response.StatusText
	}
	e.failure = failureOf(text)
	switch {
	case canceled.MatchString(text):
		e.failure = ""
	case e.failure != "":
	case e.status == 0:
		e.failure = NoAnswer
	case e.status == http.StatusForbidden && h.fromProxy():
		e.failure = Denied
	}
	return e
}

// canceled are words of browsers for a request that they gave up themselves.
var canceled = regexp.MustCompile(`(?i)err_aborted|binding_aborted|blocked_by_client|cancel`)

// fromProxy reports whether a proxy answered in place of the host.
func (h *harEntry) fromProxy() bool {
	for _, f := range h.Response.Headers {
		name := strings.ToLower(f.Name)
		if strings.HasPrefix(name, "proxy-") || name == "x-squid-error" {
			return true
		}
	}
	return false
}

// clamp returns v as an integer within limits.
func clamp(v float64, low, high int) int { return int(max(float64(low), min(v, float64(high)))) }
