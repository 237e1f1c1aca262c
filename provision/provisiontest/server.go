package provisiontest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// The paths of the parties below [Server.URL].
const (
	MakerPath      = "/ek/scep"                                         // the SCEP CA of the TPM maker
	AIKPath        = "/aik/{authority}/templates/Aik/scep"              // the attestation CA, in the form of aik.Client.URL
	DirectoryPath  = "/drs"                                             // the directory: registration and token services
	ManagementPath = "/mdm"                                             // the management server
	DiscoveryPath  = ManagementPath + "/EnrollmentServer/Discovery.svc" // the discovery service of the management server
	AutopilotPath  = "/autopilot"                                       // Microsoft Graph, as far as it registers devices, and the profile service
)

// Tenant is the domain name of the directory's tenant.
const Tenant = drstest.DefaultTenant

// A Server is every party that a device meets, behind one TLS listener on the
// loopback interface. [NewServer] returns one that is started; to configure one,
// set fields of a zero Server and call [Server.Start]. A Server must not be
// copied. Its methods, except Start, may be called concurrently once it is
// started.
type Server struct {
	// The following fields configure the server. They must be set before
	// Start and not be changed afterwards.

	// EKRoots are CAs, besides the emulator's maker, that may certify the
	// endorsement keys of any vendor: roots, and the issuing CAs below them.
	EKRoots []*x509.Certificate

	// AdmitAny imports every endorsement key when it first comes, if its
	// certificate is trusted. Without it the directory knows only the keys
	// that Import and Admit have told it of.
	AdmitAny bool

	// Public makes the directory and the management server answer at the names of
	// Microsoft's public services, too ([PublicNames]), and take what open clients
	// send to those. The certificate is for these names. For clients whose addresses
	// are fixed; whoever maps the names to the server's address must listen at port
	// 443.
	Public bool

	// Users holds the passwords of users, by user principal name. Start adds
	// them as AddUser does.
	Users map[string]string

	// Faults are the first faults that requests meet. See SetFaults.
	Faults []Fault

	// Logger receives what the parties log about requests, and the faults that
	// are met. If nil, nothing is logged.
	Logger *slog.Logger

	// The parties. Start makes those that are nil, and fills the empty fields
	// of others with what they need to know of each other: URLs, roots, keys,
	// clocks. Setting one before Start configures it; afterwards its methods
	// tell what it knows, such as Directory.Objects and Management.Enrolled.

	Maker      *ekcerttest.Server // certifies endorsement keys, any one if it is nil; without an Authority it has that of the emulator's maker
	AIK        *aiktest.Server    // certifies attestation keys
	Directory  *drstest.Server    // registers devices and signs users in
	Management *mdmtest.Server    // enrolls devices; without Commands it has them show the status page until one policy is set

	// Autopilot registers devices by their hardware hashes, and gives them their
	// profiles. When it registers a device, the Directory makes the disabled
	// object for it.
	Autopilot *autopilottest.Server

	// The following fields are set by Start.

	// URL is the base URL of the server, such as "https://127.0.0.1:40443",
	// without a slash at its end.
	URL string

	// Roots are the roots to trust: that of the TLS certificates, then those of
	// the attestation CA, the directory, the management server and the Maker.
	Roots []*x509.Certificate

	clocks  map[Party]*clock
	ekRoots ekcert.Roots
	faults  *faulty
	users   users
	http    *http.Server
	client  *http.Client
	done    chan error

	closeOnce sync.Once
	closeErr  error
}

// NewServer returns a started Server without users and faults, which knows no
// device. Its CAs are new, too: a state of another Server cannot be continued here. The caller must call [Server.Close] when finished with it. NewServer
// panics if the server cannot listen.
func NewServer() *Server {
	s := new(Server)
	if err := s.Start(""); err != nil {
		panic("provisiontest: " + err.Error())
	}
	return s
}

// Start makes the parties and listens at the TCP address addr, HOST:PORT; if
// addr is empty, at a free port of the loopback interface. The certificate of
// the server is for localhost, 127.0.0.1, ::1 and HOST. Start must be called
// once.
//
// The error is a [*net.OpError] if the server cannot listen. It is another one
// if a fault is not valid, or if keys or certificates cannot be made.
func (s *Server) Start(addr string) error {
	for _, f := range s.Faults {
		if !f.Valid() {
			return fmt.Errorf("provisiontest: fault %s is not possible", f)
		}
	}
	l, err := listen(addr)
	if err != nil {
		return err
	}
	if err := s.serve(l); err != nil {
		l.Close()
		return err
	}
	return nil
}

// listen listens at addr.
func listen(addr string) (net.Listener, error) {
	if addr != "" {
		return net.Listen("tcp", addr)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		return l, nil
	}
	if six, err6 := net.Listen("tcp6", "[::1]:0"); err6 == nil {
		return six, nil
	}
	return nil, err
}

// serve makes the parties and serves them.
func (s *Server) serve(l net.Listener) error {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	ca, err := newTLS(host)
	if err != nil {
		return err
	}
	if s.Public {
		ca.template.DNSNames = append(ca.template.DNSNames, PublicNames()...)
	}
	s.URL = "https://" + net.JoinHostPort(host, port)
	parties := s.compose()
	roots, err := s.partyRoots()
	if err != nil {
		return err
	}
	s.Roots = append([]*x509.Certificate{ca.root}, roots...)
	s.client = s.newClient()
	s.faults = &faulty{Handler: parties, logger: s.Logger, closing: make(chan struct{})}
	s.faults.set(s.Faults)
	s.http = &http.Server{
		Handler:           s.faults,
		TLSConfig:         &tls.Config{GetCertificate: s.certificate(ca), MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          errorLog(s.Logger),
	}
	s.done = make(chan error, 1)
	go func() { s.done <- s.http.ServeTLS(l, "", "") }()
	return nil
}

// certificate returns the function that makes the server's certificate for a
// connection.
func (s *Server) certificate(ca *issuer) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		now := s.clocks[PartyTLS].now()
		if f := s.faults.take(StepTLS); f != nil {
			now = now.Add(offs[f.Kind])
		}
		return ca.issue(now)
	}
}

// drain is how long Close waits for running requests.
const drain = 5 * time.Second

// Close stops listening and waits for running requests, at most five seconds;
// then it closes their connections. Requests that a fault keeps waiting end at
// once. Later calls return the same error as the first.
//
// The error is nil if every request has ended in time, and
// [context.DeadlineExceeded] if one has not. If the listener had failed before,
// it is the error of that.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		if s.http != nil {
			s.closeErr = s.close()
		}
	})
	return s.closeErr
}

func (s *Server) close() error {
	close(s.faults.closing)
	s.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	if serr := <-s.done; !errors.Is(serr, http.ErrServerClosed) && err == nil {
		err = serr
	}
	return err
}
