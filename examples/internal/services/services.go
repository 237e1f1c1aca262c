// Package services finds the services that an example talks to: those of a
// server that a flag names, or those of a mock server in this process.
package services

import (
	"crypto/x509"
	"errors"
	"strings"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// Services are all parties at one address.
type Services struct {
	URL   string         // base of the paths in provisiontest, without a slash at its end
	Roots *x509.CertPool // of TLS and of the parties; nil stands for the system's

	mock *provisiontest.Server // nil if the services are elsewhere
}

// Open returns the services at the URL server. It reads their roots from the
// PEM file named roots, if that is not empty. If server is empty, it starts mock
// on the loopback interface.
func Open(server, roots string, mock *provisiontest.Server) (*Services, error) {
	if server == "" {
		if err := mock.Start(""); err != nil {
			return nil, err
		}
		return &Services{URL: mock.URL, Roots: mock.RootPool(), mock: mock}, nil
	}
	if err := CheckFlags(server, roots); err != nil {
		return nil, err
	}
	pool, err := command.ReadRoots("-roots", roots)
	return &Services{URL: strings.TrimSuffix(server, "/"), Roots: pool}, err
}

// CheckFlags returns an error if the flags -server and -roots, which [Open] takes, are wrong.
func CheckFlags(server, roots string) error {
	switch {
	case server == "" && roots != "":
		return errors.New("-roots goes with -server")
	case strings.HasPrefix(strings.ToLower(server), "http:") && roots == "" && command.CheckBaseURL("-server", server) == nil:
		return errors.New("-server is of http, so nothing vouches for the attestation CA: give -roots, or use https")
	}
	return command.CheckBaseURL("-server", server)
}

// Close stops the mock server, if there is one. Running requests get five
// seconds to end.
func (s *Services) Close() {
	if s.mock != nil {
		s.mock.Close()
	}
}

// EKRoots reads the roots of EK certificates from a PEM file. It returns them as
// roots of every maker for an [ekcert.Client], and as certificates for the EKRoots
// of a mock server. If file is empty, it returns the roots of the emulator's maker
// and no certificates, because a mock server trusts that maker anyway.
func EKRoots(file string) (ekcert.Roots, []*x509.Certificate, error) {
	if file == "" {
		return ekcert.Roots{attesttest.Vendor: attesttest.Roots()}, nil, nil
	}
	certs, err := command.ReadCertificates(file)
	if err != nil {
		return nil, nil, command.Wrong("-ek-roots", err)
	}
	return ekcert.Roots{"": command.Pool(certs)}, certs, nil
}
