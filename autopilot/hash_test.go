package autopilot_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
)

func join(ids []string) string { return strings.Join(ids, " ") }

func ids(findings []autopilot.Finding) string {
	var list []string
	for _, f := range findings {
		list = append(list, f.ID)
	}
	return join(list)
}

// parse reads a hash that must be right.
func parse(t testing.TB, text string) *autopilot.Hash {
	t.Helper()
	h, err := autopilot.ParseHash(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// What is read is written again, bit by bit.
func TestLossless(t *testing.T) {
	for name, text := range map[string]string{
		"padded":    autopilottest.Device{EK: key("a")}.Text(),
		"unknown":   autopilottest.Encode([]autopilot.Record{{Type: 999, Data: []byte("?")}, {Type: 999}, {Type: 1, Data: []byte("short")}}),
		"twice":     autopilottest.Encode([]autopilot.Record{{Type: 14, Data: []byte("a\x00")}, {Type: 14, Data: []byte("b")}}),
		"empty":     base64.StdEncoding.EncodeToString([]byte("OA\x04\x00")),
		"behind it": base64.StdEncoding.EncodeToString([]byte("OA\x08\x00\x07\x00\x04\x00not a checksum at all")),
	} {
		h := parse(t, text)
		if h.String() != text {
			t.Errorf("%s: written as\n%s, read from\n%s", name, h, text)
		}
		var again autopilot.Hash
		doc, err := json.Marshal(h)
		if err != nil || json.Unmarshal(doc, &again) != nil || again.String() != text {
			t.Errorf("%s: through JSON: %s, %v", name, doc, err)
		}
		for _, r := range h.Records() {
			for j := range r.Data {
				r.Data[j] ^= 0xFF // the caller owns it
			}
		}
		if h.String() != text {
			t.Errorf("%s: changed through its records", name)
		}
	}
}

// Texts as people send them.
func TestTolerated(t *testing.T) {
	text := autopilottest.Device{}.Text()
	short := base64.StdEncoding.EncodeToString(parse(t, text).Bytes()[:1000]) // ends in "=="
	for name, s := range map[string]string{
		"mark":    "\ufeff" + text,
		"lines":   text[:100] + "\r\n" + text[100:200] + " \n\t" + text[200:],
		"cut":     text[:len(text)-3], // in the zeros
		"no pad":  strings.TrimRight(short, "="),
		"one pad": strings.TrimSuffix(short, "="),
	} {
		h, err := autopilot.ParseHash(s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(h.String())%4 != 0 || h.Verify() != nil {
			t.Errorf("%s: written as %d characters, checksum %v", name, len(h.String()), h.Verify())
		}
	}
	if got := ids(parse(t, strings.TrimRight(short, "=")).Lint()); !strings.Contains(got, "unpadded not-4k") {
		t.Errorf("without padding: %s", got)
	}
}

func TestParseHashErrors(t *testing.T) {
	enc := base64.StdEncoding.EncodeToString
	for name, text := range map[string]string{
		"nothing":        "",
		"no base64":      "T0EG!",
		"another":        enc([]byte("PK\x03\x04 something else")),
		"header alone":   enc([]byte("OA")),
		"too small":      enc([]byte("OA\x03\x00")),
		"cut off":        autopilottest.Device{}.Text()[:200],
		"record short":   enc([]byte("OA\x08\x00\x07\x00\x03\x00")),
		"record long":    enc([]byte("OA\x08\x00\x07\x00\x05\x00x")),
		"record header":  enc([]byte("OA\x06\x00\x07\x00")),
		"documented":     "T0FzAQEAHAAAAAoA6AOCOgEABgBgW7EdzorHH3g", // cut off in the documentation
		"three paddings": "T0EEAA===",
		"stray bits":     "T0EEAB==",
		"huge":           strings.Repeat("A", 1<<20),
	} {
		h, err := autopilot.ParseHash(text)
		var e *autopilot.Error
		if h != nil || !errors.Is(err, autopilot.ErrMalformed) || !errors.As(err, &e) || e.Op != "ParseHash" || e.HRESULT() != 0x8007000D || e.Retryable() || e.Remedy() == "" {
			t.Errorf("%s: %v, %v", name, h, err)
		}
	}
}

// Damage to any byte of the records is found, and is no parse error unless the
// structure suffers.
func TestVerify(t *testing.T) {
	good := parse(t, autopilottest.Device{EK: key("a")}.Text()).Bytes()
	damaged := 0
	for i := 4; i < 1100; i++ {
		b := append([]byte(nil), good...)
		b[i] ^= 0x20
		h, err := autopilot.ParseHash(base64.StdEncoding.EncodeToString(b))
		switch {
		case err != nil:
			continue // a length
		case h.Verify() == nil && i < len(good)-2000:
			continue // in the padding
		case errors.Is(h.Verify(), autopilot.ErrChecksum):
			damaged++
		}
	}
	if damaged < 800 {
		t.Errorf("only %d of 1000 damaged hashes were noticed", damaged)
	}
	h := parse(t, base64.StdEncoding.EncodeToString(good[:1000]))
	if err := h.Verify(); h.Verify() != nil && !errors.Is(err, autopilot.ErrChecksum) {
		t.Errorf("cut off: %v", err)
	}
	none := parse(t, base64.StdEncoding.EncodeToString([]byte("OA\x04\x00")))
	var e *autopilot.Error
	if err := none.Verify(); !errors.Is(err, autopilot.ErrChecksum) || !errors.As(err, &e) || e.Remedy() == "" {
		t.Errorf("no checksum: %v", err)
	}
}

// Records that are too short are kept, and found.
func TestShortRecords(t *testing.T) {
	var records []autopilot.Record
	for kind := range uint16(31) {
		records = append(records, autopilot.Record{Type: kind, Data: []byte{0}})
	}
	h := parse(t, autopilottest.Encode(records))
	w := h.Hardware()
	if len(w.Other) < 10 || !strings.Contains(ids(h.Lint()), "unreadable-record") {
		t.Errorf("%d other records; %s", len(w.Other), ids(h.Lint()))
	}
	if s := w.String(); s == "" {
		t.Error("no text")
	}
}

func TestRecordName(t *testing.T) {
	for kind, want := range map[uint16]string{14: "serial number", 25: "TPM endorsement key", 27: "record 27", 31: "record 31", 60000: "record 60000"} {
		if got := (autopilot.Record{Type: kind}).Name(); got != want {
			t.Errorf("%d: %q", kind, got)
		}
	}
}

// A stranger's text cannot move a terminal's cursor.
func TestPrintable(t *testing.T) {
	h := autopilottest.Device{Serial: "A\x1b[2J\u202eB\nproduct: fake"}.Hash()
	if s := h.Hardware().String(); strings.ContainsAny(s, "\x1b\u202e") || strings.Contains(s, "\nproduct: fake") {
		t.Errorf("%q", s)
	}
}

// Only Windows has hardware hashes.
func TestCollect(t *testing.T) {
	h, err := autopilot.Collect(t.Context())
	if runtime.GOOS == "windows" {
		if err != nil {
			t.Skip(err) // not an administrator, or Windows Server
		}
		if h.Verify() != nil {
			t.Error(h.Verify())
		}
		return
	}
	var e *autopilot.Error
	if h != nil || !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &e) || e.Op != "Collect" {
		t.Errorf("%v, %v", h, err)
	}
}
