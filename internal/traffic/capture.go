package traffic

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// Kinds of captures.
const (
	HAR      = "har"
	ProxyLog = "proxy log"
	HostList = "host list"
)

// Limits of a capture.
const (
	maxRequests = 20_000  // that are kept
	maxUses     = 2000    // hosts of the table
	maxOthers   = 10_000  // hosts beyond it
	maxEntry    = 4 << 20 // bytes of an entry of an archive, its texts shortened
	maxIssuer   = 200     // bytes of an issuer's name
)

// ErrLimit is returned where an entry of an archive is too large to read.
var ErrLimit = errors.New("an entry of the archive is larger than 4 MiB")

// A Request is a request of a capture to a host of the table.
type Request struct {
	Number       int // of the line or entry, from 1
	Begin, End   time.Time
	Method       string // "" in a list of hosts
	Name         string // the host, in lower case
	Host         *Host
	Purpose      string // what the request is for, by its URL; may be empty
	Status       int    // HTTP status, 0 if there was none
	Failure      Failure
	Sent, Got    int  // bytes, -1 if not known
	Capabilities bool // it asks for a CA's capabilities
}

// A Capture is what was read from a capture.
type Capture struct {
	Kind     string
	Requests []Request // in the order of the capture
	Uses     []*Use    // in the order of their first requests
	Lost     int       // requests to hosts of the table that are not in Requests
	Others   int       // requests to hosts beyond the table
	Undated  bool      // the times have no date
	Local    bool      // the times have no zone

	last   time.Time // begin of the last entry that has one
	byName map[string]*Use
	others map[string]bool
	opened bool // the capture shows requests within TLS
	passed int  // the most bytes that a tunnel passed
}

// OtherHosts returns how many hosts beyond the table were asked, at most 10,000.
func (c *Capture) OtherHosts() int { return len(c.others) }

// Read reads a capture of a kind. What it read before an error is in the capture. The
// error is [ErrLimit], that of r, or says that the archive is damaged.
func Read(kind string, r io.Reader) (*Capture, error) {
	c := &Capture{Kind: kind, last: time.Unix(0, 0).UTC(), byName: map[string]*Use{}, others: map[string]bool{}}
	var err error
	switch kind {
	case HAR:
		err = c.readHAR(r)
	case ProxyLog:
		err = c.readLines(r, parseLog)
	default:
		err = c.readLines(r, parseListed)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.judgeTunnels()
	slices.SortStableFunc(c.Uses, func(a, b *Use) int { return a.First.Compare(b.First) })
	return c, err
}

// An entry is a line or an entry of a capture, as its reader takes it.
type entry struct {
	begin, end     time.Time
	undated, local bool
	method, target string // URL, or host and port
	status         int
	failure        Failure
	issuer         string
	sent, got      int  // -1 if not known
	log            bool // from a proxy's log, which shows only what the proxy can read
}

// add adds an entry.
func (c *Capture) add(number int, e *entry) {
	c.Undated = c.Undated || e.undated
	c.Local = c.Local || e.local
	if y := e.begin.Year(); y < 1970 || y > 2100 {
		e.begin, e.end = c.last, c.last
	}
	c.last = e.begin
	u := target(e.target)
	if u == nil {
		return
	}
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	host := Lookup(name)
	if host == nil {
		c.Others++
		if len(c.others) < maxOthers {
			c.others[name] = true
		}
		return
	}
	r := Request{
		Number: number, Begin: e.begin, End: e.end, Method: method(e.method), Name: name, Host: host, Status: e.status, Failure: e.failed(),
		Sent: e.sent, Got: e.got, Purpose: Purpose(u), Capabilities: u.Query().Get("operation") == "GetCACaps",
	}
	use := c.use(&r)
	if use == nil {
		c.Lost++
		return
	}
	use.add(&r)
	use.judgeTLS(u, e)
	switch {
	case r.Method == http.MethodConnect && r.Failure == "":
		use.tunneled = true
		use.got = max(use.got, r.Got)
		c.passed = max(c.passed, r.Got)
	case u.Scheme == "https" && r.Failure == "":
		use.opened, c.opened = true, true
	}
	if len(c.Requests) == maxRequests {
		c.Lost++
		return
	}
	c.Requests = append(c.Requests, r)
}

// use returns the use of a request's host, or nil if there are too many.
func (c *Capture) use(r *Request) *Use {
	if use := c.byName[r.Name]; use != nil {
		return use
	}
	if len(c.Uses) == maxUses {
		return nil
	}
	use := &Use{Host: r.Host, Name: r.Name, First: r.Begin, Last: r.End, Number: r.Number, got: -1}
	c.byName[r.Name] = use
	c.Uses = append(c.Uses, use)
	return use
}

// failed returns why the host was not reached, or "".
func (e *entry) failed() Failure {
	switch {
	case e.failure != "":
		return e.failure
	case e.status == http.StatusProxyAuthRequired:
		return NoUser
	case e.method != http.MethodConnect:
		return ""
	case e.status >= http.StatusInternalServerError:
		return Unreached
	case e.status >= http.StatusBadRequest:
		return Denied
	}
	return ""
}

// target returns the URL of a request or, for a host with or without a port, one with
// the host alone. It returns nil if text is neither.
func target(text string) *url.URL {
	if len(text) > wide.MaxLine {
		return nil
	}
	if !strings.Contains(text, "://") {
		text = "//" + text
	}
	u, err := url.Parse(text)
	if err != nil || !isHost(u.Hostname()) {
		return nil
	}
	return u
}

// isHost reports whether a name has at least two labels of which the last is no
// number, or is an address.
func isHost(name string) bool {
	if net.ParseIP(name) != nil {
		return true
	}
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(strings.ToLower(l), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := strings.ToLower(labels[len(labels)-1])
	return len(labels) > 1 && len(name) < 256 && strings.Trim(last, "0123456789") != ""
}

// method returns a method of HTTP, or "other" if it is none that servers know.
func method(m string) string {
	switch m {
	case "", http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect:
		return m
	}
	return "other"
}
