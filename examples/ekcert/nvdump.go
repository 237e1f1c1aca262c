package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
)

// maxNV is the size in bytes that no index may exceed. It is more than a TPM
// has.
const maxNV = 64 << 10

// An nvDump is NV memory in files: their names, by index.
type nvDump map[uint32]string

// readDump finds the files of a folder whose names begin with an index, such as
// 0x01c00002.bin. The command "tpm2_nvread -o" writes such files.
func readDump(dir string) (nvDump, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, command.Wrong("-nv", fmt.Errorf("%q is a file, not a folder: name a folder", dir))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, command.Wrong("-nv", err)
	}
	dump := make(nvDump)
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		if index, err := strconv.ParseUint(strings.ToLower(name), 0, 32); err == nil && !e.IsDir() {
			dump[uint32(index)] = filepath.Join(dir, e.Name())
		}
	}
	if len(dump) == 0 {
		return nil, command.Wrong("-nv "+dir, errors.New("no file is named after an NV index, such as 0x01c00002.bin"))
	}
	return dump, nil
}

// ReadNV implements [ekcert.NVReader]. The error wraps [fs.ErrNotExist] if there
// is no file for the index.
func (d nvDump) ReadNV(_ context.Context, index uint32) ([]byte, error) {
	name, ok := d[index]
	if !ok {
		return nil, fs.ErrNotExist
	}
	text, err := command.ReadSmall(name)
	if err == nil && len(text) > maxNV {
		err = fmt.Errorf("%s: too large", name)
	}
	return text, err
}

// judgeDump judges the certificates in a dump. There is no TPM to ask for its
// keys, so the certificates at the indices that hold some say what the keys are.
func judgeDump(ctx context.Context, c *ekcert.Client, dir string) ([]*result, error) {
	dump, err := readDump(dir)
	if err != nil {
		return nil, err
	}
	var results []*result
	for index := uint32(0x01C00002); index < 0x01C00020; index++ {
		key, err := dump.key(ctx, index)
		if errors.Is(err, fs.ErrNotExist) || err == nil && key == nil {
			continue
		}
		var cert *ekcert.Certificate
		if err == nil {
			cert, err = c.Find(ctx, dump, "", key)
		}
		if err != nil {
			results = append(results, &result{Origin: dump[index], Key: device.KeyName(key), Verdict: bad, Error: command.Explain(err)})
			continue
		}
		results = append(results, judge(ctx, c, cert, key, ""))
	}
	return results, nil
}

// certificates are the indices of certificates in the low range. In the high
// range, from 0x01C00012, they are at the even indices. The others hold nonces
// and templates (TCG EK Credential
// Profile 2.4, sections 2.2.1.4 and 2.2.1.5).
var certificates = map[uint32]bool{0x01C00002: true, 0x01C0000A: true}

// key returns the public key of the certificate at an index, or nil if the index
// is not one of a certificate.
func (d nvDump) key(ctx context.Context, index uint32) (crypto.PublicKey, error) {
	if !certificates[index] && (index < 0x01C00012 || index%2 != 0) {
		return nil, nil
	}
	b, err := d.ReadNV(ctx, index)
	if err != nil {
		return nil, err
	}
	cert, err := ekcert.Parse(b)
	if err != nil {
		return nil, err
	}
	if cert.PublicKey == nil {
		return nil, errors.New("its public key is of a kind that is not supported")
	}
	return cert.PublicKey, nil
}
