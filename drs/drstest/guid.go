package drstest

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// newGUID returns a random GUID in lower case.
func newGUID() string {
	var b [16]byte
	// crypto/rand.Read does not fail: it ends the program first.
	_, _ = rand.Read(b[:])
	b[6] = b[6]&0x0F | 0x40
	b[8] = b[8]&0x3F | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// guidBytes returns the 16 bytes of a GUID as in Windows: the first three fields are in
// little-endian.
func guidBytes(s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 || len(s) != 36 {
		return nil, fmt.Errorf("%q is not a GUID", s)
	}
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5] = b[5], b[4]
	b[6], b[7] = b[7], b[6]
	return b, nil
}

// sid returns the security identifier of an object of the directory, which is made of its
// GUID.
func sid(guid string) (string, error) {
	b, err := guidBytes(guid)
	if err != nil {
		return "", err
	}
	u := binary.LittleEndian.Uint32
	return fmt.Sprintf("S-1-12-1-%d-%d-%d-%d", u(b), u(b[4:]), u(b[8:]), u(b[12:])), nil
}
