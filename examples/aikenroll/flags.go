package main

import (
	"errors"
	"flag"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/scep"
)

// options are the flags.
type options struct {
	url, tpm, out, roots, ekRoots, begin, complete string

	windows, legacy bool
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "aikenroll",
		About: "aikenroll obtains a certificate for an attestation key from an attestation CA, as Windows does: it\n" +
			"makes the key in the TPM, asks the CA over SCEP, and lets the TPM open the CA's challenge. Without\n" +
			"flags it uses an emulated TPM and a mock CA, both in this process.",
		Usage: "aikenroll [-url URL] [-roots FILE] [-tpm TPM] [-out DIR]\n" +
			"aikenroll -url URL [-roots FILE] [-tpm TPM] -begin FILE\n" +
			"aikenroll -complete FILE [-roots FILE] [-tpm TPM] [-out DIR]",
		Status:  "0 if the key is certified, or asked for with -begin; 1 if not; 2 for wrong usage",
		Timeout: 2 * time.Minute, Flags: o.flags, Check: o.check, Do: o.run, Hint: o.hint,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.url, "url", "", `ask the CA at `+"`URL`"+`, in which {authority} stands for the name of the authority; "windows" is the CA that Windows asks (default: a mock CA in this process)`)
	f.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	f.StringVar(&o.out, "out", "", "write the certificate with its issuers, and the key (wrapped by the TPM), to `DIR`")
	f.StringVar(&o.roots, "roots", "", "trust the roots of TLS and of the CA in `FILE` (PEM; default: the system's roots for TLS, and a CA that answers over TLS)")
	f.StringVar(&o.ekRoots, "ek-roots", "", "trust the EK CAs in `FILE` (PEM; default: the emulator's maker)")
	f.StringVar(&o.begin, "begin", "", "only ask, and write the key and the challenge to `FILE`, which holds a secret key")
	f.StringVar(&o.complete, "complete", "", "open and answer the challenge that -begin wrote to `FILE`; the CA waits for minutes, and takes one answer")
	f.BoolVar(&o.windows, "windows", false, "make the key as Windows does: it signs with SHA-1")
	f.BoolVar(&o.legacy, "legacy", false, "permit a CA that signs its answers with SHA-1, or uses triple DES")
}

func (o *options) check(*flag.FlagSet) error {
	switch {
	case o.begin != "" && o.complete != "":
		return errors.New("-begin and -complete need a run each")
	case o.begin != "" && o.out != "":
		return errors.New("-out goes with -complete, not with -begin")
	case o.begin != "" && o.url == "":
		return errors.New("-begin needs -url, since a mock CA in this process is gone before -complete")
	case o.complete != "" && (o.url != "" || o.windows):
		return errors.New("-complete takes CA and key from its file, not from -url or -windows")
	case o.legacy && o.url == "" && o.complete == "":
		return errors.New("-legacy goes with -url or -complete")
	case o.roots != "" && o.url == "" && o.complete == "":
		return errors.New("-roots goes with -url or -complete")
	}
	if o.url != "windows" {
		if err := command.CheckOpenURL("-url", o.url); err != nil {
			return err
		}
		if strings.HasPrefix(strings.ToLower(o.url), "http:") && o.roots == "" {
			return errors.New("-url is of http, so nothing vouches for the CA: give its root, which its operator has, with -roots, or use https")
		}
	}
	return errors.Join(device.CheckFlag(o.tpm), command.CheckDir("-out", o.out), command.CheckFile("-begin", o.begin))
}

// hint names the flag that may help against an error.
func (o *options) hint(err error) string {
	switch {
	case errors.Is(err, scep.ErrLegacy):
		return "The flag -legacy permits them."
	case errors.Is(err, aik.ErrNoAuthority) && o.url != "" && o.url != "windows" && !strings.Contains(o.url, "{authority}"):
		return "If the CA has an address for each TPM maker, write {authority} in -url."
	}
	return ""
}
