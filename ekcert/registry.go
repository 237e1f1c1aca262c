package ekcert

import (
	"encoding/binary"
	"errors"
)

// certificateProperty is CERT_CERT_PROP_ID: the record of a serialized certificate that
// has its DER.
const certificateProperty = 32

// isRegistryBlob reports whether b begins like the value Blob in which Windows keeps a
// certificate in its registry: with a property number below 2^16 and the encoding 1
// (X.509).
func isRegistryBlob(b []byte) bool {
	return len(b) >= 12 && b[2] == 0 && b[3] == 0 && binary.LittleEndian.Uint32(b[4:]) == 1
}

// splitRegistry reads such a value. It is a sequence of records, each with property
// number, encoding and length, little-endian in 32 bits, and then the data. No record
// marks the end.
func splitRegistry(b []byte) ([][]byte, int, error) {
	for len(b) >= 12 {
		property, size := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[8:])
		if b = b[12:]; uint64(size) > uint64(len(b)) {
			return nil, 0, errors.New("registry value is truncated")
		}
		if property == certificateProperty {
			return splitDER(b[:size])
		}
		b = b[size:]
	}
	return nil, 0, errors.New("registry value has no certificate")
}
