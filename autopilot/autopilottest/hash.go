package autopilottest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/whiteglove/whiteglove/autopilot"
)

// mark is in each hash that this package makes.
const mark = "MOCK: this hash belongs to no device"

// recordMock is the type of the record with the mark.
const recordMock = 255

// fullSize is the length of a padded hash, in bytes.
const fullSize = 3000

// A Device is a made-up device. The zero value is one without a TPM; empty
// fields have values that say that they are mock ones.
type Device struct {
	Serial       string // if empty, "MOCK-0001"
	Manufacturer string // if empty, "Mock Manufacturer"
	Product      string // if empty, "Mock Book 14"
	ProductKeyID string // 13 digits; if empty, there is none

	// UUID is the SMBIOS UUID in text form. If empty, one is computed from
	// manufacturer, product and serial number.
	UUID string

	// EK is the RSA endorsement key of the device's TPM. If nil or of another
	// kind, the hash knows no TPM.
	EK crypto.PublicKey

	// TPM is what the hash says of the TPM if there is an EK. If empty, it is
	// that of an emulated TPM 2.0.
	TPM string

	OS    autopilot.Version // if zero, 10.0.26100.1742
	Taken time.Time         // if zero, noon of January 2, 2026, UTC

	// Omit lists types of records that are left out, and Extra are records that
	// are added at the end.
	Omit  []uint16
	Extra []autopilot.Record
}

// Hash returns the device's hardware hash, which is marked as a mock.
func (d Device) Hash() *autopilot.Hash {
	h, err := autopilot.ParseHash(d.Text())
	if err != nil {
		panic("autopilottest: " + err.Error()) // records of a Device are never that long
	}
	return h
}

// Text returns the device's hardware hash in base64, which is marked as a mock.
// It has 4000 characters.
func (d Device) Text() string {
	records := slices.DeleteFunc(d.records(), func(r autopilot.Record) bool { return slices.Contains(d.Omit, r.Type) })
	return Encode(append(records, d.Extra...))
}

// Encode returns a hash with these records in base64. A record that marks it as a
// mock is added at the end, then the checksum, then zeros up to 3000 bytes.
// Together the records may have 65,000 bytes; those that are beyond are left out.
func Encode(records []autopilot.Record) string {
	b := []byte("OA\x00\x00")
	add := func(r autopilot.Record) {
		b = binary.LittleEndian.AppendUint16(b, r.Type)
		b = binary.LittleEndian.AppendUint16(b, uint16(4+len(r.Data)))
		b = append(b, r.Data...)
	}
	for _, r := range records {
		if len(b)+len(r.Data) <= 65000 {
			add(r)
		}
	}
	add(autopilot.Record{Type: recordMock, Data: []byte(mark)}) // there is room up to 65,535 bytes
	binary.LittleEndian.PutUint16(b[2:], uint16(len(b)))
	sum := sha256.Sum256(b)
	b = append(b, "CS\x24\x00"...)
	b = append(b, sum[:]...)
	if len(b) < fullSize {
		b = append(b, make([]byte, fullSize-len(b))...)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// uuid returns the device's UUID in text form.
func (d Device) uuid() string {
	if d.UUID != "" {
		return strings.ToLower(d.UUID)
	}
	sum := sha256.Sum256([]byte("mock\x00" + d.Manufacturer + "\x00" + d.Product + "\x00" + d.Serial))
	sum[6], sum[8] = sum[6]&0x0F|0x50, sum[8]&0x3F|0x80
	s := hex.EncodeToString(sum[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// records returns the records of the device, in the order in which Windows writes
// them.
func (d Device) records() []autopilot.Record {
	os := d.OS
	if os == (autopilot.Version{}) {
		os = autopilot.Version{Major: 10, Build: 26100, Revision: 1742}
	}
	taken := d.Taken
	if taken.IsZero() {
		taken = time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)
	}
	list := []autopilot.Record{
		{Type: 1, Data: slices.Concat(version(os), version(os), u32(uint32(taken.Unix()-946684800)), []byte{0, 2, 9, 9})},
		{Type: 2, Data: u16(9, 1, 4, 8, 1, 0)},
		{Type: 5, Data: slices.Concat(u64(16), u64(64), u16(2, 1), []byte{3})},
		{Type: 3, Data: text("MockProcessor")},
		{Type: 4, Data: append(text("Mock CPU @ 1.00GHz"), make([]byte, 5)...)},
		{Type: 6, Data: slices.Concat(u32(256, 0), []byte{17, 0, 0, 1})},
		{Type: 7, Data: []byte("MOCKDISK01|Mock SSD|")},
		{Type: 8, Data: network(9, 1, "PCI")},
		{Type: 8, Data: network(10, 2, "BTH")},
		{Type: 8, Data: network(14, 3, "PCI")},
		{Type: 9, Data: slices.Concat(u16(309, 174, 1920, 1080), u32(0x80000000))},
		{Type: 29, Data: u32(128, 0)},
		{Type: 30, Data: wide("Mock Graphics")},
		{Type: 27, Data: []byte{0x22, 0, 0x13, 0}},
		{Type: 10, Data: []byte{10, 2, 0, 0, 0}},
	}
	if ek, ok := d.EK.(*rsa.PublicKey); ok && ek != nil && ek.N != nil {
		modulus := ek.N.Bytes()
		sum := sha256.Sum256(modulus)
		list = append(
			list,
			autopilot.Record{Type: 13, Data: text(or(d.TPM, "TPM-Version:2.0 -Level:0-Revision:1.59-VendorID:'SIM0'-Firmware:65536.0"))},
			autopilot.Record{Type: 25, Data: modulus},
			autopilot.Record{Type: 11, Data: slices.Concat(u32(0), u16(1, sha256.Size, 0), sum[:])},
		)
	}
	list = append(
		list,
		autopilot.Record{Type: 12, Data: guid(d.uuid())},
		autopilot.Record{Type: 14, Data: text(or(d.Serial, "MOCK-0001"))},
		autopilot.Record{Type: 15, Data: text("Mock Firmware")},
		autopilot.Record{Type: 16, Data: text(or(d.Manufacturer, "Mock Manufacturer"))},
		autopilot.Record{Type: 17, Data: text(or(d.Product, "Mock Book 14"))},
		autopilot.Record{Type: 18, Data: text("MOCKSKU")},
		autopilot.Record{Type: 19, Data: text("Mock Family")},
		autopilot.Record{Type: 23, Data: text("1.0")},
		autopilot.Record{Type: 20, Data: text("1.2.3")},
		autopilot.Record{Type: 21, Data: text("MOCKBOARD")},
		autopilot.Record{Type: 22, Data: text("A00")},
	)
	if d.ProductKeyID != "" {
		list = append(list, autopilot.Record{Type: 24, Data: text(d.ProductKeyID)}, autopilot.Record{Type: 26, Data: text("[TH]X00-00000")})
	}
	return append(list, autopilot.Record{Type: 28, Data: text("MOCKDISK01|Mock SSD|")})
}

// text is UTF-8 with a zero at its end.
func text(s string) []byte { return append([]byte(s), 0) }

// wide is UTF-16 with a zero at its end.
func wide(s string) []byte { return u16(append(utf16.Encode([]rune(s)), 0)...) }

func u16(n ...uint16) []byte {
	var b []byte
	for _, n := range n {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	return b
}

func u32(n ...uint32) []byte {
	var b []byte
	for _, n := range n {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func u64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

func version(v autopilot.Version) []byte { return u16(v.Minor, v.Major, v.Revision, v.Build) }

// network is an adapter with a MAC address of documentation (RFC 7042, section 2.1.2).
func network(medium uint32, n byte, bus string) []byte {
	b := wide(bus)
	return slices.Concat(u32(medium), []byte{0, 0, 0x5E, 0, 0x53, n}, u32(uint32(len(b))), b)
}

// guid returns the 16 bytes of a UUID, the first three numbers little-endian.
// Digits that are missing are zeros.
func guid(s string) []byte {
	b := make([]byte, 16)
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err == nil {
		copy(b, raw)
	}
	slices.Reverse(b[:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return b
}
