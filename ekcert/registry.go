package ekcert

import (
	"encoding/binary"
	"errors"
)

// certificateProperty is CERT_CERT_PROP_ID, the record of a serialized
// certificate that holds its DER.
const certificateProperty = 32

// isRegistryBlob reports whether b begins like the Blob value under which
// Windows keeps a certificate in its registry: a property number below 2^16,
// and the encoding 1 (X.509).
func isRegistryBlob(b []byte) bool {
	return len(b) >= 12 && b[2] == 0 && b[3] == 0 && binary.LittleEndian.Uint32(b[4:]) == 1
}

// splitRegistry reads such a value: records of property number, encoding and
// length, 32 bits each with the lowest byte first, and as many bytes of data.
// There is no record at the end to say that it is the last.
func splitRegistry(b []byte) ([][]byte, error) {
	for len(b) >= 12 {
		property, size := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[8:])
		if b = b[12:]; uint64(size) > uint64(len(b)) {
			return nil, errors.New("registry value is cut short")
		}
		if property == certificateProperty {
			return splitDER(b[:size])
		}
		b = b[size:]
	}
	return nil, errors.New("registry value has no certificate in it")
}
