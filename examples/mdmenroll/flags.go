package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// options are the flags.
type options struct {
	discover, domain, token, user, password, tpm, out, roots string

	sessions int
	esp      bool

	keySize                                  int
	shortKey, renew, unenroll                bool
	requestVersion, deviceID, enrollmentType string
	har                                      string
	nodes                                    []node
}

// A node is a node of the device's tree that -node sets.
type node struct{ uri, value string }

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "mdmenroll",
		About: "mdmenroll enrolls this machine, or an emulated TPM, with any management server that speaks the\n" +
			"enrollment protocol of Windows, holds management sessions, and shows the enrollment status page. It\n" +
			"also renews the certificate of an enrollment, or ends the management.",
		Usage: "mdmenroll -discover URL|entra -token @FILE [-session N [-esp]] [-out DIR] [FLAGS]\n" +
			"mdmenroll -domain D -user NAME -password @FILE [-session N [-esp]] [-out DIR] [FLAGS]\n" +
			"mdmenroll -renew|-unenroll -out DIR -tpm TPM",
		Status:  "0 if the device is enrolled, no session failed and, with -esp, the page is over and no command failed; 1 if not, 2 for wrong usage",
		Timeout: 10 * time.Minute, Flags: o.flags, Check: o.check, Do: o.run,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.discover, "discover", "", "ask the discovery service at `URL`, or \"entra\" for the public one of Entra tenants")
	f.StringVar(&o.domain, "domain", "", "ask the discovery service of domain `D`, at the host EnterpriseEnrollment.D")
	f.StringVar(&o.token, "token", "", "enroll with this `TOKEN`, or @FILE to read it from a file: a JWT, or a token that only the server can read; with a device's token the device is pre-provisioned (WhiteGlove)")
	f.StringVar(&o.user, "user", "", "enroll as the user `NAME`, an e-mail address")
	f.StringVar(&o.password, "password", "", "with -user: the user's `PASSWORD`, or @FILE to read it from a file")
	f.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	f.StringVar(&o.out, "out", "", "write certificate, key (wrapped by the TPM) and summary.json to `DIR`")
	f.StringVar(&o.roots, "roots", "", "trust the TLS roots in `FILE` (PEM) instead of the system's")
	f.IntVar(&o.sessions, "session", 0, "hold `N` management sessions")
	f.IntVar(&o.keySize, "key-size", 0, "make a management key of at least `BITS`: 2048 or 3072 (default: what the server's policy asks for)")
	f.BoolVar(&o.shortKey, "short-key", false, "where the policy asks for more than 3072 bits, take the longest key that the TPM makes")
	f.StringVar(&o.requestVersion, "request-version", "", "offer version `V` of the enrollment protocol, such as 4.0 (default 5.0)")
	f.StringVar(&o.deviceID, "device-id", "", "enroll as the device `ID` (default: derived from the endorsement key)")
	f.StringVar(&o.enrollmentType, "enrollment-type", "", "enroll as `TYPE`: Device or Full (default: by the credential)")
	f.BoolVar(&o.renew, "renew", false, "renew the certificate in the folder of -out, in place of an enrollment")
	f.BoolVar(&o.unenroll, "unenroll", false, "end the management of the device in the folder of -out, in place of an enrollment")
	f.Func("node", "set a node of the device's tree before the sessions, as `LOCURI=VALUE`; may be repeated", o.addNode)
	f.StringVar(&o.har, "har", "", "write all HTTP messages to `FILE` as an HTTP archive, without secrets")
	f.BoolVar(&o.esp, "esp", false, "show the enrollment status page; the sessions end when it is over, and exit code 1 tells if it is not or a command failed")
}

// addNode reads a value of -node.
func (o *options) addNode(text string) error {
	uri, value, ok := strings.Cut(text, "=")
	if !ok || !new(omadm.Tree).Set(uri, omadm.Value{Data: value}) {
		return fmt.Errorf("%q has not the form LOCURI=VALUE", text)
	}
	o.nodes = append(o.nodes, node{uri, value})
	return nil
}

func (o *options) check(*flag.FlagSet) error {
	again := o.renew || o.unenroll
	switch {
	case o.renew && o.unenroll:
		return errors.New("-renew and -unenroll exclude each other")
	case again && o.out == "":
		return errors.New("-renew and -unenroll need -out, with the folder of an enrollment")
	case again && o.discover+o.domain+o.token+o.user+o.password != "":
		return errors.New("-renew and -unenroll go without a server and a credential")
	case again && (o.sessions > 0 || o.esp):
		return errors.New("-renew and -unenroll go without -session and -esp")
	case o.keySize != 0 && o.keySize != 2048 && o.keySize != 3072:
		return errors.New("-key-size must be 2048 or 3072")
	case o.enrollmentType != "" && o.enrollmentType != "Device" && o.enrollmentType != "Full":
		return errors.New("-enrollment-type must be Device or Full")
	case again:
		return o.checkOutput()
	case (o.discover == "") == (o.domain == ""):
		return errors.New("exactly one of -discover and -domain is needed")
	case (o.token == "") == (o.user == ""):
		return errors.New("exactly one of -token and -user is needed")
	case o.password != "" && o.user == "":
		return errors.New("-password goes with -user")
	case o.user != "" && o.password == "":
		return errors.New("-user needs -password")
	case o.requestVersion != "" && !version.MatchString(o.requestVersion):
		return fmt.Errorf("-request-version %q: want a version such as 5.0", o.requestVersion)
	case command.CheckUser("-user", o.user) != nil:
		return command.CheckUser("-user", o.user)
	case o.sessions < 0:
		return errors.New("-session must not be negative")
	}
	if info, err := os.Stat(o.token); err == nil && info.Mode().IsRegular() {
		return fmt.Errorf("-token %s is a file: write @%s to read the token from it", o.token, o.token)
	}
	if _, err := o.address(); err != nil {
		return fmt.Errorf("-domain %q: want the part of an e-mail address after the @, such as contoso.com", o.domain)
	}
	if o.discover != "entra" {
		if err := command.CheckURL("-discover", o.discover); err != nil {
			return err
		}
	}
	if o.esp && o.sessions == 0 {
		o.sessions = 1
	}
	return o.checkOutput()
}

// version is the form of a version of the enrollment protocol.
var version = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

// checkOutput returns an error if something could not be written in the end.
func (o *options) checkOutput() error {
	return errors.Join(device.CheckFlag(o.tpm), command.CheckDir("-out", o.out), command.CheckFile("-har", o.har))
}
