package main

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/whiteglove/whiteglove/scep"
)

// describe prints what a server can do and what would be used.
func describe(w io.Writer, ca *scep.CA, legacy bool) error {
	fmt.Fprintf(w, "capabilities: %s\n", strings.Join(ca.Caps, " "))
	for _, c := range ca.Chain {
		fmt.Fprintf(w, "certificate:  %s, SHA-256 %x\n", c.Subject, sha256.Sum256(c.Raw))
	}
	fmt.Fprintf(w, "encrypt to:   %s\n", ca.Recipient.Subject)
	fmt.Fprintf(w, "signed by:    %s\n", ca.Signer.Subject)
	used, err := ca.Caps.Algorithms(legacy)
	if err != nil {
		fmt.Fprintf(w, "would use:    nothing: %v (-legacy)\n", err)
		return nil
	}
	fmt.Fprintf(w, "would use:    %s\n", used)
	return nil
}

// parseSubject reads attributes of a name, with commas between. A backslash
// takes the meaning of the comma after it.
func parseSubject(text string) (pkix.Name, error) {
	var name pkix.Name
	const comma = "\x00"
	for part := range strings.SplitSeq(strings.ReplaceAll(text, `\,`, comma), ",") {
		if strings.TrimSpace(part) == "" && text == "" {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		value = strings.ReplaceAll(value, comma, ",")
		if !ok || value == "" {
			return name, fmt.Errorf("-subject: %q is not like CN=device", part)
		}
		switch strings.ToUpper(key) {
		case "CN":
			name.CommonName = value
		case "SERIALNUMBER":
			name.SerialNumber = value
		case "O":
			name.Organization = append(name.Organization, value)
		case "OU":
			name.OrganizationalUnit = append(name.OrganizationalUnit, value)
		case "C":
			name.Country = append(name.Country, value)
		case "L":
			name.Locality = append(name.Locality, value)
		case "ST":
			name.Province = append(name.Province, value)
		default:
			return name, fmt.Errorf("-subject: %q is not one of CN, SERIALNUMBER, O, OU, C, L, ST", key)
		}
	}
	return name, nil
}

func poolOf(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}

var errTPMKey = errors.New("key.pem is a key of a TPM: use -key tpm")
