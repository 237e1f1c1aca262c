package provisiontest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/provision"
)

// newClient returns the client that Client returns.
func (s *Server) newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.RootPool(), MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true, // an answer that is cut off is not asked for again
	}}
}

// Client returns the HTTP client of the server, which trusts its TLS
// certificates and has no time limit. Its Transport is an [*http.Transport]. It
// is the same at each call, and must not be changed: copy it to do so.
func (s *Server) Client() *http.Client { return s.client }

// RootPool returns a new pool with Roots.
func (s *Server) RootPool() *x509.CertPool { return pool(s.Roots) }

// pool returns a new pool with certs.
func pool(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}

// Provisioner returns a new Provisioner for a device, with clients of all
// parties, which trusts their roots and the maker's. It is ready to Run the steps
// from ek to enroll. Any field may be changed before, such as Steps, Store, User
// and Observe.
//
// It waits less than others do, so that tests are quick: a hundredth of
// [provision.DefaultBackoff] before it tries a step again, and ten milliseconds
// between management sessions. Set Backoff and Setup.Pause to nil and 0 for the
// usual times.
func (s *Server) Provisioner(d *Device) *provision.Provisioner {
	return &provision.Provisioner{
		TPM:        d.TPM,
		Tenant:     s.tenant(),
		Management: s.URL + DiscoveryPath,
		EKCert:     &ekcert.Client{Roots: s.ekRoots, SCEPURL: s.URL + MakerPath},
		AIK:        &aik.Client{URL: s.URL + AIKPath, Roots: s.AIK.Roots()},
		DRS:        &drs.Client{BaseURL: s.URL + DirectoryPath},
		MDM:        &mdm.Client{Roots: s.Management.Roots()},
		HTTPClient: s.client,
		Backoff:    quick,
		Setup:      provision.Setup{Pause: 10 * time.Millisecond},
	}
}

// quick is a hundredth of the default.
func quick(step provision.Step, n int, err error) time.Duration {
	return provision.DefaultBackoff(step, n, err) / 100
}
