package plain

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// tpmWords has, for the ends of texts about a TPM that speak of its protection against a
// dictionary attack ("DA"), what they mean.
var tpmWords = map[string]string{
	"authorization failure without DA implications":                                                                          "the authorization value is wrong",
	"the authorization HMAC check failed and DA counter incremented":                                                         "the authorization value is wrong, and the TPM counts such failures",
	"authorizations for objects subject to DA protection are not allowed at this time because the TPM is in DA lockout mode": "the TPM takes no authorization value for now, after too many wrong ones",
}

// dataWords returns what an error of a package that reads data says, and whether err
// is one.
func dataWords(err error) (string, bool) {
	switch e := err.(type) {
	case *json.SyntaxError:
		switch ends := strings.Contains(e.Error(), "unexpected end"); {
		case ends && e.Offset == 0:
			return "it is empty", true
		case ends:
			return "the JSON ends in the middle", true
		}
		return fmt.Sprintf("it is not JSON (at byte %d)", e.Offset), true
	case *json.UnmarshalTypeError:
		if e.Field == "" {
			return "the JSON " + JSONKind(e), true
		}
		return fmt.Sprintf("%q in the JSON %s", e.Field, JSONKind(e)), true
	case hex.InvalidByteError:
		return fmt.Sprintf("%q is not a hexadecimal digit", rune(e)), true
	case base64.CorruptInputError:
		return fmt.Sprintf("it is not base64 (at byte %d)", int64(e)), true
	case asn1.SyntaxError, asn1.StructuralError:
		return "it is not DER of the expected form", true
	case *strconv.NumError:
		if e.Err == strconv.ErrRange {
			return fmt.Sprintf("the number %.40q is too large or too small", e.Num), true
		}
		return fmt.Sprintf("%.40q is not a number", e.Num), true
	case *time.ParseError:
		return fmt.Sprintf("%.40q is not a date", e.Value), true
	}
	// The packages of these types are not imported, so that a program that does without
	// them still does.
	switch fmt.Sprintf("%T", err) {
	case "*xml.SyntaxError":
		said := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "XML syntax error on "), "unexpected EOF", "it ends too early")
		if at, _, ok := strings.Cut(said, "invalid XML name"); ok { // which follows, and is anything
			said = at + "invalid XML name"
		}
		return "it is not well-formed XML (" + said + ")", true
	case "flate.CorruptInputError":
		return "the packed data is damaged", true
	case "xml.UnmarshalError":
		return "the XML is of another kind (" + err.Error() + ")", true
	case "tpm2.TPMRC", "tpm2.TPMFmt1Error":
		for jargon, said := range tpmWords {
			if before, ok := strings.CutSuffix(err.Error(), jargon); ok {
				return before + said, true
			}
		}
	case "*csv.ParseError":
		return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "parse error on "), "record on "), true
	}
	switch err {
	case hex.ErrLength:
		return "the number of hexadecimal digits is odd", true
	}
	return "", false
}
