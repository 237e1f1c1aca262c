package drs

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // the service names certificates by SHA-1
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A joinAnswer is the answer to a join.
type joinAnswer struct {
	Certificate struct {
		Thumbprint string
		RawBody    []byte
	}
	User              struct{ Upn text }
	MembershipChanges json.RawMessage
}

// readJoin reads and checks the answer to a join.
func (c *Client) readJoin(d *Discovery, req *Request, a *joinAnswer) (*Device, error) {
	sum := sha1.Sum(a.Certificate.RawBody) //nolint:gosec // a name, not a proof
	if !strings.EqualFold(hex.EncodeToString(sum[:]), a.Certificate.Thumbprint) {
		return nil, fmt.Errorf("%w: its thumbprint is %x, but the answer has %q", ErrCertificate, sum, cut(a.Certificate.Thumbprint))
	}
	cert, err := x509.ParseCertificate(a.Certificate.RawBody)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	dev, err := ParseDevice(cert)
	if err != nil {
		return nil, err
	}
	if err := c.checkDevice(dev, d, req.DeviceKey); err != nil {
		return nil, err
	}
	dev.UPN = string(a.User.Upn)
	if dev.AdminSIDs, err = adminSIDs(a.MembershipChanges); err != nil {
		return nil, err
	}
	return dev, nil
}

// cut shortens a server's text for an error.
func cut(s string) string { return s[:min(len(s), 64)] }

// clockSkew is how far the device's clock may be behind that of the service.
const clockSkew = 5 * time.Minute

// checkDevice checks a device certificate; see [Client.Join].
func (c *Client) checkDevice(dev *Device, d *Discovery, key crypto.Signer) error {
	cert := dev.Certificate
	pub, err := deviceKey(key)
	if err != nil {
		return err
	}
	now := c.now()
	switch {
	case !pub.Equal(cert.PublicKey):
		return fmt.Errorf("%w: it is for another key", ErrCertificate)
	case d.TenantID != "" && dev.TenantID != d.TenantID:
		return fmt.Errorf("%w: the certificate is for %q, not %q", ErrTenant, dev.TenantID, d.TenantID)
	case !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return fmt.Errorf("%w: it is not for client authentication", ErrCertificate)
	case cert.Issuer.CommonName == "" || bytes.Equal(cert.RawIssuer, cert.RawSubject):
		return fmt.Errorf("%w: its issuer is %q, which has no common name or is the device itself", ErrCertificate, cut(cert.Issuer.String()))
	case cert.NotBefore.After(now.Add(clockSkew)), cert.NotAfter.Before(now):
		return fmt.Errorf("%w: it is valid from %s to %s, and now is %s", ErrCertificate,
			cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// maxSIDs is the largest number of members that an answer may list.
const maxSIDs = 64

// adminSIDs returns the members to add to the local group of administrators. The service
// sends a list of groups; in its specification there is one group instead.
func adminSIDs(raw json.RawMessage) ([]string, error) {
	type change struct {
		LocalSID string
		AddSIDs  []string
	}
	if len(raw) == 0 {
		return nil, nil
	}
	var list []change
	if json.Unmarshal(raw, &list) != nil {
		var one change
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("%w: MembershipChanges: %w", ErrMalformed, err)
		}
		list = []change{one}
	}
	var out []string
	for _, ch := range list {
		if ch.LocalSID == administrators {
			out = append(out, ch.AddSIDs...)
		}
	}
	if len(out) > maxSIDs {
		return nil, fmt.Errorf("%w: it lists %d members, more than %d", ErrMalformed, len(out), maxSIDs)
	}
	for _, sid := range out {
		if !isSID(sid) {
			return nil, fmt.Errorf("%w: it lists the member %q, not a security identifier", ErrMalformed, cut(sid))
		}
	}
	return out, nil
}

// isSID reports whether s has the form of a security identifier, such as "S-1-12-1-1-2-3-4".
func isSID(s string) bool {
	rest, ok := strings.CutPrefix(s, "S-1-")
	return ok && rest != "" && len(s) <= 256 && strings.Trim(rest, "0123456789-") == ""
}

// administrators is the security identifier of the local group of administrators.
const administrators = "S-1-5-32-544"
