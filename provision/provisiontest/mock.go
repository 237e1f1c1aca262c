// Package mock composes the test servers of this module into all the parties
// that a device meets: the maker's CA, the attestation CA, the directory and
// the management server, behind one TLS listener with a root of its own.
package provisiontest

import (
	"context"
	"crypto"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// Where the parties are, below the server's URL.
const (
	MakerPath      = "/ek/scep"                                         // the maker's SCEP CA
	AIKPath        = "/aik/{authority}/templates/Aik/scep"              // the attestation CA
	DirectoryPath  = "/drs"                                             // registration and token services
	ManagementPath = "/mdm"                                             // the management server
	DiscoveryPath  = ManagementPath + "/EnrollmentServer/Discovery.svc" // its discovery service
)

// Tenant is the tenant of the directory.
const Tenant = drstest.DefaultTenant

// A Config says whom the parties trust and know.
type Config struct {
	EKRoots  []*x509.Certificate // EK CAs accepted besides the emulator's maker, for any maker
	Import   []crypto.PublicKey  // endorsement keys imported as hardware
	AdmitAny bool                // every endorsement key with a trusted certificate is imported when it comes
	Users    map[string]string   // passwords of users of the directory and of the management server, by name
	Faults   []*Fault            // what goes wrong
	Logger   *slog.Logger        // if nil, nothing is logged
}

// A Server is all parties, listening. Its fields are for reading.
type Server struct {
	URL        string              // without a slash at its end
	Roots      []*x509.Certificate // of TLS and of every party
	Maker      *ekcerttest.Server
	AIK        *aiktest.Server
	Directory  *drstest.Server
	Management *mdmtest.Server

	clocks struct{ maker, aik, directory, management clock }
	faults *faulty
	http   *http.Server
	done   chan error
}

// Start listens at addr, such as "127.0.0.1:0".
func Start(addr string, c Config) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		l.Close()
		return nil, err
	}
	ca, err := newTLS(host)
	if err != nil {
		l.Close()
		return nil, err
	}
	s := &Server{URL: "https://" + net.JoinHostPort(host, port), done: make(chan error, 1)}
	if err := s.compose(c); err != nil {
		l.Close()
		return nil, err
	}
	s.Roots = append([]*x509.Certificate{ca.root}, s.partyRoots()...)
	s.faults = &faulty{Handler: s.handler(), logger: c.Logger, faults: c.Faults}
	s.http = &http.Server{
		Handler:           s.faults,
		TLSConfig:         &tls.Config{GetCertificate: s.certificate(ca), MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          errorLog(c.Logger),
	}
	go func() { s.done <- s.http.ServeTLS(l, "", "") }()
	return s, nil
}

// certificate returns what picks the server's certificate for a connection.
func (s *Server) certificate(ca *issuer) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		off := time.Duration(0)
		if f := s.faults.take(stepTLS); f != nil {
			off = offs[f.Kind]
		}
		return ca.issue(time.Now().Add(off))
	}
}

// SetFaults says anew what goes wrong.
func (s *Server) SetFaults(f ...*Fault) { s.faults.set(f) }

// Met returns how many requests and connections have gone wrong since faults
// were set.
func (s *Server) Met() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.met
}

// Close stops listening and waits for running requests until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if serr := <-s.done; !errors.Is(serr, http.ErrServerClosed) && err == nil {
		err = serr
	}
	return err
}

// compose makes the parties. Each trusts those before it.
func (s *Server) compose(c Config) error {
	s.clocks.maker.lazy, s.clocks.aik.lazy = true, true
	roots := ekcert.Roots{attesttest.Vendor: attesttest.Roots()}
	if len(c.EKRoots) > 0 {
		roots[""] = Pool(c.EKRoots)
	}
	maker := attesttest.Certificates()
	s.Maker = &ekcerttest.Server{
		Authority: &sceptest.Authority{Certificate: maker[0], Parents: maker[1:], Key: attesttest.DefaultMaker().Key()},
		Now:       s.clocks.maker.now, Logger: c.Logger,
	}
	s.AIK = &aiktest.Server{
		Makers:  append(maker, c.EKRoots...),
		EKRoots: roots, Now: s.clocks.aik.now, Logger: c.Logger,
	}
	s.Directory = &drstest.Server{
		BaseURL: s.URL + DirectoryPath, EKRoots: roots, AIKRoots: s.AIK.Roots(), Now: s.clocks.directory.now, Logger: c.Logger,
	}
	if c.AdmitAny {
		s.Directory.Admit = func(_ crypto.PublicKey, cert *x509.Certificate) bool { return cert != nil }
	}
	for _, ek := range c.Import {
		if _, err := s.Directory.Import(ek); err != nil {
			return fmt.Errorf("importing an endorsement key: %w", err)
		}
	}
	s.Management = &mdmtest.Server{
		BaseURL: s.URL + ManagementPath, TokenKey: s.Directory.TokenKey, Issuer: s.Directory.Issuer(),
		TenantID: drstest.DefaultTenantID, Resource: drstest.ManagementResource, Registered: s.registered,
		Session: setUp(), Now: s.clocks.management.now, Logger: c.Logger,
	}
	for name, password := range c.Users {
		s.Directory.AddUser(drstest.User{UPN: name, Password: password})
	}
	if len(c.Users) > 0 {
		s.Management.Passwords = func(user, password string) bool {
			want, ok := c.Users[user]
			return ok && subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 1
		}
	}
	return nil
}

// registered reports whether the directory knows a registration for
// pre-provisioning.
func (s *Server) registered(ztdID string) bool {
	return slices.ContainsFunc(s.Directory.Objects(), func(o drstest.Object) bool { return o.ZTDID == ztdID })
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(MakerPath, s.clocks.maker.serve(s.Maker))
	mux.Handle("/aik/", s.clocks.aik.serve(s.AIK))
	mux.Handle(DirectoryPath+"/", s.clocks.directory.serve(s.Directory))
	mux.Handle(ManagementPath+"/", s.clocks.management.serve(s.Management))
	return mux
}

// partyRoots returns the root of each party's own CA.
func (s *Server) partyRoots() []*x509.Certificate {
	var roots []*x509.Certificate
	for _, certs := range [][]*x509.Certificate{s.AIK.Certificates(), s.Directory.Certificates(), s.Management.Certificates()} {
		roots = append(roots, certs[len(certs)-1])
	}
	return roots
}

// Refusals returns what the parties refused, and why.
func (s *Server) Refusals() []string {
	var all []string
	for _, r := range []func() []string{s.Maker.Refusals, s.AIK.Refusals, s.Directory.Refusals, s.Management.Refusals} {
		all = append(all, r()...)
	}
	return all
}

// Pool returns certs as a pool.
func Pool(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}
