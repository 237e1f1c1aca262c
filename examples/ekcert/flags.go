package main

import (
	"errors"
	"flag"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// options are the flags.
type options struct {
	tpm, file, nv, roots string

	auth                  device.Auth
	online, private, json bool
}

// program returns the example as a command. Each call has flags of its own.
func program() *command.Command {
	o := new(options)
	return &command.Command{
		Name: "ekcert",
		About: "ekcert finds, prints and judges the certificates of endorsement keys: those of a TPM, those in a\n" +
			"dump of its NV memory, or one in a file. Without flags it uses an emulated TPM in this process. It\n" +
			"fetches nothing unless -online is given.",
		Usage: "ekcert [-tpm TPM] [-online] [-json]\n" +
			"ekcert -file FILE | -nv DIR [-json]",
		Status:  "0 if there is a certificate and none is bad, 1 if not or if something failed, 2 for wrong usage",
		Timeout: time.Minute, Flags: o.flags, Check: o.check, Do: o.run, Hint: o.auth.Hint,
	}
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.tpm, "tpm", "soft", device.Usage)
	o.auth.Flags(f)
	f.StringVar(&o.file, "file", "", "judge the certificate in `FILE` instead: in DER, PEM, PKCS #7 or Intel's JSON, or as NV memory or the registry of Windows holds it")
	f.StringVar(&o.nv, "nv", "", "judge the certificates in the NV memory in `DIR` instead: files named after their index, such as 0x01c00002.bin")
	f.StringVar(&o.roots, "ek-roots", "", "trust the roots in `FILE` (PEM) for every maker, and no others (default: the makers' own, and the emulator's)")
	f.BoolVar(&o.online, "online", false, "ask the maker's service, which learns a hash of the key; fetch missing issuers and CRLs")
	f.BoolVar(&o.private, "private-hosts", false, "with -online: also fetch from addresses that are not public, such as those of a test CA")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func (o *options) check(f *flag.FlagSet) error {
	sources := 0
	f.Visit(func(set *flag.Flag) {
		if set.Name == "tpm" || set.Name == "file" || set.Name == "nv" {
			sources++
		}
	})
	if sources > 1 {
		return errors.New("-tpm, -file and -nv exclude each other")
	}
	if o.private && !o.online {
		return errors.New("-private-hosts goes with -online")
	}
	return errors.Join(device.CheckFlag(o.tpm), o.auth.Check())
}
