package main

import (
	"errors"
	"flag"
	"strings"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// options are the flags.
type options struct {
	addr, ekRoots, admit, rootsOut, readyFile string
	public                                    bool
	faults                                    []provisiontest.Fault
	users                                     map[string]string
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := &options{users: make(map[string]string)}
	return &command.Command{
		Name: "mockserver",
		About: "mockserver is every party that a device meets until it is enrolled, behind one TLS listener: the\n" +
			"SCEP CA of a TPM maker, an attestation CA, a directory, a management server\n" +
			"(URL/mdm/EnrollmentServer/Discovery.svc), and Microsoft Graph as far as it registers devices\n" +
			"(URL/autopilot). It logs what it refuses and why, and serves until it is interrupted. It is for\n" +
			"tests only.",
		Usage:  "mockserver -ready-file FILE -roots-out FILE [-user NAME:@FILE] [-fault STEP:KIND] [FLAGS]",
		Status: "0 after an interrupt, 1 if it cannot serve, 2 for wrong usage",
		Flags:  o.flags, Check: o.check, Do: o.run,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.addr, "addr", "127.0.0.1:0", "listen at `HOST:PORT`")
	f.StringVar(&o.ekRoots, "ek-roots", "", "accept the EK CAs in `FILE` (PEM) besides the emulator's maker")
	f.StringVar(&o.admit, "admit", "", "import the public keys or EK certificates in `FILE` (PEM) as hardware; \"any\" admits every EK with a trusted certificate, \"none\" none before its hash is registered (default: those of the emulator)")
	f.BoolVar(&o.public, "public", false, "answer at the names of Microsoft's public services, too, and take what open clients send to those; they must be mapped to the address, at port 443")
	f.StringVar(&o.rootsOut, "roots-out", "", "write the roots of TLS and of every party to `FILE` (PEM)")
	f.StringVar(&o.readyFile, "ready-file", "", "write the base URL to `FILE` when the server listens")
	f.Func("user", "add the user `NAME:PASSWORD`, such as alice@contoso.test:secret, to the directory and the management server, or NAME:@FILE to read the password from a file; may be repeated", o.addUser)
	services.FaultFlag(f, &o.faults)
}

func (o *options) check(*flag.FlagSet) error {
	return errors.Join(command.CheckAddress("-addr", o.addr), command.CheckFile("-roots-out", o.rootsOut), command.CheckFile("-ready-file", o.readyFile))
}

// addUser is -user.
func (o *options) addUser(text string) error {
	name, password, ok := strings.Cut(text, ":")
	if !ok || name == "" || password == "" {
		return errors.New("want NAME:PASSWORD")
	}
	if command.CheckUser("-user", name) != nil {
		return errors.New("want an e-mail address before the colon, such as user@contoso.com")
	}
	o.users[name] = password
	return nil
}
