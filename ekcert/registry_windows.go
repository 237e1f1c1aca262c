package ekcert

import (
	"context"
	"errors"
	"syscall"
)

// stores are the registry keys, under HKEY_LOCAL_MACHINE, in which the TPM maintenance
// task of Windows keeps the certificates that it downloads for endorsement keys. Each
// certificate has a subkey, named by its SHA-1, with a value Blob.
var stores = []string{
	`SYSTEM\CurrentControlSet\Services\TPM\WMI\Endorsement\EKCertStore\Certificates`,
	`SYSTEM\CurrentControlSet\Services\TPM\WMI\Endorsement\EKCertStoreECC\Certificates`,
}

// errNoMoreItems is ERROR_NO_MORE_ITEMS.
const errNoMoreItems = syscall.Errno(259)

// systemStore returns the certificates in the registry. It may return some with an
// error.
func systemStore(ctx context.Context) ([][]byte, error) {
	var blobs [][]byte
	var errs []error
	for _, path := range stores {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := readStore(path)
		blobs = append(blobs, found...)
		if err != nil && !errors.Is(err, syscall.ERROR_FILE_NOT_FOUND) {
			errs = append(errs, err)
		}
	}
	return blobs, errors.Join(errs...)
}

// readStore returns the certificates under one registry key.
func readStore(path string) ([][]byte, error) {
	store, err := openKey(syscall.HKEY_LOCAL_MACHINE, path)
	if err != nil {
		return nil, err
	}
	defer syscall.RegCloseKey(store)
	var blobs [][]byte
	for i := range uint32(maxCertificates) {
		var name [256]uint16 // the name of a key has at most 255 characters
		size := uint32(len(name))
		err := syscall.RegEnumKeyEx(store, i, &name[0], &size, nil, nil, nil, nil)
		if errors.Is(err, errNoMoreItems) {
			break
		}
		if err != nil {
			return blobs, err
		}
		blob, err := readBlob(store, syscall.UTF16ToString(name[:size]))
		if errors.Is(err, syscall.ERROR_FILE_NOT_FOUND) {
			continue // no certificate
		}
		if err != nil {
			return blobs, err
		}
		blobs = append(blobs, blob)
	}
	return blobs, nil
}

func openKey(parent syscall.Handle, path string) (syscall.Handle, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	var key syscall.Handle
	err = syscall.RegOpenKeyEx(parent, name, 0, syscall.KEY_READ, &key)
	return key, err
}

// readBlob returns the value Blob of a subkey.
func readBlob(store syscall.Handle, name string) ([]byte, error) {
	key, err := openKey(store, name)
	if err != nil {
		return nil, err
	}
	defer syscall.RegCloseKey(key)
	value, err := syscall.UTF16PtrFromString("Blob")
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, maxSize)
	size := uint32(len(buffer))
	err = syscall.RegQueryValueEx(key, value, nil, nil, &buffer[0], &size)
	if err != nil {
		return nil, err
	}
	return buffer[:size], nil
}
