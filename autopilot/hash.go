package autopilot

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// The layout of a hash: a header, records, a trailer, zeros.
const (
	magic       = "OA"
	headerSize  = 4 // magic, length of header and records
	recordSize  = 4 // type, length of the record with these bytes
	sumMagic    = "CS"
	trailerSize = 4 + sha256.Size

	// fullSize is the length to which Windows pads a hash, in bytes. In base64
	// it is 4000 characters.
	fullSize  = 3000
	fullChars = fullSize / 3 * 4
)

// maxText limits the text of a hash, in bytes. A hash with the longest
// records that its header can count has about 88,000.
const maxText = 128 << 10

// A Hash is what Windows calls a hardware hash: an inventory of a device, by
// which Windows Autopilot knows it. It is no hash. Its layout is not documented;
// this package follows public decoders and public samples. A Hash comes from
// [ParseHash] and does not change; several goroutines may use it at the same time.
type Hash struct {
	records []Record
	trailer []byte // everything behind the records: checksum and padding

	chars    int  // length of the text, without white space
	unpadded bool // the text lacked the "=" that base64 wants
}

// A Record is one entry of a hash.
type Record struct {
	Type uint16 // see [Record.Name]
	Data []byte // without the record's own header
}

// ParseHash reads a hash in base64 (RFC 4648, section 4). White space is
// ignored, and so are a byte order mark and missing padding. Records of unknown
// types are kept. ParseHash does not look at the checksum; see [Hash.Verify].
//
// The error is an [*Error]. It wraps [ErrMalformed] if the text is not base64 or
// longer than 128 KiB, or if the bytes do not have the layout of a hash.
func ParseHash(text string) (*Hash, error) {
	h, err := parseHash(text)
	if err != nil {
		return nil, &Error{Op: "ParseHash", Err: err}
	}
	return h, nil
}

// parseHash is ParseHash with errors that wrap ErrMalformed.
func parseHash(text string) (*Hash, error) {
	if len(text) > maxText {
		return nil, malformed("a hash of %d bytes is too long", len(text))
	}
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.Join(strings.Fields(text), "")
	h := &Hash{chars: len(text)}
	digits := strings.TrimRight(text, "=")
	if len(text)-len(digits) > 2 {
		return nil, malformed("the base64 ends in %d padding characters", len(text)-len(digits))
	}
	if len(digits)%4 == 1 && strings.HasSuffix(digits, "A") {
		digits = digits[:len(digits)-1] // six zero bits, from a text that was cut off in its padding
	}
	h.unpadded = len(text)%4 != 0
	raw, err := base64.RawStdEncoding.Strict().DecodeString(digits)
	if err != nil {
		return nil, malformed("%w", err)
	}
	if err := h.parse(raw); err != nil {
		return nil, err
	}
	return h, nil
}

// parse splits the bytes of a hash. The records share raw.
func (h *Hash) parse(raw []byte) error {
	if bytes.HasPrefix(raw, []byte("T0")) {
		return malformed("it was encoded in base64 twice")
	}
	if !bytes.HasPrefix(raw, []byte(magic)) || len(raw) < headerSize {
		return malformed("a hash starts with %q", magic)
	}
	total := int(binary.LittleEndian.Uint16(raw[2:]))
	if total < headerSize || total > len(raw) {
		return malformed("the header counts %d bytes, and there are %d", total, len(raw))
	}
	for at := headerSize; at < total; {
		if at+recordSize > total {
			return malformed("the record at offset %d is cut off", at)
		}
		kind, size := binary.LittleEndian.Uint16(raw[at:]), int(binary.LittleEndian.Uint16(raw[at+2:]))
		if size < recordSize || at+size > total {
			return malformed("the record at offset %d has length %d", at, size)
		}
		h.records = append(h.records, Record{Type: kind, Data: raw[at+recordSize : at+size : at+size]})
		at += size
	}
	h.trailer = raw[total:]
	return nil
}

// prefix returns what the checksum is computed of: header and records.
func (h *Hash) prefix() []byte {
	b := append(make([]byte, 0, fullSize), magic...)
	b = append(b, 0, 0)
	for _, r := range h.records {
		b = binary.LittleEndian.AppendUint16(b, r.Type)
		b = binary.LittleEndian.AppendUint16(b, uint16(recordSize+len(r.Data)))
		b = append(b, r.Data...)
	}
	binary.LittleEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// Bytes returns the hash as it was read: header, records, checksum and padding.
// The caller owns the slice.
func (h *Hash) Bytes() []byte { return append(h.prefix(), h.trailer...) }

// String returns the hash in padded base64, as Microsoft Graph wants it. It adds
// no zeros: a hash that was shorter than 3000 bytes stays so.
func (h *Hash) String() string { return base64.StdEncoding.EncodeToString(h.Bytes()) }

// MarshalText returns what [Hash.String] returns. The error is always nil.
func (h *Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads a hash as [ParseHash] does. The error is an [*Error] that
// wraps [ErrMalformed].
func (h *Hash) UnmarshalText(text []byte) error {
	read, err := ParseHash(string(text))
	if err != nil {
		return err
	}
	*h = *read
	return nil
}

// Records returns the records in their order. The caller owns the slice and what
// is in it.
func (h *Hash) Records() []Record {
	all := make([]Record, len(h.records))
	for i, r := range h.records {
		all[i] = Record{Type: r.Type, Data: slices.Clone(r.Data)}
	}
	return all
}

// Verify checks that the SHA-256 checksum behind the records is theirs. It detects
// damage, not tampering: anybody can compute the checksum. The error is an [*Error]. It wraps
// [ErrChecksum] if the checksum is missing or wrong.
func (h *Hash) Verify() error {
	if len(h.trailer) < trailerSize || !bytes.HasPrefix(h.trailer, []byte{'C', 'S', trailerSize, 0}) {
		return &Error{Op: "Verify", Err: fmt.Errorf("%w: it is missing", ErrChecksum)}
	}
	if sum := sha256.Sum256(h.prefix()); !bytes.Equal(sum[:], h.trailer[4:trailerSize]) {
		return &Error{Op: "Verify", Err: fmt.Errorf("%w: it belongs to other records", ErrChecksum)}
	}
	return nil
}

// find returns the data of the first record of a type, or nil.
func (h *Hash) find(kind uint16) []byte {
	for _, r := range h.records {
		if r.Type == kind {
			return r.Data
		}
	}
	return nil
}

// Mock reports whether package autopilottest made the hash. Such a hash has a
// record of type 255 that says so, and package graph does not send it to a real
// service.
func (h *Hash) Mock() bool {
	return slices.ContainsFunc(h.records, func(r Record) bool { return r.Type == recordMock && bytes.HasPrefix(r.Data, []byte(mockMark)) })
}
