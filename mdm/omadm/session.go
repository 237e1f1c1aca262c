package omadm

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/whiteglove/whiteglove/internal/mtls"
	"github.com/whiteglove/whiteglove/mdm"
)

// Codes of alerts ([MS-MDM] section 2.2.7).
const (
	alertClient  = "1201" // the client begins the session
	alertNext    = "1222" // the next message is wanted
	alertAbort   = "1223" // the session ends here
	alertSession = "1224" // about the client, such as who is logged in
	alertGeneric = "1226"
)

// AlertUnenroll is the type of the alert by which a device asks for the end of
// its management ([MS-MDM]). [Session.Unenroll] sends it.
const AlertUnenroll = "com.microsoft:mdm.unenrollment.userrequest"

// A Session is the device's side of its management sessions: OMA DM 1.2 over
// TLS that the management certificate authenticates ([MS-MDM]). Server,
// Device.ID, Certificate, Key and Tree are required. It may hold any number of
// sessions, but only one at a time.
type Session struct {
	// Server is the URL of the sessions, as in mdm.Enrollment. As Windows does,
	// the session adds "mode=Maintenance&Platform=WoA" to its query, unless
	// that has a mode. Messages after the first go where the server says
	// (RespURI), which must have the same scheme, host and port.
	Server string

	// Device describes the device. Its ID is the source of every message, and
	// [Tree.SetDevice] puts the rest into Tree.
	Device mdm.Device

	// Source is the LocURI by which the device names itself in every message and
	// in ./DevInfo/DevId: at most 128 bytes of visible ASCII. If it is empty, it is
	// Device.ID as mdm.Device says that it is sent. Servers that know devices by
	// their certificates take others, such as "imei:" and an identifier.
	Source string

	// Certificate is the management certificate, Key is its key. An RSA key
	// signs PKCS #1 v1.5 with SHA-256.
	Certificate *x509.Certificate
	Key         crypto.Signer

	// Issuers are sent along with Certificate. It may be empty.
	Issuers []*x509.Certificate

	// Tree holds the nodes that the server reads and writes.
	Tree *Tree

	// Auth answers a server that asks for a digest (syncml:auth-md5) in
	// addition to the certificate. It is the account's Auth with the level
	// "APPSRV". If it is nil, a session fails at a server that insists on a
	// digest. The digest is MD5 and protects little outside of TLS.
	Auth *mdm.Auth

	// Login tells the server who uses the device: "user" for the user who
	// enrolled it, "others" or "none". If it is empty, it is "none".
	Login string

	// Alerts are sent to the server in the first message of each session.
	Alerts []Alert

	// MaxMessages is how many messages the device sends in one session before
	// it gives up on the server. If it is 0, it is 100.
	MaxMessages int

	// Save, if not nil, is called after the commands of each of the server's
	// messages, before the device answers them. A caller that stores Tree there
	// never loses a node that the server believes the device to have. Its error
	// ends the session.
	Save func(ctx context.Context) error

	// HTTPClient sends the messages. If it is nil, it is [http.DefaultClient].
	// If its Transport is nil or an [*http.Transport], each session works on a
	// copy with the configuration of [Session.TLSConfig]. Any other transport
	// must have that configuration already. Redirects are not followed. If its
	// Timeout is 0, a request is limited to two minutes and a body to no less
	// than 512 bytes a second.
	HTTPClient *http.Client

	// Now returns the current time. If it is nil, it is [time.Now].
	Now func() time.Time

	// Logger receives debug records. If it is nil, nothing is logged.
	Logger *slog.Logger

	presented atomic.Bool
}

// An Alert tells a server of an event at the device ([MS-MDM] section 2.2.7).
type Alert struct {
	Code   int    // if it is 0, it is 1226, a generic alert
	Type   string // kind of event, such as AlertUnenroll; may be empty
	Format string // format of Data, such as "int"; may be empty
	Source string // LocURI of the node that the event is about; may be empty
	Data   string // may be empty
}

// A Result tells what happened in a session. After a session that failed it
// tells what happened before the failure.
type Result struct {
	ID       string // SessionID, a decimal number from 1 to 9999
	Messages int    // messages that the device sent
	Commands int    // commands of the server, those in an Atomic or Sequence included
	Failed   int    // commands that the device answered with a status of 300 or more

	// Failures tells which commands failed, in the order in which they were
	// carried out and at most 1000. A command that failed for several nodes has
	// one for each.
	Failures []*Failure

	// Unenrolled reports whether the server has ended the device's management by
	// executing ./Vendor/MSFT/DMClient/Unenroll, for which Tree has no handler. The
	// caller then deletes the certificate and the key.
	Unenrolled bool

	// CertificateSent reports whether the server asked for the management
	// certificate. A server that does not relies on the device's identifier in
	// the messages.
	CertificateSent bool

	// Refused holds the device's alerts and commands that the server answered
	// with a status of 300 or more.
	Refused []*StatusError

	// Oddities describes deviations of the server from the protocol that did no
	// harm, one sentence each and at most 20.
	Oddities []string
}

// A Failure is a command of the server that the device answered with a status
// of 300 or more. Texts have no control characters and are shortened if they are
// long.
type Failure struct {
	Command string // such as "Replace", or an unknown name as sent
	URI     string // LocURI of the node as the server wrote it; "" if the command names none
	Status  int    // such as 404
}

// String returns the command, the LocURI and the status, such as
// "Replace ./Vendor/MSFT/A: status 404".
func (f *Failure) String() string {
	return fmt.Sprintf("%s: status %d", strings.TrimSpace(f.Command+" "+f.URI), f.Status)
}

// A StatusError is the status of a command of the device that did not succeed
// at the server ([MS-MDM] section 2.2.6.1).
type StatusError struct {
	Command string // the device's command: "SyncHdr" for the whole message, "Alert" or "Replace"
	Status  int    // 300 or more, such as 401
}

// Error returns the command and the status in a sentence.
func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answers %.40s with status %d", e.Command, e.Status)
}

// TLSConfig returns a copy of base that presents the management certificate to
// servers that ask for it. If base is nil, it returns a new configuration. With
// an RSA key the version of TLS is at most 1.2 and the signature is PKCS #1
// v1.5 with SHA-256, the one scheme that every key of a TPM can sign with.
// Connections are not resumed.
//
// Only a caller with a transport of its own needs TLSConfig, see HTTPClient.
// The error is of no exported type. It is not nil if s has no certificate or no
// key, or they do not belong together.
func (s *Session) TLSConfig(base *tls.Config) (*tls.Config, error) {
	return mtls.Config(base, s.Certificate, s.Issuers, s.Key, func() { s.presented.Store(true) })
}

// Run holds a session: it describes the device to the server, carries out the
// server's commands on Tree, answers them, and ends when the server has no
// more. The result is nil only if the session could not begin and nothing was
// sent.
//
// The error is an [*mdm.Error] with the operation "Session". It has a Fault if
// the server answered with one. It wraps a [*StatusError] if the server refused
// a message of the device, the error of Save, and the error of ctx if that
// ended first.
func (s *Session) Run(ctx context.Context) (*Result, error) {
	return s.run(ctx, s.Alerts)
}

// Unenroll holds a session that asks the server to end the device's management.
// If there is no error, the server has agreed, and may have removed its
// settings by commands in the same session. The caller then deletes the
// certificate and the key.
//
// The error is as that of [Session.Run]. It wraps a [*StatusError] also if the
// server refuses the alert.
func (s *Session) Unenroll(ctx context.Context) (*Result, error) {
	result, err := s.run(ctx, append(s.Alerts[:len(s.Alerts):len(s.Alerts)], Alert{Type: AlertUnenroll, Format: "int", Data: "1"}))
	whileEnding(err)
	if err == nil {
		for _, r := range result.Refused {
			if r.Command == "Alert" {
				return result, s.failure(r)
			}
		}
	}
	return result, err
}
