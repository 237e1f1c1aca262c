package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// Bounds of a request whose http.Client has no Timeout.
const (
	longestRequest = 2 * time.Minute
	leastRate      = 512              // bytes of a body in a second, on average
	graceTime      = 15 * time.Second // before the average counts
)

// ErrSlow is wrapped if a server takes longer than two minutes for an answer, or
// sends the body of an answer at less than 512 bytes a second after 15 seconds.
// It says that it is a timeout, as a [net.Error] does.
var ErrSlow error = slowError{}

type slowError struct{}

func (slowError) Error() string   { return "the server is too slow" }
func (slowError) Timeout() bool   { return true }
func (slowError) Temporary() bool { return true }

// bounded returns req with a time limit of its own, unless c has a Timeout; that
// replaces the limit. The caller calls cancel when it has read the answer.
func bounded(c *http.Client, req *http.Request) (own *http.Request, cancel context.CancelFunc) {
	if c != nil && c.Timeout != 0 {
		return req, func() {}
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), longestRequest, ErrSlow)
	return req.WithContext(ctx), cancel
}

// A rateReader fails with ErrSlow if its reader is slower than leastRate.
type rateReader struct {
	r     io.Reader
	start time.Time
	got   float64
}

// Read implements io.Reader.
func (r *rateReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.got += float64(n)
	if took := time.Since(r.start); err == nil && took > graceTime && r.got < leastRate*took.Seconds() {
		return n, ErrSlow
	}
	return n, err
}

// timelyReader returns a reader of a body that must not be slow, unless c has a
// Timeout.
func timelyReader(c *http.Client, body io.Reader) io.Reader {
	if c != nil && c.Timeout != 0 {
		return body
	}
	return &rateReader{r: body, start: time.Now()}
}

// isSlow reports whether err came from the time limit that bounded set.
func isSlow(own *http.Request, err error) bool {
	return errors.Is(err, ErrSlow) || errors.Is(err, context.DeadlineExceeded) && context.Cause(own.Context()) == ErrSlow
}
