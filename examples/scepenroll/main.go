// Scepenroll enrolls a key with a SCEP CA (RFC 8894) or renews a certificate, and
// writes the key and the certificates to files. The key may be in a TPM.
//
//	go run ./examples/scepenroll -url URL -caps
//	go run ./examples/scepenroll -url URL -ca-fingerprint HEX -subject CN=device -out DIR
//	go run ./examples/scepenroll -url URL -ca-fingerprint HEX -renew -out DIR
//
// It exits with 0 if the certificate is written (or the capabilities are
// printed, with -caps), with 1 if not, and with 2 if it was called wrongly.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/scep"
)

func main() { command.Main(program()) }

// run fetches the CA's certificates and capabilities, enrolls and writes what
// that gave.
func (o *options) run(ctx context.Context, stdout, _ io.Writer) (err error) {
	if o.challenge, err = command.Secret("-challenge", o.challenge); err != nil {
		return err
	}
	c, err := o.client()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(o.out, "cert.pem")); o.renew && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("-out %s: there is no certificate in it to renew, for cert.pem is missing: name the folder that an enrollment wrote", o.out)
	}
	if o.caps && !o.trusting() {
		return look(ctx, c, o, stdout)
	}
	ca, err := c.CA(ctx, o.id)
	if o.caps && errors.Is(err, scep.ErrUntrusted) {
		return errors.Join(look(ctx, c, o, stdout), err)
	}
	if err != nil {
		return err
	}
	if o.caps {
		describe(stdout, ca.Caps, ca.Chain, o.legacy)
		fmt.Fprintf(stdout, "encrypt to:   %s\n", ca.Recipient.Subject)
		fmt.Fprintf(stdout, "signed by:    %s\n", ca.Signer.Subject)
		return nil
	}
	keys, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer keys.close()
	reply, err := o.enroll(ctx, c, ca, keys, stdout)
	if err != nil {
		return err
	}
	if err := keys.write(o.out, reply.Certificates, ca.Chain); err != nil {
		return err
	}
	leaf := reply.Certificates[0]
	fmt.Fprintf(stdout, "%s, issued by %s, valid until %s\n", leaf.Subject, leaf.Issuer, leaf.NotAfter.UTC().Format(time.RFC3339))
	return nil
}

// enroll requests the certificate, and polls while the request is pending.
func (o *options) enroll(ctx context.Context, c *scep.Client, ca *scep.CA, keys *keys, stdout io.Writer) (*scep.Reply, error) {
	ask, request := c.Enroll, keys.request
	if o.renew {
		ask, request = c.Renew, keys.renewal
	}
	req, err := request(ctx)
	if err != nil {
		return nil, err
	}
	reply, err := ask(ctx, ca, req)
	for err == nil && reply.Status == scep.StatusPending {
		fmt.Fprintf(stdout, "pending; asking again in %v\n", o.poll)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("transaction %s is still pending: %w", reply.TransactionID, ctx.Err())
		case <-time.After(o.poll):
		}
		reply, err = c.Poll(ctx, ca, req, reply)
	}
	return reply, err
}

// client returns the SCEP client that the flags describe.
func (o *options) client() (*scep.Client, error) {
	c := &scep.Client{URL: o.url, AllowLegacy: o.legacy}
	var err error
	if o.fingerprint != "" {
		if c.Fingerprint, err = parseFingerprint(o.fingerprint); err != nil {
			return nil, command.At("-ca-fingerprint", err)
		}
	}
	if o.roots == "" {
		return c, nil
	}
	certs, err := command.ReadCertificates(o.roots)
	if err != nil {
		return nil, command.Wrong("-roots", err)
	}
	c.Roots = command.Pool(certs)
	// The CA's own certificates often stand for its web server, too, but not always.
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	c.HTTPClient = command.HTTPClient(pool)
	return c, nil
}

// look prints what a server supports whose CA nothing vouches for, or not what the flags
// name.
func look(ctx context.Context, c *scep.Client, o *options, stdout io.Writer) error {
	c.Fingerprint = make([]byte, sha256.Size) // of nothing: these requests verify none
	caps, err := c.GetCACaps(ctx, o.id)
	if err != nil {
		return err
	}
	certs, err := c.GetCACert(ctx, o.id)
	if err != nil {
		return err
	}
	describe(stdout, caps, certs, o.legacy)
	_, err = fmt.Fprintln(stdout, "not verified: ask the CA's operator for the SHA-256 of its certificate, compare, and give it with -ca-fingerprint")
	return err
}

// describe prints what a server supports and what would be used with it.
func describe(w io.Writer, caps scep.Caps, certs []*x509.Certificate, legacy bool) {
	fmt.Fprintf(w, "capabilities: %s\n", strings.Join(caps, " "))
	for _, c := range certs {
		fmt.Fprintf(w, "certificate:  %s, SHA-256 %x\n", c.Subject, sha256.Sum256(c.Raw))
	}
	used, err := caps.Algorithms(legacy)
	if err != nil {
		fmt.Fprintf(w, "would use:    nothing: %v (-legacy)\n", err)
		return
	}
	fmt.Fprintf(w, "would use:    %s\n", used)
}
