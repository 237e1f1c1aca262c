package evidence

import (
	"slices"
	"strconv"
	"strings"
)

// maxCodes is how many codes of one fact are kept.
const maxCodes = 16

// textCodes appends the HRESULTs in a text that are written as "0x80180014" or as the
// negative number "-2145910764".
func textCodes(codes []uint32, text string) []uint32 {
	for i := 0; i < len(text) && len(codes) < maxCodes; i++ {
		switch text[i] {
		case 'x', 'X':
			if i == 0 || text[i-1] != '0' {
				continue
			}
			n := digits(text[i+1:], true)
			if v, err := strconv.ParseUint(text[i+1:i+1+n], 16, 64); err == nil {
				codes = addCode(codes, v)
			}
			i += n
		case '-':
			if n := digits(text[i+1:], false); n == 10 {
				if v, err := strconv.ParseInt(text[i:i+1+n], 10, 64); err == nil && v >= -1<<31 {
					codes = addCode(codes, uint64(uint32(v)))
				}
				i += n
			}
		}
	}
	return codes
}

// valueCodes appends the code that a value of an event is: it may also be a decimal
// number without a sign.
func valueCodes(codes []uint32, value string) []uint32 {
	if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil {
		return addCode(codes, n)
	}
	return textCodes(codes, clip(value, maxSearch))
}

// addCode appends v if it can be an HRESULT of a failure: with the upper bit set, or
// with that sign extended to 64 bits.
func addCode(codes []uint32, v uint64) []uint32 {
	if v>>32 == 0xFFFFFFFF {
		v &= 0xFFFFFFFF
	}
	if v < 0x80000000 || v > 0xFFFFFFFF || slices.Contains(codes, uint32(v)) {
		return codes
	}
	return append(codes, uint32(v))
}

// digits returns how many digits text starts with, at most 16.
func digits(text string, hex bool) int {
	n := 0
	for n < len(text) && n < 16 {
		c := text[n] | 0x20
		if !(text[n] >= '0' && text[n] <= '9' || hex && c >= 'a' && c <= 'f') {
			break
		}
		n++
	}
	return n
}
