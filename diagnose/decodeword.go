package diagnose

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// Families of the table whose codes are not HRESULTs.
const (
	familyAADSTS = "AADSTS"
	familyHTTP   = "HTTP" // its rows are found by status
	familySCEP   = "SCEP"
	familyScreen = "SCREEN"
	familyZTD    = "ZTD"
)

// eventFamilies are the families of events, with those of Autopilot first.
var eventFamilies = []string{"MD", "UDR", "DM", "SC", "TW", "AAD", "CERTENROLL"}

// readWord returns the readings of one word. In a line of several words it does
// not read what may be a plain word or number.
func readWord(word string, inLine bool) []Meaning {
	if found := readSymbol(word, inLine); found != nil {
		return found
	}
	number, isSTS := cutPrefixFold(word, familyAADSTS)
	if isSTS {
		if n, err := strconv.ParseUint(number, 10, 32); err == nil {
			if r := hresult.Numbered(familyAADSTS, uint32(n)); r != nil {
				return []Meaning{rowMeaning(r, uint32(n))}
			}
		}
		return nil
	}
	return readNumber(word, inLine)
}

// readSymbol returns the readings of a symbol.
func readSymbol(word string, inLine bool) []Meaning {
	rows := hresult.Named(word)
	if name, ok := cutPrefixFold(word, "TPM_RC_"); ok && rows == nil {
		rows = hresult.Named("TPM_20_E_" + name)
	}
	var found []Meaning
	for _, r := range rows {
		if inLine && r.Family.Name == familyScreen {
			continue // names such as "Unknown" are plain words, too
		}
		m := rowMeaning(r, r.Low)
		for _, s := range r.Symbols { // show the name that the text has
			if strings.EqualFold(s, word) {
				m.Symbol = s
			}
		}
		found = append(found, m)
	}
	return found
}

// cutPrefixFold is strings.CutPrefix without regard to case.
func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// hexDigits is the number of hexadecimal digits of an HRESULT.
const hexDigits = 8

// readNumber returns the readings of a number in hexadecimal, with or without 0x, or
// in decimal, with or without a sign.
func readNumber(word string, inLine bool) []Meaning {
	word = strings.TrimRight(word, "LlUu") // suffixes of C
	if digits, ok := cutPrefixFold(word, "0x"); ok {
		digits, _ = cutPrefixFold(digits, "0x") // "0x0x81039001" is what one screen shows
		return readHex(digits)
	}
	if strings.HasPrefix(word, "-") {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n < math.MinInt32 {
			return nil
		}
		return readHRESULT(uint32(n)) // its two's complement
	}
	var found []Meaning
	if len(word) == hexDigits || !inLine && !isDecimal(word) {
		if n, err := strconv.ParseUint(word, 16, 32); err == nil && (n > math.MaxInt32 || !isDecimal(word)) {
			found = readHex(word)
		}
	}
	n, err := strconv.ParseUint(word, 10, 32)
	switch {
	case err != nil:
	case n > math.MaxInt32:
		found = addMeanings(found, readHRESULT(uint32(n))...)
	case !inLine:
		found = addMeanings(found, readDecimal(uint32(n))...)
	}
	return found
}

// isDecimal reports whether s has only decimal digits.
func isDecimal(s string) bool { return strings.Trim(s, "0123456789") == "" }

// readHex returns the readings of hexadecimal digits. They may be a 32-bit code
// whose sign was extended to 64 bits.
func readHex(digits string) []Meaning {
	n, err := strconv.ParseUint(digits, 16, 64)
	if err == nil && n>>32 == math.MaxUint32 {
		n &= math.MaxUint32
	}
	switch {
	case err != nil || n > math.MaxUint32:
		return nil
	case n == 0 || n > math.MaxInt32:
		return readHRESULT(uint32(n))
	}
	var found []Meaning
	if m := readTPM(uint32(n)); m != nil {
		found = append(found, *m)
	}
	return append(found, readWin32(uint32(n))...)
}

// readDecimal returns the readings of a small number, in this order: a code of the
// Autopilot service or of the token service, an HTTP status, a SCEP failInfo, a
// Win32 error, an event.
func readDecimal(n uint32) []Meaning {
	var found []Meaning
	if n == 0 {
		found = readHRESULT(0)
	}
	found = append(found, numbered(n, familyZTD, familyAADSTS)...)
	if n >= http.StatusMultipleChoices && http.StatusText(int(n)) != "" {
		found = append(found, *httpMeaning(int(n)))
	}
	found = append(found, numbered(n, familySCEP)...)
	found = append(found, readWin32(n)...)
	return append(found, numbered(n, eventFamilies...)...)
}

// numbered returns the readings of a number in families.
func numbered(n uint32, families ...string) []Meaning {
	var found []Meaning
	for _, f := range families {
		if r := hresult.Numbered(f, n); r != nil {
			found = append(found, rowMeaning(r, n))
		}
	}
	return found
}

// readWin32 returns the reading of a Win32 error, or nil if the table does not have
// it.
func readWin32(n uint32) []Meaning {
	code := hresult.FacilityWin32<<16 | n
	if n == 0 || n > math.MaxUint16 || len(hresult.Find(code)) == 0 {
		return nil
	}
	return readHRESULT(code)
}
