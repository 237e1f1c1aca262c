package drstest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// A Fault is something that a [Server] does wrong, on purpose.
type Fault int

// The faults. Those of a join have the server's real wording where that is
// known.
const (
	FaultNone     Fault = iota
	FaultThrottle       // 429, to be tried again after 300 s
	FaultBusy           // 503, likewise
	FaultTicket         // of a join: the device token is refused, MsaTicketTpmValidationFailed
	FaultMissing        // of a join: the pre-created object is gone, error_missing_device
	FaultQuota          // of a join: the user has too many devices, DeviceCapReached
	FaultNonce          // of "Nonce" and "Token": nonces given out have been used before
	FaultExpired        // of "Token": tokens given out have expired
	FaultLost           // the operation is done, but its answer is lost with the connection
	FaultSlow           // the answer takes Server.Delay
)

// SetFault has an operation go wrong until another fault, or FaultNone, is set
// for it. Operations are those of [Server.Fail].
func (s *Server) SetFault(op string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		s.faults = make(map[string]Fault)
	}
	s.faults[op] = f
}

func (s *Server) fault(op string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults[op]
}

// before does what a fault does before the operation.
func (s *Server) before(r *http.Request, f Fault) error {
	busy := &refused{code: "DirectoryError", subcode: "error_throttled", retry: true, reason: errors.New("throttled temporarily, try again after 300 seconds")}
	switch f {
	case FaultThrottle:
		busy.status = http.StatusTooManyRequests
		return busy
	case FaultBusy:
		busy.status = http.StatusServiceUnavailable
		return busy
	case FaultTicket:
		return noJoin(subTicket, "the device ticket is not of a TPM")
	case FaultMissing:
		return errMissing
	case FaultQuota:
		return errQuota
	case FaultSlow:
		return s.sleep(r)
	}
	return nil
}

// sleep waits, until the client gives up at most. That is noticed only once the
// body was read.
func (s *Server) sleep(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	delay := s.Delay
	if delay == 0 {
		delay = 30 * time.Second
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// A lostWriter throws an answer away.
type lostWriter struct {
	http.ResponseWriter
}

// WriteHeader does nothing.
func (*lostWriter) WriteHeader(int) {}

// Write throws b away.
func (*lostWriter) Write(b []byte) (int, error) { return len(b), nil }

// drop closes the connection. Where that is not to be had, as with HTTP/2, the
// stream is reset.
func (l *lostWriter) drop() {
	c := http.NewResponseController(l.ResponseWriter)
	if conn, _, err := c.Hijack(); err == nil {
		conn.Close()
		return
	}
	if c.SetWriteDeadline(time.Unix(1, 0)) != nil {
		l.ResponseWriter.WriteHeader(http.StatusBadGateway)
	}
}

var (
	errMissing = &refused{status: http.StatusBadRequest, code: "invalid_request", subcode: "error_missing_device", reason: errors.New("the pre-registered device object is gone")}
	errQuota   = &refused{status: http.StatusForbidden, code: "AuthorizationError", subcode: "DeviceCapReached", reason: errors.New("the user is not eligible to enroll a device of type 'Windows'; reason 'DeviceCapReached'")}
)
