package mdmtest

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// identify returns the client certificate of a request and the device that it
// belongs to. The server must have issued the certificate, and it must be
// valid.
func (s *Server) identify(r *http.Request) (*device, *x509.Certificate, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil, refuse(authenticationFault, "no client certificate")
	}
	cert := r.TLS.PeerCertificates[0]
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(s.ca.root)
	between.AddCert(s.ca.issuer)
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return nil, nil, &fault{subcode: authorizationFault, errorType: "NotEligibleToRenew", reason: fmt.Errorf("client certificate: %w", err)}
	}
	if err != nil {
		return nil, nil, refuse(authenticationFault, "client certificate: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	dev := s.devices[s.owners[sha256.Sum256(cert.Raw)]]
	switch {
	case dev == nil:
		return nil, nil, refuse(authenticationFault, "client certificate of no device")
	case s.ended(dev.deviceID) || cert.Subject.CommonName != dev.id:
		return nil, nil, refuse(authorizationFault, "the device has ended its management")
	}
	return dev, cert, nil
}

// renew answers a renewal ([MS-MDE2] section 3.5), which the present
// certificate authenticates in TLS and the present key has signed.
func (s *Server) renew(r *http.Request, e *envelope, q *tokenRequest) (string, error) {
	if s.Quirks.NoRenewal {
		return "", malformed("binarySecurityToken is empty")
	}
	dev, present, err := s.identify(r)
	if err != nil {
		return "", err
	}
	if err := s.checkHeader(e); err != nil {
		return "", err
	}
	if before := present.NotAfter.Add(-s.RenewBefore); s.RenewBefore > 0 && s.now().Before(before) {
		return "", &fault{subcode: authorizationFault, errorType: "NotEligibleToRenew", reason: fmt.Errorf("the certificate may be renewed from %s on", before)}
	}
	if err := s.denied("Renew", dev.deviceID); err != nil {
		return "", err
	}
	signed, err := cms.ParseSigned(q.content)
	if err != nil {
		return "", refuse(certificateFault, "signed request: %w", err)
	}
	if err := signed.Verify(present, false); err != nil {
		return "", refuse(certificateFault, "signed request: %w", err)
	}
	if deviceKey(q.context.get("DeviceID")) != dev.deviceID {
		return "", badItem("context item DeviceID is %.100q, the client certificate is of %s", q.context.get("DeviceID"), dev.deviceID)
	}
	if err := q.context.check(); err != nil {
		return "", err
	}
	key, err := s.checkCSR(signed.Content, q.context.get("DeviceID"))
	if err != nil {
		return "", err
	}
	if err := s.checkAttestation(q.context, key, dev.directoryID); err != nil {
		return "", err
	}
	if _, err := s.claim(dev.deviceID, &dev.owner, key); err != nil {
		return "", err
	}
	cert, err := s.issue(dev, key)
	if err != nil {
		return "", err
	}
	return s.response(s.renewed(cert)), nil
}

// checkHeader checks the header of a renewal: it must have a UsernameToken,
// whose name does not matter, or a good token. The certificate is what
// authenticates the request.
func (s *Server) checkHeader(e *envelope) error {
	security := e.Header[0].Security
	if len(security) == 1 && len(security[0].Token) == 1 {
		_, err := s.authenticate(e)
		return err
	}
	if len(security) != 1 || security[0].MustUnderstand != "1" || len(security[0].User) != 1 {
		return refuse(securityFault, "not exactly one wsse:Security that must be understood, with one UsernameToken")
	}
	_, _, err := security[0].User[0].read()
	return err
}
