package cms_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// indefinite rewrites DER with indefinite lengths, long lengths and OCTET STRINGs
// in segments, as some BER encoders do.
func indefinite(der []byte) []byte {
	var out []byte
	for len(der) > 0 {
		tag, head, length := der[0], 2, int(der[1])
		if length > 0x80 {
			n := length & 0x7F
			length = 0
			for _, b := range der[2 : 2+n] {
				length = length<<8 | int(b)
			}
			head += n
		}
		body := der[head : head+length]
		der = der[head+length:]
		switch {
		case tag == 0x80 && length >= 16: // encrypted content
			out = append(out, 0xA0, 0x80)
			out = append(out, segments(body)...)
			out = append(out, 0, 0)
		case tag == 0x04 && length >= 100:
			out = append(out, 0x24, 0x80)
			out = append(out, segments(body)...)
			out = append(out, 0, 0)
		case tag&0x20 != 0:
			inner := body
			// Certificates stay as they are, or their signatures would not hold.
			if !(tag == 0xA0 && len(body) > 4 && body[0] == 0x30 && len(body) > 400) {
				inner = indefinite(body)
			}
			out = append(out, tag, 0x80)
			out = append(out, inner...)
			out = append(out, 0, 0)
		default:
			out = append(out, tag, 0x83, byte(length>>16), byte(length>>8), byte(length))
			out = append(out, body...)
		}
	}
	return out
}

// segments cuts b into OCTET STRINGs, one of which is itself constructed.
func segments(b []byte) []byte {
	half := min(len(b)/2, 127)
	out := append([]byte{0x24, 0x80, 4, 0, 4, byte(half)}, b[:half]...)
	out = append(out, 0, 0)
	for b = b[half:]; len(b) > 0; b = b[min(len(b), 100):] {
		n := min(len(b), 100)
		out = append(out, 4, byte(n))
		out = append(out, b[:n]...)
	}
	return out
}

func TestDER(t *testing.T) {
	for in, want := range map[string]string{
		"0500":                                   "0500",
		"058100":                                 "0500",
		"0588000000000000000" + "0":              "0500",
		"3003020101":                             "3003020101",
		"30800201010000":                         "3003020101",
		"3080308000000000":                       "30023000",
		"24800401aa0402bbcc0000":                 "0403aabbcc",
		"240304" + "01aa":                        "0401aa",
		"2480248004" + "01aa0000040" + "1bb0000": "0402aabb",
		"a0800401aa0401bb0000":                   "a0060401aa0401bb",
		"3f818001" + "0500":                      "",
		"bf8101020500":                           "bf8101020500",
		"bf810180050" + "00000":                  "bf8101020500",
		// Errors.
		"":                       "",
		"30":                     "",
		"3080":                   "",
		"30800000ff":             "",
		"3003020101ff":           "",
		"30040201":               "",
		"0000":                   "",
		"30020000":               "",
		"0480":                   "",
		"04800000":               "",
		"2480020101" + "0000":    "",
		"2380030100" + "0000":    "",
		"3089000000000000000000": "",
		"3084ffffffff":           "",
		"30850100000000":         "",
		"1f8080808080" + "0500":  "",
		"1f":                     "",
	} {
		ber, err := hex.DecodeString(in)
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		got, err := cms.DER(ber)
		switch {
		case want == "" && !errors.Is(err, cms.ErrMalformed):
			t.Errorf("%s: got %x, %v", in, got, err)
		case want != "" && (err != nil || hex.EncodeToString(got) != want):
			t.Errorf("%s: got %x, %v, want %s", in, got, err, want)
		}
	}
}

func TestDERLimits(t *testing.T) {
	nest := func(n int) []byte {
		return append(bytes.Repeat([]byte{0x30, 0x80}, n), bytes.Repeat([]byte{0, 0}, n)...)
	}
	if _, err := cms.DER(nest(cms.MaxDepth)); err != nil {
		t.Errorf("%d levels: %v", cms.MaxDepth, err)
	}
	if _, err := cms.DER(nest(cms.MaxDepth + 1)); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("%d levels: %v", cms.MaxDepth+1, err)
	}
	octets := func(n int) []byte {
		return append(bytes.Repeat([]byte{0x24, 0x80}, n), bytes.Repeat([]byte{0, 0}, n)...)
	}
	for n, want := range map[int]bool{cms.MaxDepth - 1: true, cms.MaxDepth: false, 100: false} {
		if _, err := cms.DER(octets(n)); (err == nil) != want || err != nil && !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%d levels of OCTET STRING: %v", n, err)
		}
	}
	if _, err := cms.DER(make([]byte, cms.MaxSize+1)); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("over the size: %v", err)
	}
}

// TestDERIsLinear uses inputs on which other implementations take seconds or
// minutes or exhaust the stack. It counts the headers that are read: at most two
// for every two bytes of input, and none if the input is over the limit.
func TestDERIsLinear(t *testing.T) {
	nest := func(tag byte, n int) []byte {
		return append(bytes.Repeat([]byte{tag, 0x80}, n), bytes.Repeat([]byte{0, 0}, n)...)
	}
	wide := func(in []byte, size int) []byte {
		return append(append([]byte{0x30, 0x80}, bytes.Repeat(in, size/len(in))...), 0, 0)
	}
	const most = cms.MaxSize - 8
	for name, tt := range map[string]struct {
		in    []byte
		good  bool
		limit int
	}{
		"6 MB, unterminated":         {bytes.Repeat([]byte{0x30, 0x80}, 3<<20), false, 0},
		"6 MB, terminated":           {nest(0x30, 3<<19), false, 0},
		"320 KB, unterminated":       {bytes.Repeat([]byte{0x30, 0x80}, 160<<10), false, 2 * cms.MaxDepth},
		"320 KB, terminated":         {nest(0x30, 80<<10), false, 2 * cms.MaxDepth},
		"320 KB of strings":          {nest(0x24, 80<<10), false, 2 * cms.MaxDepth},
		"320 KB of tags":             {nest(0xA0, 80<<10), false, 2 * cms.MaxDepth},
		"wide, at the depth":         {wide(nest(0x30, cms.MaxDepth-1), most), true, cms.MaxSize},
		"wide, strings":              {wide(nest(0x24, cms.MaxDepth-2), most), true, cms.MaxSize},
		"wide, one level too deep":   {wide(nest(0x30, cms.MaxDepth), most), false, 2 * cms.MaxDepth},
		"many empty segments":        {append(append([]byte{0x24, 0x80}, bytes.Repeat([]byte{4, 0}, most/2)...), 0, 0), true, cms.MaxSize},
		"many NULLs":                 {wide([]byte{5, 0}, most), true, cms.MaxSize},
		"many, and then a bad one":   {append(wide([]byte{5, 0}, most-8)[:most-8], 5, 9), false, cms.MaxSize},
		"many, and then a tail":      {append(wide([]byte{5, 0}, most-8), 1), false, cms.MaxSize},
		"lengths of eight, all zero": {wide([]byte{5, 0x88, 0, 0, 0, 0, 0, 0, 0, 0}, most), true, cms.MaxSize / 5},
	} {
		_, headers, err := cms.Rewrite(tt.in)
		if (err == nil) != tt.good || headers > tt.limit || headers == 0 && tt.limit > 0 {
			t.Errorf("%s: %d headers of %d bytes, %v", name, headers, len(tt.in), err)
		}
	}
}

func TestDERKeepsDER(t *testing.T) {
	who := rsaIdentity(t)
	der, err := cms.Encrypt([]byte(strings.Repeat("x", 300)), who.cert, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	got, err := cms.DER(der)
	if err != nil || &got[0] != &der[0] {
		t.Errorf("DER was copied: %v", err)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = cms.DER(der) }); n > 20 {
		t.Errorf("%v allocations", n)
	}
}
