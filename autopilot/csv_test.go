package autopilot_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
)

const intune = "Device Serial Number,Windows Product ID,Hardware Hash"

// wide encodes a text in UTF-16.
func wide(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// Files in all formats, and spoiled in all ways.
func TestReadCSV(t *testing.T) {
	for name, tt := range map[string]struct {
		file     string
		format   autopilot.Format
		rows     int
		findings string
	}{
		"minimal":         {intune + "\r\nS1,,HASH\r\n", autopilot.Intune, 1, ""},
		"no last newline": {intune + "\nS1,,HASH", autopilot.Intune, 1, ""},
		"tag":             {intune + ",Group Tag\r\nS1,,HASH,Tag 1\r\n", autopilot.Intune, 1, ""},
		"user":            {intune + ",Group Tag,Assigned User\r\nS1,,HASH,,a@contoso.test\r\n", autopilot.Intune, 1, ""},
		"partner":         {intune + ",Manufacturer name,Device model\r\nS1,,,Mock,Book\r\n,1234567890123,,,\r\n,,HASH,,\r\n", autopilot.PartnerCenter, 3, ""},
		"managed desktop": {"Manufacturer,Model,Serial Number,Hardware Hash\r\nMock,Book,S1,HASH\r\n", autopilot.ManagedDesktop, 1, ""},
		"identifiers":     {"Mock,Book,S1\r\nMock,Book,S2\r\n", autopilot.Identifiers, 2, ""},
		"mark":            {"\ufeff" + intune + "\r\nS1,,HASH\r\n", autopilot.Intune, 1, "byte-order-mark"},
		"UTF-16":          {"\xff\xfe" + wide(binary.LittleEndian, intune+"\r\nS1,,HASH\r\n"), autopilot.Intune, 1, "utf-16"},
		"big-endian":      {"\xfe\xff" + wide(binary.BigEndian, intune+"\r\nS1,,HASH\r\n"), autopilot.Intune, 1, "utf-16"},
		"UTF-16, no mark": {wide(binary.LittleEndian, intune+"\r\nS1,,HASH\r\n"), autopilot.Intune, 1, "utf-16"},
		"big, no mark":    {wide(binary.BigEndian, intune+"\r\nS1,,HASH\r\n"), autopilot.Intune, 1, "utf-16"},
		"quotes":          {`"Device Serial Number","Windows Product ID","Hardware Hash"` + "\r\n" + `"S1","","HASH"` + "\r\n", autopilot.Intune, 1, "quotes"},
		"semicolons":      {strings.ReplaceAll(intune, ",", ";") + "\r\nS1;;HASH\r\n", autopilot.Intune, 1, "separator"},
		"tabs":            {strings.ReplaceAll(intune, ",", "\t") + "\r\nS1\t\tHASH\r\n", autopilot.Intune, 1, "separator"},
		"case":            {strings.ToLower(intune) + "\r\nS1,,HASH\r\n", autopilot.Intune, 1, "header header header"},
		"order":           {"Hardware Hash,Device Serial Number,Windows Product ID\r\nHASH,S1,\r\n", autopilot.Intune, 1, "header"},
		"extra":           {intune + ",Site\r\nS1,,HASH,Berlin\r\n", autopilot.Intune, 1, "extra-column"},
		"ConfigMgr":       {"Device_Name,Device Serial Number,Windows Product ID,Hardware Hash\r\nPC1,S1,,HASH\r\n", autopilot.Intune, 1, "extra-column"},
		"twice":           {intune + ",Hardware Hash\r\nS1,,HASH,OTHER\r\n", autopilot.Intune, 1, "extra-column"},
		"blank lines":     {intune + "\r\n\r\nS1,,HASH\r\n,,,\r\n", autopilot.Intune, 1, "blank-line blank-line"},
		"few fields":      {intune + "\r\nS1\r\nS2,,HASH,\r\n", autopilot.Intune, 2, "field-count field-count"},
		"ANSI":            {intune + ",Group Tag\r\nS1,,HASH,B\xfcro \x80\r\n", autopilot.Intune, 1, "not-ascii"},
		"UTF-8":           {intune + ",Group Tag\r\nS1,,HASH,Büro\r\n", autopilot.Intune, 1, "not-ascii"},
		"no rows":         {intune + "\r\n", autopilot.Intune, 0, "no-rows"},
		"old line ends":   {intune + "\rS1,,HASH\r", autopilot.Intune, 1, ""},
		"many":            {intune + "\r\n" + strings.Repeat("S1,,HASH\r\n", 501), autopilot.Intune, 501, "too-many-rows"},
	} {
		s, err := autopilot.ReadCSV(strings.NewReader(tt.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Format != tt.format || len(s.Rows) != tt.rows || ids(s.Findings) != tt.findings {
			t.Errorf("%s: %s, %d rows, findings %v", name, s.Format, len(s.Rows), s.Findings)
		}
		for _, f := range s.Findings {
			if f.Refused != (f.ID != "not-ascii") || f.Detail == "" {
				t.Errorf("%s: %v", name, f)
			}
		}
		if tt.rows == 1 && tt.format == autopilot.Intune && (s.Rows[0].Serial != "S1" || s.Rows[0].Hash != "HASH") {
			t.Errorf("%s: %+v", name, s.Rows[0])
		}
	}
	for name, file := range map[string]string{"nothing": "", "blank": "\r\n\r\n", "another": "Name,City\r\nA,B\r\n", "four": "a,b,c,d\r\n", "binary": "PK\x03\x04\x00\x00"} {
		s, err := autopilot.ReadCSV(strings.NewReader(file))
		var e *autopilot.Error
		if s != nil || !errors.Is(err, autopilot.ErrMalformed) || !errors.As(err, &e) || e.Op != "ReadCSV" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if _, err := autopilot.ReadCSV(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reader: %v", err)
	}
	if s, err := autopilot.ReadCSV(strings.NewReader(intune + ",Group Tag\nS1,,H,B\xfcro \x80\n")); err != nil || s.Rows[0].GroupTag != "Büro €" {
		t.Errorf("ANSI: %+v, %v", s, err)
	}
}

// A file of a size without bound is not read to its end.
func TestReadCSVLimit(t *testing.T) {
	r := io.MultiReader(strings.NewReader(intune+"\n"), repeat("S1,,HASH\n"))
	if _, err := autopilot.ReadCSV(r); !errors.Is(err, autopilot.ErrMalformed) {
		t.Error(err)
	}
}

type repeat string

func (r repeat) Read(b []byte) (int, error) {
	n := copy(b, strings.Repeat(string(r), 1+len(b)/len(r)))
	return n, nil
}

func TestSheetLint(t *testing.T) {
	good := autopilottest.Device{EK: key("1"), Serial: "S1"}
	board := autopilottest.Device{EK: key("2"), Serial: "S1"}
	line := func(fields ...string) string { return strings.Join(fields, ",") + "\r\n" }
	for name, tt := range map[string]struct{ file, want string }{
		"good":      {intune + "\r\n" + line("S1", "", good.Text()), "2 mock"},
		"mismatch":  {intune + "\r\n" + line("S9", "", good.Text()), "2 mock, 2 serial-mismatch"},
		"no hash":   {intune + "\r\n" + line("S1", "", ""), "2 no-hash"},
		"malformed": {intune + "\r\n" + line("S1", "", good.Text()[:99]), "2 malformed-hash"},
		"number":    {intune + "\r\n" + line("5,12E+12", "x", "")[2:] + line("5.12E+12", "", good.Text()), ""},
		"PKID":      {intune + "\r\n" + line("S1", "12", good.Text()), "2 product-key-id, 2 mock"},
		"user":      {intune + ",Group Tag,Assigned User\r\n" + line("S1", "", good.Text(), "", "nobody"), "2 user, 2 mock"},
		"twice":     {intune + "\r\n" + line("S1", "", good.Text()) + line("s1", "", good.Text()), "2 mock, 3 mock, 3 duplicate"},
		"boards":    {intune + "\r\n" + line("S1", "", good.Text()) + line("S1", "", board.Text()), "2 mock, 3 mock, 3 serial-conflict"},
		"serials":   {"Mock,Book,S1\r\nMock,Book,S1\r\nMock,,S2\r\n", "2 duplicate, 3 no-identity"},
		"partner":   {intune + ",Manufacturer name,Device model\r\n,1234567890123,,,\r\n,00329-00000-0003-AA606,,,\r\nS1,,,,\r\n", "4 no-hash"},
		"file too":  {"\ufeff" + intune + "\r\n" + line("S1", "", good.Text()), "0 byte-order-mark, 2 mock"},
	} {
		s, err := autopilot.ReadCSV(strings.NewReader(tt.file))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, f := range s.Lint() {
			got = append(got, fmt.Sprint(f.Line, " ", f.ID))
		}
		if name == "number" {
			if !slices.Contains(got, "3 spreadsheet") {
				t.Errorf("number: %v", got)
			}
			continue
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: %s, want %s", name, strings.Join(got, ", "), tt.want)
		}
	}
}

// What is written is read without a finding, and Python's csv module reads the
// same fields.
func TestWriteCSV(t *testing.T) {
	short := strings.TrimRight(autopilottest.Device{Serial: "S7"}.Text(), "A") // no padding, neither zeros nor "="
	rows := []autopilot.Row{
		{Serial: "S1", Hash: autopilottest.Device{EK: key("1")}.Text(), Manufacturer: "Mock, Inc.", Model: "Book 1.0"},
		{Hash: autopilottest.Device{Serial: "S2"}.Text(), Manufacturer: "Mock", Model: "Book"},
		{Serial: "S 3", ProductKeyID: "1234567890123", Hash: short + "AA", GroupTag: "Front desk", Manufacturer: "Mock", Model: "Book"},
	}
	for _, f := range []autopilot.Format{autopilot.Intune, autopilot.PartnerCenter, autopilot.ManagedDesktop, autopilot.Identifiers} {
		rows := slices.Clone(rows)
		if f == autopilot.Identifiers {
			rows[1].Serial = "S2" // without a header there is no hash to take it from
		} else {
			rows[0].Manufacturer = "Mock Inc."
		}
		var b bytes.Buffer
		if err := autopilot.WriteCSV(&b, f, rows); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		s, err := autopilot.ReadCSV(bytes.NewReader(b.Bytes()))
		if err != nil || s.Format != f || len(s.Rows) != len(rows) || len(s.Findings) > 0 {
			t.Fatalf("%s: %+v, %v", f, s, err)
		}
		var theirs [][]string
		if err := json.Unmarshal(python(t, "rows.py", b.String()), &theirs); err != nil {
			t.Fatal(err)
		}
		if f != autopilot.Identifiers {
			theirs = theirs[1:]
		}
		for i, r := range s.Rows {
			fields := map[autopilot.Format][]string{
				autopilot.Intune:         {r.Serial, r.ProductKeyID, r.Hash, r.GroupTag},
				autopilot.PartnerCenter:  {r.Serial, r.ProductKeyID, r.Hash, r.Manufacturer, r.Model},
				autopilot.ManagedDesktop: {r.Manufacturer, r.Model, r.Serial, r.Hash},
				autopilot.Identifiers:    {r.Manufacturer, r.Model, r.Serial},
			}[f]
			if !slices.Equal(theirs[i], fields) {
				t.Errorf("%s: row %d: Python reads %.60q, we %.60q", f, i, theirs[i], fields)
			}
			if f != autopilot.Identifiers && len(r.Hash)%4 != 0 {
				t.Errorf("%s: row %d: hash of %d characters", f, i, len(r.Hash))
			}
		}
	}
}

// Our reader and Python's agree on files with quotation marks, too.
func TestQuotedAsPython(t *testing.T) {
	file := intune + ",Group Tag\n" + strings.Join([]string{
		`"S1","","H","a ""b"" c"`, `"S2",,H,"comma, inside"`, `S3,,H,in"side`, `"S4"x,,H,`, `S5,"",H,""`, `"S6","","",""""`,
	}, "\n") + "\n"
	s, err := autopilot.ReadCSV(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var theirs [][]string
	if err := json.Unmarshal(python(t, "rows.py", file), &theirs); err != nil {
		t.Fatal(err)
	}
	for i, r := range s.Rows {
		if ours := []string{r.Serial, r.ProductKeyID, r.Hash, r.GroupTag}; !slices.Equal(ours, theirs[i+1]) {
			t.Errorf("line %d: we read %q, Python %q", r.Line, ours, theirs[i+1])
		}
	}
	if len(theirs) != len(s.Rows)+1 {
		t.Errorf("Python reads %d rows, we %d", len(theirs), len(s.Rows))
	}
}

func TestWriteCSVErrors(t *testing.T) {
	hash := autopilottest.Device{}.Text()
	for name, tt := range map[string]struct {
		format autopilot.Format
		row    autopilot.Row
		want   error
	}{
		"comma":      {autopilot.Intune, autopilot.Row{Serial: "a,b", Hash: hash}, autopilot.ErrRefused},
		"quote":      {autopilot.Intune, autopilot.Row{Serial: `a"b`, Hash: hash}, autopilot.ErrRefused},
		"line":       {autopilot.Intune, autopilot.Row{Serial: "a", GroupTag: "x\ny", Hash: hash}, autopilot.ErrRefused},
		"umlaut":     {autopilot.Intune, autopilot.Row{Serial: "a", GroupTag: "Büro", Hash: hash}, autopilot.ErrRefused},
		"no hash":    {autopilot.Intune, autopilot.Row{Serial: "a"}, autopilot.ErrRefused},
		"bad hash":   {autopilot.Intune, autopilot.Row{Serial: "a", Hash: "AAAA"}, autopilot.ErrMalformed},
		"no serial":  {autopilot.Intune, autopilot.Row{Hash: autopilottest.Device{Omit: []uint16{14}}.Text()}, autopilot.ErrRefused},
		"no model":   {autopilot.ManagedDesktop, autopilot.Row{Serial: "a", Hash: autopilottest.Device{Omit: []uint16{17}}.Text()}, autopilot.ErrRefused},
		"no maker":   {autopilot.Identifiers, autopilot.Row{Serial: "a", Hash: autopilottest.Device{Omit: []uint16{16}}.Text()}, autopilot.ErrRefused},
		"no tuple":   {autopilot.Identifiers, autopilot.Row{Serial: "a"}, autopilot.ErrRefused},
		"header":     {autopilot.Identifiers, autopilot.Row{Manufacturer: "Mock", Model: "Model", Serial: "a"}, autopilot.ErrRefused},
		"no way":     {autopilot.PartnerCenter, autopilot.Row{Serial: "a"}, autopilot.ErrRefused},
		"no format":  {"Excel", autopilot.Row{Serial: "a", Hash: hash}, autopilot.ErrRefused},
		"no format2": {"", autopilot.Row{Serial: "a", Hash: hash}, autopilot.ErrRefused},
	} {
		var b bytes.Buffer
		err := autopilot.WriteCSV(&b, tt.format, []autopilot.Row{tt.row})
		var e *autopilot.Error
		if !errors.Is(err, tt.want) || !errors.As(err, &e) || b.Len() > 0 {
			t.Errorf("%s: %v, wrote %d bytes", name, err, b.Len())
		}
	}
	many := slices.Repeat([]autopilot.Row{{Serial: "a", Hash: hash}}, autopilot.MaxRows+1)
	if err := autopilot.WriteCSV(io.Discard, autopilot.Intune, many); !errors.Is(err, autopilot.ErrRefused) {
		t.Errorf("501 rows: %v", err)
	}
	n := 0
	for part := range slices.Chunk(many, autopilot.MaxRows) {
		if err := autopilot.WriteCSV(io.Discard, autopilot.Intune, part); err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d files", n)
	}
}

func TestMerge(t *testing.T) {
	d := autopilottest.Device{EK: key("1"), Serial: "S1"}
	later := d
	later.Taken = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	renamed := later
	renamed.Serial = "S1-new"
	board := autopilottest.Device{EK: key("2"), Serial: "S1"}
	sheet := func(rows ...autopilot.Row) *autopilot.Sheet {
		return &autopilot.Sheet{Format: autopilot.Intune, Rows: rows}
	}
	// The time of a hash that was taken later, with the checksum of the other.
	raw, own := hashBytes(t, later), hashBytes(t, d)
	damaged := base64.StdEncoding.EncodeToString(append(slices.Clone(raw[:binary.LittleEndian.Uint16(raw[2:])]), own[binary.LittleEndian.Uint16(own[2:]):]...))
	row := func(serial string, d autopilottest.Device) autopilot.Row {
		return autopilot.Row{Line: 9, Serial: serial, Hash: d.Text()}
	}
	for name, tt := range map[string]struct {
		sheets   []*autopilot.Sheet
		serials  string
		findings string
		hash     string // of the first row
	}{
		"none":           {nil, "", "", ""},
		"same":           {[]*autopilot.Sheet{sheet(row("S1", d)), sheet(row("S1", d))}, "S1", "duplicate", d.Text()},
		"later":          {[]*autopilot.Sheet{sheet(row("S1", d)), sheet(row("S1", later))}, "S1", "duplicate", later.Text()},
		"earlier":        {[]*autopilot.Sheet{sheet(row("S1", later)), sheet(row("S1", d))}, "S1", "duplicate", later.Text()},
		"key":            {[]*autopilot.Sheet{sheet(row("S1", d)), sheet(row("S1-new", renamed))}, "S1-new", "duplicate", renamed.Text()},
		"board":          {[]*autopilot.Sheet{sheet(row("S1", d)), sheet(row("S1", board))}, "S1 S1", "serial-conflict", d.Text()},
		"damaged":        {[]*autopilot.Sheet{sheet(autopilot.Row{Serial: "S1", Hash: damaged}), sheet(row("S1", d))}, "S1", "duplicate", d.Text()},
		"cut off":        {[]*autopilot.Sheet{sheet(autopilot.Row{Serial: "S1", Hash: d.Text()[:2000]}), sheet(row("S1", d))}, "S1", "duplicate", d.Text()},
		"damaged later":  {[]*autopilot.Sheet{sheet(row("S1", d)), sheet(autopilot.Row{Serial: "S1", Hash: damaged})}, "S1", "duplicate", d.Text()},
		"readable":       {[]*autopilot.Sheet{sheet(autopilot.Row{Serial: "S1", Hash: "x"}), sheet(row("S1", d))}, "S1", "duplicate", d.Text()},
		"without serial": {[]*autopilot.Sheet{sheet(row("", d)), sheet(row("s1", d))}, "", "duplicate", d.Text()},
		"two":            {[]*autopilot.Sheet{sheet(row("S1", d)), sheet(row("S2", autopilottest.Device{Serial: "S2"}))}, "S1 S2", "", d.Text()},
	} {
		m := autopilot.Merge(tt.sheets...)
		var serials []string
		for i, r := range m.Rows {
			serials = append(serials, r.Serial)
			if r.Line != i+2 {
				t.Errorf("%s: row %d has line %d", name, i, r.Line)
			}
		}
		if join(serials) != tt.serials || ids(m.Findings) != tt.findings || m.Format != autopilot.Intune || len(m.Rows) > 0 && m.Rows[0].Hash != tt.hash {
			t.Errorf("%s: serials %q, findings %v", name, join(serials), m.Findings)
		}
	}
	if m := autopilot.Merge(&autopilot.Sheet{Format: autopilot.Identifiers, Rows: []autopilot.Row{{Serial: "a"}}}); m.Format != autopilot.Identifiers || m.Rows[0].Line != 1 {
		t.Errorf("%+v", m)
	}
}

// hashBytes returns the hash of a device.
func hashBytes(t *testing.T, d autopilottest.Device) []byte {
	t.Helper()
	h, err := autopilot.ParseHash(d.Text())
	if err != nil {
		t.Fatal(err)
	}
	return h.Bytes()
}

// Merge says which row it left out, and where the one is that it kept.
func TestMergeSays(t *testing.T) {
	d := autopilottest.Device{EK: key("1"), Serial: "S1"}
	later := d
	later.Taken = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	first := &autopilot.Sheet{Name: "a.csv", Format: autopilot.Intune, Rows: []autopilot.Row{{Line: 2, Serial: "S1", Hash: d.Text()}}}
	second := &autopilot.Sheet{Format: autopilot.Intune, Rows: []autopilot.Row{{Line: 4, Serial: "S1", Hash: later.Text()}}}
	same := &autopilot.Sheet{Name: "c.csv", Format: autopilot.Intune, Rows: []autopilot.Row{{Line: 3, Serial: "S1", Hash: later.Text()}}}
	var got []string
	for _, f := range autopilot.Merge(first, second, same).Findings {
		got = append(got, f.String())
	}
	want := []string{
		"a.csv: line 2: duplicate: the device is in sheet 2 line 4 too, which was kept: the hash there was taken later",
		"c.csv: line 3: duplicate: the device is in sheet 2 line 4 already, which was kept",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// What is wrong with a header, or a quotation mark, is said once, and what the file should
// have.
func TestHeaderSays(t *testing.T) {
	hash := autopilottest.Device{Serial: "S1"}.Text()
	const want = `"Device Serial Number,Windows Product ID,Hardware Hash"`
	for file, says := range map[string]string{
		"":        "autopilot: ReadCSV: the file is empty",
		"hello\n": "autopilot: ReadCSV: line 1 is no header: want " + want,
		"Serial,Product,Hash\nS1,," + hash + "\n": `line 1: header (refused): "Serial,Product,Hash" is no known header: want ` + want + ". Write the file anew (in the programs: autopilot csv convert FILE).",
		"Maker,Product,Serial No\nMock,Book,S1\n": `line 1: header (refused): "Maker,Product,Serial No" is no known header: a file of corporate identifiers has none, and one of hashes has ` + want +
			`. Write the file anew (in the programs: autopilot -format "corporate identifiers" csv convert FILE).`,
		"Mock,Book,S1\n": "",
		"Device Serial Number,Windows Product ID,Hardware Hash\n\"S1,," + hash + "\n": "line 2: quotes (refused): a quotation mark is not closed. Write the file anew (in the programs: autopilot csv convert FILE).",
		"Device Serial Number,Windows Product ID,Hardware Hash\n,," + hash + "\n":     `line 2: empty-serial: the column of the serial number is empty; the hash has "S1". Write the file anew (in the programs: autopilot csv convert FILE).`,
	} {
		s, err := autopilot.ReadCSV(strings.NewReader(file))
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			for _, f := range s.Lint() {
				if f.ID != "mock" && f.ID != "no-tpm" {
					got += f.String() + ". " + f.Remedy
				}
			}
		}
		if got != says || err != nil && !errors.Is(err, autopilot.ErrMalformed) {
			t.Errorf("%.60q: %s", file, got)
		}
	}
}

// What a format wants and a row does not say comes from the hash.
func TestWriteIdentifiers(t *testing.T) {
	var b strings.Builder
	hash := autopilottest.Device{Serial: "S1"}.Text()
	if err := autopilot.WriteCSV(&b, autopilot.Identifiers, []autopilot.Row{{Hash: hash}}); err != nil || b.String() != "Mock Manufacturer,Mock Book 14,S1\r\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}
