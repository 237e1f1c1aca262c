package mdmtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
)

const (
	opSession     = "Session"
	contentSyncML = "application/vnd.syncml.dm+xml"
	maxSync       = 1 << 20 // bytes in a message of a device
	unenroll      = "com.microsoft:mdm.unenrollment.userrequest=1"
)

// A managed is a device in management.
type managed struct {
	key       string     // DeviceID, as deviceKey returns it
	session   *dialog    // the present session; nil between sessions
	given     bool       // the device has answered SessionConfig.Commands
	sessions  int        // number of sessions that ended in order
	responses []Response // in all sessions
	gone      bool       // the device has ended its management
}

// A dialog is a session under way.
type dialog struct {
	id      string    // SessionID
	device  string    // what the device calls itself
	number  int       // MsgID of the device's last message
	own     int       // MsgID of the server's last message
	waiting []pending // commands that the device has to answer
	nonce   []byte    // of the last challenge; nil if there was none
	proven  bool      // the device has proven itself, or need not
}

// serveSession answers a message of a device.
func (s *Server) serveSession(w http.ResponseWriter, r *http.Request) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		s.plain(w, opSession, http.StatusMethodNotAllowed, fmt.Errorf("method %.20q", r.Method))
		return
	case err != nil || media != contentSyncML:
		s.plain(w, opSession, http.StatusUnsupportedMediaType, fmt.Errorf("content type %.100q", r.Header.Get("Content-Type")))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSync))
	if err != nil {
		s.plain(w, opSession, http.StatusRequestEntityTooLarge, err)
		return
	}
	answer, err := s.converse(r, body)
	if err != nil {
		s.refuseSession(w, err)
		return
	}
	w.Header().Set("Content-Type", contentSyncML)
	if s.Session.Quirks.Chunked {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	_, _ = io.Copy(w, bytes.NewReader(answer)) // fails if the device has gone
}

// refuseSession refuses a message, which ends the session.
func (s *Server) refuseSession(w http.ResponseWriter, reason error) {
	if !s.Session.Quirks.SOAPFaults {
		status := http.StatusBadRequest
		if errors.Is(reason, errUnknownClient) {
			status = http.StatusForbidden
		}
		s.plain(w, opSession, status, reason)
		return
	}
	s.log.Add(s.Logger, opSession, reason)
	no := &fault{subcode: formatFault, reason: reason}
	s.reply(w, http.StatusOK, s.envelope(actionFault, "", no.xml()))
}

// converse reads a message of a device and returns the server's answer.
func (s *Server) converse(r *http.Request, body []byte) ([]byte, error) {
	loose := s.Session.Quirks.LooseForm
	m, err := readSync(body, loose)
	if err != nil {
		return nil, err
	}
	h := m.Header[0]
	if limit := s.Session.MaxMsgSize; limit > 0 && len(body) > limit && h.MsgID != "1" {
		return nil, fmt.Errorf("a message of %d bytes, more than %d", len(body), limit)
	}
	if !loose && !sameURL(h.Target.URI, s.base(r)+sessionPath) {
		return nil, fmt.Errorf("target %.200q", h.Target.URI)
	}
	if mode := r.URL.Query().Get("mode"); mode != "Maintenance" && mode != "Machine" && !loose {
		return nil, fmt.Errorf("mode %.40q in the URL", mode)
	}
	s.mu.Lock()
	dev, entID := s.deviceOf(r, h.Source.URI)
	s.mu.Unlock()
	if err := s.checkClient(r, dev, entID); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, err := s.advance(dev, entID, m, r)
	if err != nil {
		dev.session = nil
	}
	return answer, err
}

// advance takes a session one message further and returns the answer. The
// caller holds s.mu.
func (s *Server) advance(dev *managed, entID string, m *syncMessage, r *http.Request) ([]byte, error) {
	h, commands := m.Header[0], m.Body[0].Commands
	if dev.gone && h.MsgID == "1" {
		return nil, fmt.Errorf("%w: the device has ended its management", errUnknownClient)
	}
	if h.MsgID == "1" {
		dev.session = &dialog{id: h.SessionID, device: h.Source.URI, proven: s.Session.DigestSecret == ""}
	}
	d := dev.session
	if d == nil {
		return nil, fmt.Errorf("MsgID %.40q of no session", h.MsgID)
	}
	d.number++
	if h.SessionID != d.id || h.MsgID != strconv.Itoa(d.number) {
		return nil, fmt.Errorf("SessionID %.40q, MsgID %.40q where %s, %d should be", h.SessionID, h.MsgID, d.id, d.number)
	}
	if len(commands) > 0 && commands[0].name() == "Alert" && commands[0].data() == "1223" {
		dev.session = nil
		return nil, errors.New("the device ended the session")
	}
	out := &outgoing{sessionID: d.id, target: h.Source.URI, source: s.base(r) + sessionPath, maxSize: s.Session.MaxMsgSize}
	if d.proven && d.nonce == nil && len(h.Cred) > 0 { // Windows repeats them after a challenge
		return nil, errors.New("credentials that nobody asked for")
	}
	if !d.proven {
		return s.prove(dev, entID, m, out)
	}
	return s.work(dev, m, out, 200)
}

// work reads a message of a device that has proven itself and returns the
// answer. The code is the status of the message's header.
func (s *Server) work(dev *managed, m *syncMessage, out *outgoing, code int) ([]byte, error) {
	d, commands := dev.session, m.Body[0].Commands
	begins := d.own == 0 || code == 212
	if begins {
		generic, err := checkFirst(commands, d.device, s.Session.Quirks.LooseForm)
		if err != nil {
			return nil, err
		}
		for _, g := range generic {
			dev.gone = dev.gone || g == unenroll
		}
	} else {
		read := checkAnswers
		if s.Session.Quirks.LooseForm {
			read = readAnswers
		}
		done, err := read(commands, strconv.Itoa(d.own), d.waiting)
		if err != nil {
			return nil, err
		}
		dev.responses = append(dev.responses, done...)
		dev.given = true
	}
	w := &syncWriter{quirks: s.Session.Quirks}
	out.commands = w.assign(s.next(dev))
	d.waiting = flatten(out.commands)
	d.own++
	out.msgID = strconv.Itoa(d.own)
	if !w.quirks.NoStatus {
		out.statuses = append(out.statuses, outStatus{m.Header[0].MsgID, "0", "SyncHdr", code, ""})
		for _, c := range commands {
			if begins && (c.name() != "Alert" || !w.quirks.NoAlertStatus) {
				out.statuses = append(out.statuses, outStatus{m.Header[0].MsgID, only(c.CmdID), c.name(), 200, ""})
			}
		}
	}
	if len(out.commands) == 0 {
		dev.session = nil
		dev.sessions++
		if w.quirks.EmptyEnd {
			return nil, nil
		}
	}
	w.message(out)
	return []byte(w.String()), nil
}

// next returns the commands of the next message. There are none at the end.
func (s *Server) next(dev *managed) []Command {
	if !dev.given && len(s.Session.Commands) > 0 {
		return s.Session.Commands
	}
	if s.Session.Next == nil {
		return nil
	}
	id := dev.session.device
	if s.Session.Quirks.AnySource {
		id = dev.key
	}
	return s.Session.Next(id, append([]Response(nil), dev.responses...))
}

// Responses returns the answers of a device in all its sessions, in order. The
// slice is a copy. It is nil if there are none. A device that enrolls again after
// it ended its management begins anew.
func (s *Server) Responses(deviceID string) []Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if dev := s.Session.devices[deviceKey(deviceID)]; dev != nil {
		return append([]Response(nil), dev.responses...)
	}
	return nil
}

// Sessions returns how many sessions of a device have ended in order, and
// whether the device has ended its management. A device that enrolls again after that
// begins anew.
func (s *Server) Sessions(deviceID string) (ended int, unenrolled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dev := s.Session.devices[deviceKey(deviceID)]
	if dev == nil {
		return 0, false
	}
	return dev.sessions, dev.gone
}
