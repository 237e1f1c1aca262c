package device

import (
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// An Auth has the flags for the authorization values of a TPM. Without them, those of
// the hierarchies are the ones that Windows keeps.
type Auth struct {
	owner, endorsement, storage string
	key                         uint
}

// Flags defines the flags.
func (a *Auth) Flags(f *flag.FlagSet) {
	const from = ", or @FILE to read it from a file (@/dev/fd/N: from a descriptor)"
	f.StringVar(&a.owner, "owner-auth", "", "the authorization `VALUE` of the TPM's owner hierarchy"+from+"\n(default: empty, or with -tpm device on Windows the one that Windows keeps, if this is an administrator)")
	f.StringVar(&a.endorsement, "endorsement-auth", "", "the `VALUE` of the endorsement hierarchy"+from+"\n(default: empty, or the one that Windows keeps, under the same conditions as that of -owner-auth)")
	f.StringVar(&a.storage, "srk-auth", "", "the `VALUE` of the storage root key"+from)
	f.UintVar(&a.key, "srk", 0, "make keys under the storage key at this persistent `HANDLE`, such as 0x81000001 (default: the TPM's own choice)")
}

// Check returns an error if a flag is wrong.
func (a *Auth) Check() error {
	switch key := a.key; {
	case key == 0 || key>>24 == 0x81:
		return nil
	case key > 81e6 && key < 82e6:
		return fmt.Errorf("-srk %d: this is no persistent handle: is 0x missing before it?", key)
	default:
		return fmt.Errorf("-srk %#x: this is no persistent handle, which is from 0x81000000 to 0x81ffffff", key)
	}
}

// Hint returns the flags for the authorization values if the TPM wants one that was not
// given, or "".
func (a *Auth) Hint(err error) string {
	if !errors.Is(err, tpm2.TPMRCBadAuth) && !errors.Is(err, tpm2.TPMRCAuthFail) || strings.Contains(diagnose.Explain(err).Remedy, "-auth") {
		return ""
	}
	return "Values are given with -owner-auth, -endorsement-auth and -srk-auth."
}

// Set sets the values in tpm, which is that of dev. The error is that of reading a file, or
// that the TPM has no key at the handle.
func (a *Auth) Set(tpm *attest.TPM, dev *Device) error {
	tpm.OwnerAuth, tpm.EndorsementAuth = dev.owner, dev.endorsement
	for _, auth := range []struct {
		to         *[]byte
		flag, from string
	}{{&tpm.OwnerAuth, "-owner-auth", a.owner}, {&tpm.EndorsementAuth, "-endorsement-auth", a.endorsement}, {&tpm.StorageAuth, "-srk-auth", a.storage}} {
		value, err := command.Secret(auth.flag, auth.from)
		if err != nil {
			return err
		}
		if auth.from != "" {
			*auth.to = []byte(value)
		}
	}
	if a.key == 0 {
		return nil
	}
	tpm.StorageKey = uint32(a.key)
	if dev.TPMCloser == nil {
		return nil
	}
	flag := fmt.Sprintf("-srk %#x", a.key)
	rsp, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(a.key)}.Execute(dev)
	switch {
	case errors.Is(err, tpm2.TPMRCHandle) || errors.Is(err, tpm2.TPMRCValue):
		return command.Wrong(flag, errors.New("the TPM has no key at this handle: leave out -srk, or name one of the TPM's persistent handles (tpm2_getcap handles-persistent)"))
	case err == nil && !isStorage(rsp):
		usually := ""
		if a.key>>16 == 0x8101 {
			usually = " (an endorsement key is usually here)"
		}
		return command.Wrong(flag, errors.New("the key at this handle is no storage key"+usually+": name a storage root key, such as 0x81000001, or leave out -srk"))
	}
	return nil
}

// isStorage reports whether keys can be made under a key: it decrypts nothing else, is
// fixed to the TPM, and needs no policy, as endorsement keys do.
func isStorage(key *tpm2.ReadPublicResponse) bool {
	public, err := key.OutPublic.Contents()
	if err != nil {
		return false
	}
	is := public.ObjectAttributes
	return is.Restricted && is.Decrypt && is.FixedTPM && is.UserWithAuth
}
