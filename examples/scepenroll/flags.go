package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/scep"
)

// options are the flags.
type options struct {
	url, id, challenge, fingerprint, roots, subject, dns, key, tpm, out string

	renew, legacy, caps bool
	poll                time.Duration
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "scepenroll",
		About: "scepenroll enrolls a key with a SCEP CA (RFC 8894) or renews a certificate, and writes the key and\n" +
			"the certificates to files. The key may be in a TPM.",
		Usage: "scepenroll -url URL -caps\n" +
			"scepenroll -url URL -ca-fingerprint HEX|-roots FILE -subject CN=NAME [-dns NAMES] [-challenge @FILE] -out DIR\n" +
			"scepenroll -url URL -ca-fingerprint HEX|-roots FILE -renew -out DIR",
		Status:  "0 if the certificate is written, or the capabilities printed with -caps; 1 if not; 2 for wrong usage",
		Timeout: 5 * time.Minute, Flags: o.flags, Check: o.check, Do: o.run, Hint: o.hint,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.url, "url", "", "SCEP server's `URL` (required)")
	f.StringVar(&o.id, "ca", "", "`NAME` of a CA behind the server")
	f.StringVar(&o.challenge, "challenge", "", "challenge `PASSWORD`, or @FILE to read it from a file")
	f.StringVar(&o.fingerprint, "ca-fingerprint", "", "trust the CA certificate with this SHA-256, in `HEX`")
	f.StringVar(&o.roots, "roots", "", "trust the CA certificates in `FILE` (PEM), for an https URL also beside the system's roots")
	f.StringVar(&o.subject, "subject", "", "subject of the certificate, such as `CN=device,O=company` (required to enroll, also with -dns)")
	f.StringVar(&o.dns, "dns", "", "DNS `NAMES` of the certificate, separated by commas")
	f.StringVar(&o.key, "key", "rsa2048", "`KIND` of key: rsa2048, p256 or tpm (RSA 2048 in the TPM)")
	f.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	f.StringVar(&o.out, "out", "", "write key.pem, cert.pem and ca.pem to `DIR` (required without -caps)")
	f.BoolVar(&o.renew, "renew", false, "renew the certificate in the -out folder, for a new key")
	f.BoolVar(&o.legacy, "legacy", false, "permit SHA-1 and triple DES, and single DES in replies")
	f.BoolVar(&o.caps, "caps", false, "print what the server supports and what would be used, and stop")
	f.DurationVar(&o.poll, "poll", 10*time.Second, "ask again every `D` while the request is pending")
}

func (o *options) check(*flag.FlagSet) error {
	switch {
	case o.url == "":
		return errors.New("-url is required")
	case o.out == "" && !o.caps:
		return errors.New("-out is required")
	case o.subject == "" && !o.caps && !o.renew:
		return errors.New("-subject is required, also with -dns")
	case o.key != "rsa2048" && o.key != "p256" && o.key != "tpm":
		return fmt.Errorf("-key %q: want rsa2048, p256 or tpm", o.key)
	case o.renew && o.key == "p256":
		return errors.New("-renew: a P-256 certificate cannot renew itself, because SCEP messages are signed with RSA keys; enroll again")
	case o.poll <= 0:
		return errors.New("-poll must be positive")
	}
	if err := command.CheckOpenURL("-url", o.url); err != nil {
		return err
	}
	if !o.caps && !o.trusting() {
		return errors.New("-url is of http, so nothing vouches for the CA: give -ca-fingerprint or -roots, or use https")
	}
	_, err := parseSubject(o.subject)
	return errors.Join(err, device.CheckFlag(o.tpm), o.checkFingerprint(), command.CheckDir("-out", o.out))
}

// trusting reports whether the flags name something that vouches for the CA.
func (o *options) trusting() bool {
	return o.roots != "" || o.fingerprint != "" || strings.HasPrefix(strings.ToLower(o.url), "https:")
}

// checkFingerprint returns an error unless -ca-fingerprint is a SHA-256.
func (o *options) checkFingerprint() error {
	if o.fingerprint == "" {
		return nil
	}
	sum, err := parseFingerprint(o.fingerprint)
	switch {
	case err != nil:
		return fmt.Errorf("-ca-fingerprint %q: want hexadecimal digits, as \"openssl x509 -fingerprint -sha256\" prints them", o.fingerprint)
	case len(sum) != sha256.Size:
		return fmt.Errorf("-ca-fingerprint has %d bytes: want the SHA-256 of the CA certificate, which has %d (64 digits)", len(sum), sha256.Size)
	}
	return nil
}

// parseFingerprint reads hexadecimal digits, which colons or spaces may separate.
func parseFingerprint(text string) ([]byte, error) {
	return hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(text))
}

// hint names the flag that may help against an error.
func (o *options) hint(err error) string {
	switch {
	case errors.Is(err, scep.ErrLegacy):
		return "The flag -legacy permits them."
	case errors.Is(err, scep.ErrUntrusted) && o.fingerprint == "" && o.roots != "" && !o.caps:
		return "See which certificates the server has with -caps."
	case errors.Is(err, scep.ErrUntrusted) && o.fingerprint == "" && o.roots == "":
		return "Vouch for the CA with -roots or -ca-fingerprint."
	}
	return ""
}
