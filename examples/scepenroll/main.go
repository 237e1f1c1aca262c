// Scepenroll enrolls a key with a SCEP CA (RFC 8894), or renews a certificate,
// and writes key and certificates to files. The key may be in a TPM.
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/scep"
)

func main() { command.Main(run) }

// options are the flags.
type options struct {
	url, id, challenge, fingerprint, roots, subject, dns, key, tpm, out string

	renew, legacy, caps bool
	poll, timeout       time.Duration
}

// run enrolls. It returns 0 if it is done, 1 if that failed or 2 for usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := o.run(ctx, stdout); err != nil {
		fmt.Fprintln(stderr, explain(err))
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := new(options)
	fs := flag.NewFlagSet("scepenroll", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.url, "url", "", "SCEP server's `URL` (required)")
	fs.StringVar(&o.id, "ca", "", "`NAME` of a CA behind the server")
	fs.StringVar(&o.challenge, "challenge", "", "challenge `PASSWORD`")
	fs.StringVar(&o.fingerprint, "ca-fingerprint", "", "trust the CA certificate with this SHA-256, in `HEX`")
	fs.StringVar(&o.roots, "roots", "", "trust the CA certificates in `FILE` (PEM)")
	fs.StringVar(&o.subject, "subject", "", "subject of the certificate, such as `CN=device,O=company`")
	fs.StringVar(&o.dns, "dns", "", "DNS `NAMES` of the certificate, with commas")
	fs.StringVar(&o.key, "key", "rsa2048", "`KIND` of key: rsa2048, p256 or tpm (RSA 2048 in the TPM)")
	fs.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	fs.StringVar(&o.out, "out", "", "write key.pem, cert.pem and ca.pem to `DIR` (required but with -caps)")
	fs.BoolVar(&o.renew, "renew", false, "renew the certificate in the -out folder, for a new key")
	fs.BoolVar(&o.legacy, "legacy", false, "permit SHA-1 and triple DES")
	fs.BoolVar(&o.caps, "caps", false, "print what the server can do and what would be used, and stop")
	fs.DurationVar(&o.poll, "poll", 10*time.Second, "ask after a pending request each `D`")
	fs.DurationVar(&o.timeout, "timeout", 5*time.Minute, "give up after `D`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	err := o.check(fs)
	if err != nil {
		fmt.Fprintf(stderr, "scepenroll: %v\n", err)
		fs.Usage()
	}
	return o, err
}

func (o *options) check(fs *flag.FlagSet) error {
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.url == "":
		return errors.New("-url is required")
	case o.out == "" && !o.caps:
		return errors.New("-out is required")
	case o.subject == "" && !o.caps && !o.renew:
		return errors.New("-subject is required")
	case o.key != "rsa2048" && o.key != "p256" && o.key != "tpm":
		return fmt.Errorf("-key %q: want rsa2048, p256 or tpm", o.key)
	case o.renew && o.key == "p256":
		return errors.New("-renew: SCEP messages are signed with RSA keys, so that a P-256 certificate cannot renew itself; enroll again")
	case o.poll <= 0 || o.timeout <= 0:
		return errors.New("-poll and -timeout must be positive")
	}
	_, err := parseSubject(o.subject)
	return err
}

// client returns the SCEP client that the flags describe.
func (o *options) client() (*scep.Client, error) {
	c := &scep.Client{URL: o.url, AllowLegacy: o.legacy}
	if o.fingerprint != "" {
		text := strings.NewReplacer(":", "", " ", "").Replace(o.fingerprint)
		var err error
		if c.Fingerprint, err = hex.DecodeString(text); err != nil {
			return nil, fmt.Errorf("-ca-fingerprint: %w", err)
		}
	}
	if o.roots != "" {
		certs, err := device.ReadCertificates(o.roots)
		if err != nil {
			return nil, fmt.Errorf("-roots: %w", err)
		}
		c.Roots = poolOf(certs)
	}
	return c, nil
}

func (o *options) run(ctx context.Context, stdout io.Writer) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	ca, err := c.CA(ctx, o.id)
	if err != nil {
		return err
	}
	if o.caps {
		return describe(stdout, ca, o.legacy)
	}
	keys, err := o.open()
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

// enroll asks for the certificate, and asks after it while it is pending.
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

// explain returns an error on one line, with what can be done.
func explain(err error) string {
	line := "scepenroll: " + strings.TrimPrefix(err.Error(), "scep: ")
	var e *scep.Error
	if errors.As(err, &e) {
		if remedy := e.Remedy(); remedy != "" {
			line += ". " + remedy
		}
		if errors.Is(err, scep.ErrLegacy) {
			line += " (-legacy)"
		}
	}
	return strings.Join(strings.Fields(line), " ")
}
