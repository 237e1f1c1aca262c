package diagnose

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// A Meaning is one reading of a code.
type Meaning struct {
	// Code is the HRESULT, or the number within Family. For a text it is the
	// place within Family, which may change.
	Code uint32 `json:"code"`

	// Name is the usual way to write the code: "0x80180014", "AADSTS50155",
	// "MD event 171". It is the text itself for a text such as "tpm_ek_unknown".
	Name string `json:"name"`

	// Family names the codes with which it is counted, such as
	// "device enrollment (MENROLL)".
	Family string `json:"family"`

	// Symbol is the code's name in headers and logs, empty if none is public.
	Symbol string `json:"symbol,omitempty"`

	// Text is what the code means.
	Text string `json:"text"`

	// Phase is what the setup screen was doing, empty if the text that was read
	// does not tell.
	Phase string `json:"phase,omitempty"`

	// Steps are the steps of a run in which the code occurs, nil if it may occur
	// anywhere. "profile", "import", "setup" and "hybrid" are outside a run.
	Steps []string `json:"steps,omitempty"`

	// Causes are the likely causes.
	Causes string `json:"causes"`

	// Remedy is what a technician can do, in whole sentences.
	Remedy string `json:"remedy"`

	// Source tells how far to trust the meaning: "documented", "observed" (in
	// code, event manifests or scripts), "inferred", "community" (only reports),
	// "computed" (by the rule of its family) or "family" (only the family is
	// known).
	Source string `json:"source"`
}

// Sources of meanings that have no row in the table.
const (
	sourceComputed = "computed"
	sourceFamily   = "family"
)

// Known reports whether more than the family of the code is known.
func (m Meaning) Known() bool { return m.Source != sourceFamily }

// String returns m on one line.
func (m Meaning) String() string {
	var b strings.Builder
	b.WriteString(m.Name)
	if m.Symbol != "" {
		b.WriteString(" " + m.Symbol)
	}
	fmt.Fprintf(&b, ": %s; likely: %s. %s [%s; %s", m.Text, m.Causes, m.Remedy, m.Family, m.Source)
	if m.Phase != "" {
		b.WriteString("; while " + m.Phase)
	}
	b.WriteString("]")
	return b.String()
}

// maxDecode is how many bytes of a text Decode reads.
const maxDecode = 4096

// Decode returns what the codes in a text may mean, the likeliest meaning first. It
// returns nil if it knows none of them. It reads codes as screens and logs print
// them:
// "0x80180014", "80180014", "-2145910764", "(6, 0x80180014)",
// "MENROLL_E_DEVICENOTSUPPORTED", "AADSTS50155", "807", "MD event 171",
// "badTime", "TPM_RC_INTEGRITY", a raw TPM response code such as "0x1DF", words of
// services such as "tpm_ek_unknown", sentences of the setup screen such as "TPM
// attestation timed out", or a whole line that holds some of these. Case does not
// matter. Words and sentences come first, since they tell more than codes. The
// number of an event without its log, as in "Event ID 171", is read only if there is
// nothing else.
//
// Where the table has no row, Decode computes the meaning of HTTP statuses
// (0x8019xxxx, 0xCAA3xxxx), WinINet errors (0x80192Exx, 0xCAA82Exx), TPM 2.0 codes
// with the number of a parameter, handle or session (0x80280xxx) and Win32 errors
// (0x8007xxxx). It reads the first 4096 bytes of the
// text. The table is loaded at its first use; Decode is safe for concurrent use.
func Decode(text string) []Meaning {
	text = limited(text)
	var found []Meaning
	for _, r := range hresult.Texts(text) {
		found = append(found, rowMeaning(r, r.Low))
	}
	words := codeWords(text)
	if len(words) == 1 {
		return addMeanings(found, readWord(words[0].text, false)...)
	}
	for i, w := range words {
		if m := readNumbered(words[i:]); m != nil {
			found = addMeanings(found, *m)
			continue
		}
		meanings := readWord(w.text, true)
		if row := screenPhase(words[:i], w); row != nil {
			setPhase(meanings, row)
		}
		found = addMeanings(found, meanings...)
	}
	if found == nil {
		return readEvents(words)
	}
	return found
}

// limited returns what Decode reads of a text, without the part of a word at the
// end.
func limited(text string) string {
	if len(text) <= maxDecode {
		return text
	}
	return strings.TrimRightFunc(text[:maxDecode], isCodeRune)
}

// Codes returns the meaning of every code in the table, more than a thousand, in
// the order of the table. A row that stands for a range of events has the first
// number of the range. The caller owns the slice.
func Codes() []Meaning {
	rows := hresult.Rows()
	all := make([]Meaning, len(rows))
	for i, r := range rows {
		all[i] = rowMeaning(r, r.Low)
	}
	return all
}

// A codeWord is a word that may be a code, a symbol or the name of a family.
type codeWord struct {
	gap  string // what stands between the word before and this one, without spaces
	text string
}

// codeWords splits a text into words.
func codeWords(text string) []codeWord {
	var words []codeWord
	for {
		start := strings.IndexFunc(text, isCodeRune)
		if start < 0 {
			return words
		}
		gap := strings.TrimSpace(text[:start])
		text = text[start:]
		end := strings.IndexFunc(text, func(r rune) bool { return !isCodeRune(r) })
		if end < 0 {
			end = len(text)
		}
		words = append(words, codeWord{gap, text[:end]})
		text = text[end:]
	}
}

func isCodeRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '_' || r == '-'
}

// addMeanings appends those meanings that found does not have.
func addMeanings(found []Meaning, meanings ...Meaning) []Meaning {
	for _, m := range meanings {
		same := func(o Meaning) bool { return o.Name == m.Name && o.Family == m.Family }
		if !slices.ContainsFunc(found, same) {
			found = append(found, m)
		}
	}
	return found
}

// screenPhase returns the row of the phase in "(6, 0x80180014)", of which
// before ends in the 6 and w is the code, or nil.
func screenPhase(before []codeWord, w codeWord) *hresult.Row {
	if len(before) == 0 || w.gap != "," {
		return nil
	}
	last := before[len(before)-1]
	n, err := strconv.ParseUint(last.text, 10, 8)
	if err != nil || len(last.text) != 1 {
		return nil
	}
	if len(before) > 1 && !strings.HasSuffix(last.gap, "(") && !strings.HasSuffix(last.gap, ":") {
		return nil // in "attempt 6, 0x80180014" the 6 is not a phase
	}
	return hresult.Numbered(familyScreen, uint32(n))
}

// setPhase sets what the setup screen was doing in meanings, and narrows their
// steps to that phase.
func setPhase(meanings []Meaning, row *hresult.Row) {
	for i := range meanings {
		meanings[i].Phase = row.Meaning
		if len(row.Steps) > 0 {
			meanings[i].Steps = rowSteps(row)
		}
	}
}

// readNumbered reads a family's name and a number, such as "MD event 171", of
// which words are the first, or returns nil.
func readNumbered(words []codeWord) *Meaning {
	family, rest := strings.ToUpper(words[0].text), words[1:]
	if family == "FAILINFO" {
		family = familySCEP
	}
	n, ok := readCount(rest)
	if !ok {
		return nil
	}
	if family == familyHTTP {
		return httpMeaning(int(min(n, 1<<16)))
	}
	if r := hresult.Numbered(family, n); r != nil && (r.Family.Kind == hresult.KindNumber || r.Family.Kind == hresult.KindEvent) {
		m := rowMeaning(r, n)
		return &m
	}
	return nil
}

// readCount returns the number with which words begin, after words such as "event".
func readCount(words []codeWord) (n uint32, ok bool) {
	for len(words) > 0 && slices.Contains([]string{"event", "code", "error", "failinfo", "status", "id"}, strings.ToLower(words[0].text)) {
		words = words[1:]
	}
	if len(words) == 0 {
		return 0, false
	}
	v, err := strconv.ParseUint(words[0].text, 10, 32)
	return uint32(v), err == nil
}

// readEvents returns the meanings of the events with the numbers that follow the word
// "event", in all logs.
func readEvents(words []codeWord) []Meaning {
	var found []Meaning
	for i, w := range words {
		if !strings.EqualFold(w.text, "event") {
			continue
		}
		if n, ok := readCount(words[i:]); ok {
			found = addMeanings(found, numbered(n, eventFamilies...)...)
		}
	}
	return found
}

// httpMeaning returns the meaning of an HTTP status, or nil.
func httpMeaning(status int) *Meaning {
	if status < 100 || status > 599 {
		return nil
	}
	m := readHRESULT(hresult.HTTP(status))
	return &m[0]
}

// rowMeaning returns the meaning of the number n by its row.
func rowMeaning(r *hresult.Row, n uint32) Meaning {
	m := Meaning{
		Code: n, Family: r.Family.Title, Symbol: r.Symbol(), Text: r.Meaning,
		Steps: rowSteps(r), Causes: r.Causes, Remedy: r.Remedy, Source: r.Source,
	}
	switch {
	case r.Family.Kind == hresult.KindHRESULT:
		m.Name = fmt.Sprintf("0x%08X", n)
	case r.Family.Kind == hresult.KindText:
		m.Name = r.Text
	case r.Family.Kind == hresult.KindEvent:
		m.Name = fmt.Sprintf("%s event %d", r.Family.Name, n)
	case r.Family.Name == familyAADSTS:
		m.Name = fmt.Sprintf("%s%d", r.Family.Name, n)
	default:
		m.Name = fmt.Sprintf("%s %d", r.Family.Name, n)
	}
	return m
}

// rowSteps returns the steps of a row, or nil.
func rowSteps(r *hresult.Row) []string {
	return slices.Clone(r.Steps)
}

// readHRESULT returns the readings of an HRESULT: those of the table, else the
// one by its family's rule, else its family.
func readHRESULT(code uint32) []Meaning {
	rows := hresult.Find(code)
	if len(rows) == 0 {
		rows = hresult.Find(hresult.Alias(code))
	}
	if len(rows) == 0 {
		return ruleMeaning(code)
	}
	var found []Meaning
	for _, r := range rows {
		m := rowMeaning(r, r.Low)
		m.Code, m.Name = code, fmt.Sprintf("0x%08X", code)
		found = append(found, m)
	}
	return found
}

// ruleMeaning returns the reading of an HRESULT that is not in the table.
func ruleMeaning(code uint32) []Meaning {
	f := hresult.FamilyOf(code)
	if f == nil {
		return nil
	}
	m := Meaning{
		Code: code, Name: fmt.Sprintf("0x%08X", code), Family: f.Title, Source: sourceFamily,
		Text: "not a public code", Causes: "only its family is known", Remedy: fmt.Sprintf("The code belongs to %s: read the log at the time of the failure.", f.Title),
	}
	if inner := hresult.Inner(code); inner != 0 {
		m = readHRESULT(inner)[0]
		m.Code, m.Name, m.Family, m.Source = code, fmt.Sprintf("0x%08X", code), f.Title, sourceComputed
		return []Meaning{m}
	}
	low := int(code & 0xFFFF)
	switch code >> 16 {
	case hresult.FacilityHTTP:
		statusMeaning(&m, low)
	case hresult.FacilityTPM:
		if tpm := readTPM(uint32(low)); tpm != nil {
			return []Meaning{*tpm}
		}
	case hresult.FacilityWin32:
		m.Source, m.Text = sourceComputed, fmt.Sprintf("Win32 error %d", low)
		m.Causes, m.Remedy = "see the component that logged it", fmt.Sprintf("Run net helpmsg %d on Windows to read its text.", low)
	}
	return []Meaning{m}
}

// statusMeaning fills in what is known from the class of an HTTP status.
func statusMeaning(m *Meaning, status int) {
	if status < 100 || status > 599 {
		return
	}
	m.Source, m.Text = sourceComputed, fmt.Sprintf("HTTP status %d", status)
	if words := http.StatusText(status); words != "" {
		m.Text += " " + words
	}
	switch {
	case status < 300:
		m.Causes, m.Remedy = "an unexpected answer, such as that of a proxy or a portal", "Check the address, and that no proxy or portal answers in the server's place."
	case status < 400:
		m.Causes, m.Remedy = "a redirect that was not followed, such as one to a portal", "Check the address, and that no proxy or portal answers in the server's place."
	case status < 500:
		m.Causes, m.Remedy = "the request, or a proxy", "Read what the server says in its answer."
	default:
		m.Causes, m.Remedy = "the server", "Wait a little and run again."
	}
}

// readTPM returns the reading of a TPM response code, or nil if none is known.
func readTPM(rc uint32) *Meaning {
	if rc == 0 || rc > 0xFFF {
		return nil
	}
	code := hresult.FacilityTPM<<16 | rc
	rows := hresult.Find(code)
	if len(rows) == 0 {
		code = hresult.TPM(rc)
		rows = hresult.Find(code)
	}
	if len(rows) == 0 {
		return nil
	}
	m := rowMeaning(rows[0], code)
	if s := hresult.SubjectOf(rc); s.Kind != "" {
		m.Text += fmt.Sprintf(" (%s %d)", s.Kind, s.Number)
		m.Source = sourceComputed
	}
	return &m
}
