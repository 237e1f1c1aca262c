package main

import (
	"errors"
	"flag"

	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// options are the flags.
type options struct {
	addr, cert, key, rootsOut, readyFile, ekRoots, policy, learn, token string
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "verifier",
		About: "verifier is a relying party: devices attest to it over HTTPS, and it prints what each of them has\n" +
			"proven. Without -ek-roots it trusts the TPM emulator's maker, and is for trials only.",
		Usage: "verifier [-ready-file FILE -roots-out FILE] [-token @FILE]\n" +
			"verifier -addr HOST:PORT -cert FILE -key FILE -ek-roots FILE|makers [-policy FILE] [-token @FILE]",
		Status: "0 after an interrupt, 1 if it cannot serve, 2 for wrong usage",
		Flags:  o.flags, Check: o.check, Do: o.run,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.addr, "addr", "127.0.0.1:0", "listen at `HOST:PORT`")
	f.StringVar(&o.cert, "cert", "", "show the TLS certificate, with its issuers, in `FILE` (PEM; default: one for the host of -addr, made when the program starts)")
	f.StringVar(&o.key, "key", "", "the private key of -cert is in `FILE` (PEM)")
	f.StringVar(&o.rootsOut, "roots-out", "", "write the root of the TLS certificate that the program made to `FILE` (PEM)")
	f.StringVar(&o.readyFile, "ready-file", "", "write the base URL to `FILE` when the server listens")
	f.StringVar(&o.ekRoots, "ek-roots", "", "trust the EK CAs in `FILE` (PEM) for every maker; \"makers\" trusts the roots of TPM makers that package ekcert/roots has (default: those of the emulator's maker)")
	f.StringVar(&o.policy, "policy", "", "hold devices to the policy in `FILE` (JSON; default: any PCR values)")
	f.StringVar(&o.learn, "learn", "", "write a policy that the first trusted device meets to `FILE`")
	f.StringVar(&o.token, "token", "", "serve only devices that send this `TOKEN` as bearer token, or @FILE to read it from a file")
}

func (o *options) check(f *flag.FlagSet) error {
	open := false // as if there were no -token
	f.Visit(func(given *flag.Flag) { open = open || given.Name == "token" && o.token == "" })
	switch {
	case open:
		return errors.New("-token is empty")
	case (o.cert == "") != (o.key == ""):
		return errors.New("-cert and -key go together")
	case o.cert != "" && o.rootsOut != "":
		return errors.New("-roots-out goes without -cert")
	}
	return errors.Join(
		command.CheckAddress("-addr", o.addr),
		command.CheckFile("-roots-out", o.rootsOut), command.CheckFile("-ready-file", o.readyFile), command.CheckFile("-learn", o.learn),
	)
}
