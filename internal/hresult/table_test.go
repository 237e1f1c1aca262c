package hresult_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// steps are the steps that rows may name: those of a run, and those before and after
// it.
var steps = []string{
	"ek", "aik", "discover", "token", "keys", "join", "enroll", "session", "seal", "rejoin", "signin", "owner",
	"profile", "import", "setup", "hybrid",
}

// The table is well-formed, in order and complete; parse refuses it otherwise.
func TestTable(t *testing.T) {
	if err := hresult.Check(); err != nil {
		t.Fatal(err)
	}
	rows := hresult.Rows()
	if len(rows) < 1000 {
		t.Errorf("%d rows", len(rows))
	}
	for _, r := range rows {
		at := r.Family.Name + " " + r.Symbol()
		for _, s := range r.Steps {
			if !slices.Contains(steps, s) {
				t.Errorf("%s %d: step %q", at, r.Low, s)
			}
		}
		for _, s := range []string{r.Meaning, r.Causes, r.Remedy} {
			if strings.Contains(s, "  ") || strings.HasPrefix(s, "@") || !isASCII(s) {
				t.Errorf("%s %d: %q", at, r.Low, s)
			}
		}
		if strings.HasSuffix(r.Meaning, ".") || strings.HasSuffix(r.Causes, ".") || !strings.HasSuffix(r.Remedy, ".") {
			t.Errorf("%s %d: a remedy is a sentence, the rest is not: %q, %q, %q", at, r.Low, r.Meaning, r.Causes, r.Remedy)
		}
		if strings.Contains(strings.ToLower(r.Remedy), "set the ") && strings.Contains(r.Remedy, "clock") && !strings.Contains(r.Remedy, "wrong") {
			t.Errorf("%s %d: a right clock is not to be set: %q", at, r.Low, r.Remedy)
		}
	}
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// Each code and each symbol occurs once, except a few codes that are known to occur
// in two families.
func TestDuplicates(t *testing.T) {
	codes, symbols := map[uint32]string{}, map[string]string{}
	twice := 0
	for _, r := range hresult.Rows() {
		if r.Family.Kind == hresult.KindHRESULT {
			before, ok := codes[r.Low]
			switch {
			case ok && before == "HTTP" && r.Family.Name == "MREGISTER":
				twice++
			case ok:
				t.Errorf("%08X is in %s and %s", r.Low, before, r.Family.Name)
			}
			codes[r.Low] = r.Family.Name
		}
		for _, s := range r.Symbols {
			if before, ok := symbols[strings.ToUpper(s)]; ok {
				t.Errorf("%s is in %s and %s", s, before, r.Family.Name)
			}
			symbols[strings.ToUpper(s)] = r.Family.Name
		}
	}
	if twice != 4 {
		t.Errorf("%d codes are both in HTTP and in MREGISTER; want 4", twice)
	}
}

// Each kind of source occurs, and no row was written from memory.
func TestSources(t *testing.T) {
	count := map[string]int{}
	for _, r := range hresult.Rows() {
		count[r.Source]++
	}
	for _, s := range hresult.Sources {
		if count[s] == 0 || s == "memory" {
			t.Errorf("%d rows are %s", count[s], s)
		}
		delete(count, s)
	}
	if len(count) > 0 {
		t.Errorf("unknown sources: %v", count)
	}
}

// Known values from other sources: the Windows SDK and RFC 8894.
func TestKnown(t *testing.T) {
	for code, want := range map[uint32]string{
		0x80180014: "MENROLL_E_DEVICENOTSUPPORTED",
		0x80190194: "HTTP_E_STATUS_NOT_FOUND",
		0x80072EE7: "WININET_E_NAME_NOT_RESOLVED",
		0x8028400F: "TBS_E_TPM_NOT_FOUND",
		0x80280921: "TPM_20_E_LOCKOUT",
		0x80094817: "CERTSRV_E_INVALID_EK",
		0x801C03EA: "",
	} {
		if got := hresult.Symbol(code); got != want || len(hresult.Find(code)) == 0 {
			t.Errorf("%08X is %q, want %q", code, got, want)
		}
	}
	if r := hresult.Numbered("SCEP", 3); r == nil || r.Symbol() != "badTime" {
		t.Errorf("SCEP 3: %+v", r)
	}
	if r := hresult.Numbered("MD", 216); r == nil || r.Low != 213 || r.High != 220 {
		t.Errorf("MD 216: %+v", r)
	}
	if r := hresult.Numbered("MD", 99); r != nil {
		t.Errorf("MD 99: %+v", r)
	}
	if rows := hresult.Named("menroll_e_devicenotsupported"); len(rows) != 1 || rows[0].Low != 0x80180014 {
		t.Errorf("by name: %v", rows)
	}
}

// A malformed table is refused, and the error names the line.
func TestRefused(t *testing.T) {
	const head = "@ a | Do it.\n= F | hresult | f | any | D | it | @a\n"
	const good = "80000001 | A | ek | means | causes | Do. | X\n"
	if err := hresult.Parse(head + good); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"no family":         good,
		"twice":             head + good + good,
		"out of order":      head + good + "80000000 | B | | means\n",
		"lower case":        head + "8000000a | A | | means\n",
		"short code":        head + "8001 | A | | means\n",
		"no code":           head + "ZZZZZZZZ | A | | means\n",
		"no meaning":        head + "80000001 | A | |\n",
		"too few columns":   head + "80000001 | A | ek\n",
		"too many columns":  head + "80000001 | A | ek | b | c | d | X | e\n",
		"unknown source":    head + "80000001 | A | ek | b | c | d | Q\n",
		"unknown remedy":    head + "80000001 | A | ek | b | c | @b\n",
		"remedy twice":      "@ a | Do.\n@ a | Do.\n",
		"family's kind":     "= F | x | f | any | D | it | Do.\n",
		"family's source":   "= F | event | f | any | Q | it | Do.\n",
		"family's remedy":   "= F | event | f | any | D | it | @a\n",
		"family's columns":  "= F | event | f\n",
		"range of numbers":  "= F | number | f | any | D | it | Do.\n1-2 | - | | means\n",
		"range of one":      "= F | event | f | any | D | it | Do.\n2-2 | - | | means\n",
		"overlapping range": "= F | event | f | any | D | it | Do.\n1-3 | - | | means\n3 | - | | means\n",
		"no alias":          head + good + "= T | text | t | any | D | it | Do.\nx | - | | =80000002\n",
		"alias of a code":   head + good + "80000002 | - | | =80000001\n",
		"alias of no code":  head + good + "= T | text | t | any | D | it | Do.\nx | - | | =x\n",
		"no number":         "= F | event | f | any | D | it | Do.\n1-x | - | | means\n",
	} {
		if err := hresult.Parse(text); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSubject(t *testing.T) {
	for rc, want := range map[uint32]hresult.Subject{
		0x1DF: {"parameter", 1},
		0xFDF: {"parameter", 15},
		0x18B: {"handle", 1},
		0x98E: {"session", 1},
		0x08B: {},
		0x0DF: {},
		0x88E: {},
		0x101: {},
		0x922: {},
	} {
		if got := hresult.SubjectOf(rc); got != want {
			t.Errorf("%03X: %v, want %v", rc, got, want)
		}
	}
}

func TestFamilyOf(t *testing.T) {
	for code, want := range map[uint32]string{0x80180014: "MENROLL", 0x8018000C: "MENROLL", 0x81039999: "AUTOPILOT", 0x80280036: "TPM12"} {
		if f := hresult.FamilyOf(code); f == nil || f.Name != want {
			t.Errorf("%08X: %v, want %s", code, f, want)
		}
	}
	if f := hresult.FamilyOf(0x12345678); f != nil {
		t.Errorf("a family: %v", f)
	}
	if got := hresult.Alias(0xD000006D); got != 0xC000006D {
		t.Errorf("alias %08X", got)
	}
	if got := hresult.Alias(0xC1039001); got != 0x81039001 {
		t.Errorf("alias %08X", got)
	}
}

// Texts are found in whole words, in any case, with other words where they have a gap.
func TestTexts(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                 "",
		"msaticketTPMvalidationfailed":                     "MsaTicketTpmValidationFailed",
		"xMsaTicketTpmValidationFailed":                    "",
		"MsaTicketTpmValidationFailed2":                    "",
		`{"SubCode":"tpm_ek_unknown"}`:                     "tpm_ek_unknown",
		"_tpm_ek_unknown tpm_ek_unknown_":                  "",
		"tpm_ek_unknowns, tpm_ek_unknown":                  "tpm_ek_unknown",
		`The authority "amd-keyid-1.test" does not exist.`: "The authority ... does not exist",
		"It does not exist, the authority":                 "",
		"error_fail, then error_throttled":                 "error_throttled, error_fail",
		"s:Receiver/s:Authorization/DeviceCapReached":      "DeviceCapReached, s:Authorization",
	} {
		var got []string
		for _, r := range hresult.Texts(text) {
			got = append(got, r.Text)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %q, want %s", text, got, want)
		}
	}
	if r := hresult.Text("DEVICENOTSUPPORTED"); r == nil || r.Remedy != hresult.Find(0x80180014)[0].Remedy || r.Family.Name != "FAULT" {
		t.Errorf("a text that is another name: %+v", r)
	}
	if r := hresult.Text("tpm_ek"); r != nil {
		t.Errorf("a part of a text: %+v", r)
	}
}

func TestAADSTS(t *testing.T) {
	for message, want := range map[string]uint32{
		"AADSTS50155: no": 50155, "AADSTS50155": 50155, "AADSTS1: no": 0, "AADSTS": 0, "see AADSTS50155": 0, "AADSTS99999999999: no": 0, "": 0,
	} {
		if r := hresult.AADSTS(message); (r != nil) != (want != 0) || r != nil && r.Low != want {
			t.Errorf("%q: %+v", message, r)
		}
	}
}

func TestInner(t *testing.T) {
	for code, want := range map[uint32]uint32{
		0x80192EE2: 0x80072EE2, 0x80192F8F: 0x80072F8F, 0xCAA82EFE: 0x80072EFE, 0xCAA30193: 0x80190193,
		0x80190194: 0, 0x80192EE0: 0, 0x80072EE2: 0, 0xCAA20003: 0, 0xCAA30999: 0, 0xCAA80005: 0, 0: 0,
	} {
		if got := hresult.Inner(code); got != want {
			t.Errorf("%08X: %08X, want %08X", code, got, want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if err := hresult.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add("@ a | Do it.\n= F | event | f | any | D | it | @a\n1-3 | A | ek | means | causes | Do. | X\n")
	f.Add("@ a | Do it.\n= F | hresult | f | any | D | it | @a\n80000001 | A | | means\n\n= T | text | t | any | D | it | @a\nA ... b | - | | =80000001\n")
	f.Fuzz(func(_ *testing.T, text string) { _ = hresult.Parse(text) })
}
