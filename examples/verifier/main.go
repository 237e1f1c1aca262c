// Verifier is a relying party that one can run: devices attest to it over HTTPS, and
// it prints what each of them has proven. It is package verify behind four paths.
//
//	go run ./examples/verifier -ready-file url -roots-out roots.pem
//	go run ./examples/verifier -addr :8443 -cert tls.pem -key tls-key.pem -ek-roots makers -policy policy.json -token @token
//	go run ./examples/attestor -url "$(cat url)" -roots roots.pem -boot
//
// Without -cert it makes a TLS certificate for the host of -addr. Without -ek-roots it
// trusts the TPM emulator's maker, and is for trials only. With -learn it writes a
// policy that the first device meets, to begin with. It knows its devices until it
// ends; docs/verifier.md says what a service needs besides.
//
// It serves until it is interrupted, and then exits with 0. It exits with 1 if it
// cannot serve, and with 2 if it was called wrongly.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/roots"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/verify"
)

func main() { command.Main(program()) }

// run serves until ctx ends.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	s := &service{verifier: new(verify.Verifier), log: log.New(stdout, "", 0), learn: o.learn, untrusted: o.untrusted()}
	var err error
	if s.token, err = command.Secret("-token", o.token); err != nil {
		return err
	}
	if s.verifier.EKs, err = o.makers(); err != nil {
		return err
	}
	if s.verifier.Policy, err = o.readPolicy(); err != nil {
		return err
	}
	certificate, root, err := o.certificate()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return command.NotListening("-addr", o.addr, err)
	}
	if err := o.announce(l, root, stdout); err != nil {
		l.Close()
		return err
	}
	server := &http.Server{
		Handler:     s.handler(),
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12},
		ErrorLog:  slog.NewLogLogger(slog.NewTextHandler(stderr, nil), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// makers returns the client that verifies the certificates of endorsement keys.
func (o *options) makers() (*ekcert.Client, error) {
	switch o.ekRoots {
	case "":
		return &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}}, nil
	case "makers":
		makers, intermediates, err := roots.Load()
		return &ekcert.Client{Roots: makers, Pins: roots.Pins(), Intermediates: intermediates, KnownCAs: new(ekcert.KnownCAs)}, err
	}
	pool, err := command.ReadRoots("-ek-roots", o.ekRoots)
	if errors.Is(err, fs.ErrNotExist) && strings.TrimSuffix(strings.ToLower(o.ekRoots), "s") == "maker" {
		return nil, command.Wrong("-ek-roots "+o.ekRoots, errors.New("there is no such file: write makers for the roots that package ekcert/roots has"))
	}
	return &ekcert.Client{Roots: ekcert.Roots{"": pool}}, err
}

// untrusted returns what helps if a certificate leads to no root of -ek-roots, or "" if
// the library says it.
func (o *options) untrusted() string {
	switch o.ekRoots {
	case "":
		return "Only the emulator's maker is trusted: give -ek-roots makers, or a file with the root certificate of this TPM's maker."
	case "makers":
		return "With -ek-roots makers: make a file of ekcert/roots/bundle.pem and the maker's root certificate, or the missing certificates of the CAs below it, and give that."
	}
	return ""
}

// readPolicy returns the policy of -policy, or nil.
func (o *options) readPolicy() (*verify.Policy, error) {
	if o.policy == "" {
		return nil, nil
	}
	text, err := command.ReadSmall(o.policy)
	if err != nil {
		return nil, command.Wrong("-policy", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, command.Wrong("-policy "+o.policy, errors.New("the file is empty: docs/verifier.md shows a policy, and verifier -learn writes one"))
	}
	p := new(verify.Policy)
	if err := verify.Decode(bytes.NewReader(text), p); err != nil {
		return nil, command.Wrong("-policy "+o.policy, errors.New(notPolicy(err)))
	}
	return p, nil
}

// announce writes the root of TLS, if there is one, and then the URL, so that both
// files are there when the ready file is.
func (o *options) announce(l net.Listener, root []byte, stdout io.Writer) error {
	if o.rootsOut != "" {
		if err := command.WriteFile(o.rootsOut, root); err != nil {
			return err
		}
	}
	url := "https://" + l.Addr().String()
	if o.readyFile != "" {
		if err := command.WriteFile(o.readyFile, []byte(url+"\n")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(stdout, "listening at", url)
	return err
}

// notPolicy says why a file is not a policy, and what is.
func notPolicy(err error) string {
	if reason, ok := strings.CutPrefix(command.Reason(err), "policy is malformed: "); ok && errors.Is(err, verify.ErrMalformed) {
		what := "the file"
		if strings.HasPrefix(reason, "there is no field ") {
			what = "its name"
		}
		return reason + ". Correct " + what + "; docs/verifier.md shows a policy"
	}
	return command.Reason(err)
}
