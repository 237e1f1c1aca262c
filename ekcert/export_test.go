package ekcert

import "crypto/x509"

// Unexported functions for tests.
var (
	IssuerOf   = issuerOf
	Within     = within
	CSR        = (*Request).csr
	SplitChain = splitChain
	IsPublic   = isPublic
	NewPublic  = newPublic
)

// ParseCRL reads a CRL and looks for cert in it.
func ParseCRL(der []byte, cert *x509.Certificate) error {
	list, err := parseCRL(der)
	if err != nil {
		return err
	}
	_, err = list.find(cert)
	return err
}

// CRLPoints returns the URLs of a certificate's CRLs.
func CRLPoints(cert *x509.Certificate) ([]string, error) {
	points, err := crlPoints(cert)
	var urls []string
	for _, p := range points {
		urls = append(urls, p.urls...)
	}
	return urls, err
}
