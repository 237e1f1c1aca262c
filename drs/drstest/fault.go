package drstest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// A Fault is a way in which an operation of a [Server] fails; see [Server.SetFault].
type Fault int

// The faults. Refusals have the texts of the real service where these are known.
const (
	FaultNone     Fault = iota
	FaultThrottle       // HTTP status 429 with a Retry-After of 300 s
	FaultBusy           // HTTP status 503 with a Retry-After of 300 s
	FaultTicket         // for a join: the device token is refused (MsaTicketTpmValidationFailed)
	FaultMissing        // for a join: the imported object is missing (error_missing_device)
	FaultQuota          // for a join: the user has too many devices (DeviceCapReached)
	FaultNonce          // for "Nonce" and "Token": issued nonces are used already
	FaultExpired        // for "Token": issued tokens have expired
	FaultLost           // the operation is carried out, but the connection breaks before the answer
	FaultSlow           // the answer takes Server.Delay
)

// SetFault makes every request of an operation have a fault, until another one or FaultNone
// is set for that operation. The operations are those of Server.Fail.
func (s *Server) SetFault(op string, f Fault) {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	if s.faults == nil {
		s.faults = make(map[string]Fault)
	}
	s.faults[op] = f
}

func (s *Server) fault(op string) Fault {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	return s.faults[op]
}

// before carries out a fault that comes before the operation.
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

// sleep waits for the delay, or until the client disconnects. It reads the body first,
// because package net/http notices a disconnection only after that.
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

// A lostWriter discards an answer.
type lostWriter struct {
	http.ResponseWriter
}

// WriteHeader does nothing.
func (*lostWriter) WriteHeader(int) {}

// Write discards b. The error is always nil.
func (*lostWriter) Write(b []byte) (int, error) { return len(b), nil }

// drop closes the connection. If it cannot, as with HTTP/2, it resets the stream.
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
