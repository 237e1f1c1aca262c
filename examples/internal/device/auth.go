package device

import (
	"flag"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// An Auth has the flags for the authorization values of a TPM.
type Auth struct {
	owner, endorsement, storage string
	key                         uint
}

// Flags defines the flags.
func (a *Auth) Flags(f *flag.FlagSet) {
	const from = ", or @FILE to read it from a file (@/dev/fd/N: from a descriptor)"
	f.StringVar(&a.owner, "owner-auth", "", "the authorization `VALUE` of the TPM's owner hierarchy"+from)
	f.StringVar(&a.endorsement, "endorsement-auth", "", "the `VALUE` of the endorsement hierarchy"+from)
	f.StringVar(&a.storage, "srk-auth", "", "the `VALUE` of the storage root key"+from)
	f.UintVar(&a.key, "srk", 0, "make keys under the storage key at this persistent `HANDLE`, such as 0x81000001 (default: the TPM's own choice)")
}

// Set sets the values in tpm. The error is that of reading a file.
func (a *Auth) Set(tpm *attest.TPM) error {
	for to, flag := range map[*[]byte]string{&tpm.OwnerAuth: a.owner, &tpm.EndorsementAuth: a.endorsement, &tpm.StorageAuth: a.storage} {
		value, err := command.Secret(flag)
		if err != nil {
			return err
		}
		*to = []byte(value)
	}
	tpm.StorageKey = uint32(a.key)
	return nil
}
