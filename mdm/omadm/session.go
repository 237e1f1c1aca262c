package omadm

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/whiteglove/whiteglove/internal/mtls"
	"github.com/whiteglove/whiteglove/mdm"
)

// Alerts (OMA DM Protocol 1.2 and [MS-MDM]).
const (
	alertClient  = "1201" // the client begins
	alertNext    = "1222" // more messages are wanted
	alertAbort   = "1223" // the session ends here
	alertSession = "1224" // about the client, such as who is logged in
	alertGeneric = "1226"
)

// AlertUnenroll is the type of the alert with which a device ends its
// management ([MS-MDM]).
const AlertUnenroll = "com.microsoft:mdm.unenrollment.userrequest"

// A Session is a device's side of management sessions: SyncML 1.2 over TLS
// that the management certificate authenticates ([MS-MDM]). Server, Device.ID,
// Certificate, Key and Tree are required. A session is run by one goroutine at
// a time. The binary encoding (WBXML) and values in several messages (MoreData)
// are not supported.
type Session struct {
	Server string // URL of the sessions, Enrollment.Server
	Device mdm.Device

	Certificate *x509.Certificate // the management certificate
	Issuers     [][]byte          // sent along, in DER
	Key         crypto.Signer     // of Certificate

	Tree *Tree // what the server reads and writes

	// Auth, if set, answers a server's challenge by a digest of its name and
	// secret: that of the account with level "APPSRV". It uses MD5, which
	// protects little beside TLS.
	Auth *mdm.Auth

	Login       string  // who uses the device: "user", "others" or, if empty, "none"
	Alerts      []Alert // told the server at the start
	MaxMessages int     // of the device in one session; if 0, 100

	// Save, if set, is called whenever the commands of a message have been
	// carried out, before the server is told so: what it stores of the Tree is
	// never less than what the server believes to be there. Its error ends the
	// session.
	Save func(ctx context.Context) error

	// HTTPClient, if its transport is an *http.Transport or nil, gets a copy of
	// that transport with TLSConfig. Any other transport must have set that
	// itself. If nil, http.DefaultClient.
	HTTPClient *http.Client
	Now        func() time.Time // if nil, time.Now
	Logger     *slog.Logger     // if nil, nothing is logged

	presented atomic.Bool
}

// An Alert tells a server of something.
type Alert struct {
	Code   int    // if 0, 1226
	Type   string // such as AlertUnenroll
	Format string // such as "int"; may be empty
	Source string // LocURI it is about; may be empty
	Data   string
}

// A Result says what happened in a session. It counts what was done
// even when the session failed.
type Result struct {
	ID       string // SessionID
	Messages int    // of the device
	Commands int    // of the server, inner ones too
	Failed   int    // of Commands, by the status given

	// CertificateSent says whether the server asked for the management
	// certificate. One that does not trusts the identifier in the message.
	CertificateSent bool

	// Refused are the device's alerts and commands that the server gave a
	// status of 400 or more.
	Refused []*StatusError

	// Oddities are departures of the server from the protocol, in words, that
	// did no harm; at most 20.
	Oddities []string
}

// A StatusError is a SyncML status that is no success.
type StatusError struct {
	Command string // what it is about, such as "SyncHdr" or "Alert"
	Status  int    // such as 401
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answers %.40s with status %d", e.Command, e.Status)
}

// TLSConfig returns a copy of base (which may be nil) that presents the
// management certificate. With an RSA key TLS is held at version 1.2 and the
// signature at PKCS #1 with SHA-256, which is what keys of a TPM are sure to
// do. The error is not nil if s has no certificate or no key, or they do not
// belong together; it has no type of its own.
func (s *Session) TLSConfig(base *tls.Config) (*tls.Config, error) {
	return mtls.Config(base, s.Certificate, s.Issuers, s.Key, func() { s.presented.Store(true) })
}

// Run holds a session: it tells the server of the device, carries out the
// commands it gets on Tree, and ends when the server has no more. The result is
// not nil if a message was sent, also beside an error.
//
// The error is a [*mdm.Error] with the operation "Session". It wraps a
// [*StatusError] if the server refuses the device's message, the error of Save,
// and the error of ctx if that ended first.
func (s *Session) Run(ctx context.Context) (*Result, error) {
	return s.run(ctx, s.Alerts)
}

// Unenroll holds a session that asks the server to end the device's
// management. The server has agreed if there is no error; it may give commands
// that take its settings back in the same session. Forgetting key and
// certificate is then for the caller.
//
// The error is that of [Session.Run], and wraps a [*StatusError] also if the
// server refuses to end the management.
func (s *Session) Unenroll(ctx context.Context) (*Result, error) {
	result, err := s.run(ctx, append(s.Alerts[:len(s.Alerts):len(s.Alerts)], Alert{Type: AlertUnenroll, Format: "int", Data: "1"}))
	if err == nil {
		for _, r := range result.Refused {
			if r.Command == "Alert" {
				return result, s.failure(r)
			}
		}
	}
	return result, err
}
