package attest

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/google/go-tpm/tpmutil/tbs"
)

var getOwnerAuth = syscall.NewLazyDLL("Tbs.dll").NewProc("Tbsi_Get_OwnerAuth")

// Kinds of values of a TPM 2.0 (tbs.h).
const (
	ownerAuthEndorsement = 12 // TBS_OWNERAUTH_TYPE_ENDORSEMENT_20
	ownerAuthStorage     = 13 // TBS_OWNERAUTH_TYPE_STORAGE_20
)

func systemAuth() (owner, endorsement []byte, err error) {
	c, err := tbs.CreateContext(tbs.TPMVersion20, tbs.IncludeTPM20)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	if owner, err = ownerAuth(c, ownerAuthStorage); err != nil {
		return nil, nil, err
	}
	endorsement, err = ownerAuth(c, ownerAuthEndorsement)
	return owner, endorsement, err
}

// ownerAuth returns a value that TBS keeps, or nil if it does not.
func ownerAuth(c tbs.Context, kind uint32) ([]byte, error) {
	if err := getOwnerAuth.Find(); err != nil {
		return nil, err
	}
	var value [256]byte
	size := uint32(len(value))
	r, _, _ := getOwnerAuth.Call(uintptr(c), uintptr(kind), uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&size)))
	switch code := tbs.Error(r); {
	case code == tbs.ErrOwnerauthNotFound:
		return nil, nil
	case code != 0:
		return nil, code
	case size > uint32(len(value)):
		return nil, fmt.Errorf("value of %d bytes", size)
	}
	return value[:size:size], nil
}
