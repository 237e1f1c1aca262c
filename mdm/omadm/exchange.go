package omadm

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/mtls"
	"github.com/whiteglove/whiteglove/internal/syncml"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/mdm"
)

// operation is the name of a session in errors and log records.
const operation = "Session"

const (
	defaultMessages = 100 // messages of the device in one session
	maxOddities     = 20  // that a Result keeps
	maxFailures     = 1000
)

// An exchange is one session under way.
type exchange struct {
	*Session
	client *http.Client
	url    string
	alerts []Alert
	result *Result
	sent   map[string]string // names of the commands in the device's last message, by CmdID
	peer   string            // MsgID of the server's last message; "" before the first
	limit  int               // bytes that the server takes in a message; 0 if it has not said
	digest digestState
}

// run holds a session with the given alerts.
func (s *Session) run(ctx context.Context, alerts []Alert) (*Result, error) {
	s.presented.Store(false)
	e, err := s.begin(alerts)
	if err != nil {
		return nil, &mdm.Error{Op: operation, Err: err}
	}
	if t, ok := e.client.Transport.(*http.Transport); ok { // the session's own
		defer t.CloseIdleConnections()
	}
	err = e.loop(ctx)
	e.result.CertificateSent = s.presented.Load()
	if err == nil {
		return e.result, nil
	}
	var typed *mdm.Error
	if !errors.As(err, &typed) {
		err = s.failure(err)
	}
	return e.result, err
}

// failure returns err as the error of a session.
func (s *Session) failure(err error) error {
	return &mdm.Error{Op: operation, URL: wire.Redact(s.Server), Err: err}
}

func (s *Session) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// source returns the LocURI of the device in messages.
func (s *Session) source() string { return cmp.Or(s.Source, s.Device.WithDefaults().ID) }

// isSource reports whether text can be a [Session].Source.
func isSource(text string) bool {
	return len(text) <= 128 && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// begin checks what the session needs and puts the device into the tree.
func (s *Session) begin(alerts []Alert) (*exchange, error) {
	if s.Tree == nil {
		return nil, misuse.Errorf("no tree")
	}
	if err := wire.CheckSecure(s.Server); err != nil {
		return nil, err
	}
	if err := s.Device.Check(); err != nil {
		return nil, err
	}
	target, err := sessionURL(s.Server)
	if err != nil {
		return nil, err
	}
	client, err := mtls.Client(s.HTTPClient, s.TLSConfig)
	if err != nil {
		return nil, err
	}
	number, err := rand.Int(rand.Reader, big.NewInt(9999)) // at most four bytes
	if err != nil {
		return nil, err
	}
	if !isSource(s.Source) {
		return nil, fmt.Errorf("the source %.80q is longer than 128 bytes or has characters other than visible ASCII", s.Source)
	}
	s.Tree.SetDevice(s.Device)
	s.Tree.Set("./DevInfo/DevId", Value{Data: s.source()})
	e := &exchange{Session: s, client: client, url: target, alerts: alerts, result: new(Result)}
	e.result.ID = strconv.FormatInt(number.Int64()+1, 10)
	return e, nil
}

// loop exchanges messages until the server has no more commands.
func (e *exchange) loop(ctx context.Context) error {
	body := e.first()
	for {
		m, err := e.exchange(ctx, body)
		if err != nil || m == nil {
			return err
		}
		again, err := e.statuses(m)
		if err != nil {
			return err
		}
		if again {
			body = append([]*syncml.Command{e.header(m, syncml.StatusOK)}, e.first()...)
			continue
		}
		body, err = e.execute(ctx, m)
		if err == nil && e.Save != nil {
			err = misuse.Of("Session.Save", e.Save(ctx))
		}
		if err != nil || body == nil {
			return err
		}
	}
}

// first returns the commands of the first message ([MS-MDM]).
func (e *exchange) first() []*syncml.Command {
	item := func(typ, format, source, data string) []*syncml.Item {
		return []*syncml.Item{{Source: source, Meta: syncml.Meta{Format: format, Type: typ}, Data: data}}
	}
	body := []*syncml.Command{
		{Name: syncml.Alert, Data: alertClient},
		{Name: syncml.Alert, Data: alertSession, Items: item("com.microsoft/MDM/LoginStatus", "", "", cmp.Or(e.Login, "none"))},
	}
	for _, a := range e.alerts {
		code := alertGeneric
		if a.Code != 0 {
			code = strconv.Itoa(a.Code)
		}
		body = append(body, &syncml.Command{Name: syncml.Alert, Data: code, Items: item(a.Type, a.Format, a.Source, a.Data)})
	}
	info := &syncml.Command{Name: syncml.Replace}
	for _, name := range devInfo {
		uri := "./DevInfo/" + name
		v, _ := e.Tree.Get(uri)
		info.Items = append(info.Items, &syncml.Item{Source: uri, Data: v.Data})
	}
	return append(body, info)
}

// header returns the status for the header of a server's message.
func (e *exchange) header(m *syncml.Message, code int) *syncml.Command {
	return &syncml.Command{Name: syncml.Status, MsgRef: m.ID, CmdRef: "0", Cmd: syncml.SyncHdr, Data: strconv.Itoa(code)}
}

// exchange sends a message and returns the server's, or nil if its answer is
// empty.
func (e *exchange) exchange(ctx context.Context, body []*syncml.Command) (*syncml.Message, error) {
	most := e.MaxMessages
	if most <= 0 {
		most = defaultMessages
	}
	if e.result.Messages >= most {
		return nil, fmt.Errorf("the server still has commands after %d messages", most)
	}
	data := e.marshal(body)
	tooLarge := e.limit > 0 && len(data) > e.limit
	if tooLarge { // Windows gives up, too
		data = e.marshal([]*syncml.Command{{Name: syncml.Alert, Data: alertAbort}})
	}
	e.result.Messages++
	m, err := e.send(ctx, data)
	switch {
	case tooLarge:
		return nil, errors.Join(fmt.Errorf("the answer is larger than the %d bytes that the server takes", e.limit), err)
	case err != nil || m == nil:
		return nil, err
	case m.SessionID != "" && m.SessionID != e.result.ID:
		return nil, fmt.Errorf("the server answers in session %.40q, not %s", m.SessionID, e.result.ID)
	}
	if m.MaxMsgSize > 0 {
		e.limit = m.MaxMsgSize
	}
	if m.RespURI != "" {
		if e.url, err = sameOrigin(e.url, m.RespURI); err != nil {
			return nil, err
		}
	}
	if e.peer != "" && m.ID == e.peer {
		e.odd("the server repeats MsgID %.40q", m.ID)
	}
	e.peer = m.ID
	return m, nil
}

// marshal returns the next message in XML. The numbers of the commands in the
// first message begin at 2, as those of Windows do.
func (e *exchange) marshal(body []*syncml.Command) []byte {
	n := e.result.Messages + 1
	m := &syncml.Message{
		SessionID: e.result.ID, ID: strconv.Itoa(n),
		Target: e.Server, Source: e.source(), Commands: body, Final: true,
	}
	m.Cred, m.SourceName = e.digest.credentials(e.Auth)
	e.sent = map[string]string{"0": syncml.SyncHdr}
	id := 1
	if n == 1 {
		id = 2
	}
	for _, c := range body {
		c.ID = strconv.Itoa(id)
		e.sent[c.ID] = c.Name
		id++
	}
	return m.Marshal()
}

// statuses reads the server's statuses for the commands of the device's last
// message. It reports whether the first message must be sent again with a
// digest.
func (e *exchange) statuses(m *syncml.Message) (again bool, err error) {
	for _, c := range m.Commands {
		if c.Name != syncml.Status {
			continue
		}
		code, err := strconv.Atoi(c.Data)
		name, ours := e.sent[c.CmdRef]
		switch {
		case err != nil || code < 100 || code > 999:
			e.odd("the status %.40q is not a number", c.Data)
			continue
		case !ours || c.MsgRef != strconv.Itoa(e.result.Messages):
			e.odd("a status for command %.40q of message %.40q, which was not in the device's last message", c.CmdRef, c.MsgRef)
			if name != syncml.SyncHdr { // the status of the header decides over the session
				continue
			}
		}
		if name == syncml.SyncHdr {
			retry, err := e.digest.answer(e.Auth, code, c.Chal)
			switch {
			case err != nil:
				return false, err
			case retry:
				again = true
			case code >= 300:
				return false, &StatusError{name, code}
			}
			continue
		}
		if code >= 300 && !again {
			e.result.Refused = append(e.result.Refused, &StatusError{name, code})
		}
	}
	return again, nil
}

// execute carries out the commands of a message and returns the answers to
// them, or nil if the session is over.
func (e *exchange) execute(ctx context.Context, m *syncml.Message) ([]*syncml.Command, error) {
	x := &executor{tree: e.Tree, ref: m.ID, result: e.result}
	var commands []*syncml.Command
	for _, c := range m.Commands {
		if c.Name != syncml.Status && c.Name != syncml.Results {
			commands = append(commands, c)
		}
	}
	if len(commands) > 0 && !m.Final {
		e.odd("a message without Final")
	}
	x.all(ctx, commands, false)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case x.aborted:
		return nil, errors.New("the server ended the session early")
	case len(x.statuses) == 0:
		return nil, nil // nothing to say: the session is over
	}
	body := append([]*syncml.Command{e.header(m, syncml.StatusOK)}, x.statuses...)
	return append(body, x.results...), nil
}

// odd notes a deviation of the server from the protocol.
func (e *exchange) odd(format string, args ...any) {
	if len(e.result.Oddities) < maxOddities {
		e.result.Oddities = append(e.result.Oddities, fmt.Sprintf(format, args...))
	}
}
