package autopilot

import (
	"io"
	"slices"
	"strings"
)

// A Format is a kind of file that lists devices.
type Format string

// The formats. Their columns are documented.
const (
	// Intune is the file that the Intune portal imports: serial number, product
	// ID and hardware hash, and with WriteCSV a group tag and an assigned user if
	// there are any.
	Intune Format = "Intune"

	// PartnerCenter is the file of Microsoft's Partner Center: the same three
	// columns, manufacturer and model. A row may name a device by its hash, by its
	// product ID, or by serial number, manufacturer and model.
	PartnerCenter Format = "Partner Center"

	// ManagedDesktop is the old file of Microsoft Managed Desktop: manufacturer,
	// model, serial number and hardware hash.
	ManagedDesktop Format = "Managed Desktop"

	// Identifiers is the file of corporate device identifiers, with which Autopilot
	// device preparation does without hashes: manufacturer, model and serial
	// number, and no header.
	Identifiers Format = "corporate identifiers"
)

// MaxRows is how many devices the portal imports from one file (documented).
// [slices.Chunk] divides rows accordingly.
const MaxRows = 500

// maxCSV limits a file, in bytes: 15,000 devices.
const maxCSV = 64 << 20

// A Row is a device in a file. A field is empty if the file does not say.
type Row struct {
	Line         int    `json:"line,omitempty"` // in the file, from 1; WriteCSV ignores it
	Serial       string `json:"serial,omitempty"`
	ProductKeyID string `json:"productKeyId,omitempty"` // the column "Windows Product ID"
	Hash         string `json:"hash,omitempty"`         // the hardware hash in base64, as it stands in the file
	GroupTag     string `json:"groupTag,omitempty"`
	User         string `json:"user,omitempty"` // the assigned user's user principal name
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
}

// A Sheet is a file of devices as [ReadCSV] found it.
type Sheet struct {
	// Name is what findings call the file. ReadCSV does not know it.
	Name string `json:"file,omitempty"`

	Format Format `json:"format"`
	Rows   []Row  `json:"rows"`

	// Findings say how the file deviates from what the portal takes. See
	// [Sheet.Lint] for findings about the rows.
	Findings []Finding `json:"findings,omitempty"`
}

// A column is a column of a file, and where it goes in a Row.
type column struct {
	name  string
	field func(*Row) *string
}

// columns are all columns by their documented names.
var columns = []column{
	{"Device Serial Number", func(r *Row) *string { return &r.Serial }},
	{"Windows Product ID", func(r *Row) *string { return &r.ProductKeyID }},
	{"Hardware Hash", func(r *Row) *string { return &r.Hash }},
	{"Group Tag", func(r *Row) *string { return &r.GroupTag }},
	{"Assigned User", func(r *Row) *string { return &r.User }},
	{"Manufacturer name", func(r *Row) *string { return &r.Manufacturer }},
	{"Device model", func(r *Row) *string { return &r.Model }},
	{"Manufacturer", func(r *Row) *string { return &r.Manufacturer }},
	{"Model", func(r *Row) *string { return &r.Model }},
	{"Serial Number", func(r *Row) *string { return &r.Serial }},
}

// layouts are the columns of each format in their order. Those of a layout at the
// end may be missing.
var layouts = []struct {
	format Format
	names  []string
	needed int
}{
	{Intune, []string{"Device Serial Number", "Windows Product ID", "Hardware Hash", "Group Tag", "Assigned User"}, 3},
	{PartnerCenter, []string{"Device Serial Number", "Windows Product ID", "Hardware Hash", "Manufacturer name", "Device model"}, 5},
	{ManagedDesktop, []string{"Manufacturer", "Model", "Serial Number", "Hardware Hash"}, 4},
}

// identifierColumns are those of a file without a header.
var identifierColumns = []string{"Manufacturer", "Model", "Serial Number"}

// columnNamed returns a column by its name in any case, or nil.
func columnNamed(name string) *column {
	i := slices.IndexFunc(columns, func(c column) bool { return strings.EqualFold(c.name, strings.TrimSpace(name)) })
	if i < 0 {
		return nil
	}
	return &columns[i]
}

// ReadCSV reads a file of devices: in any of the formats, and also if a program
// has spoiled it for the portal, by UTF-16, a byte order mark, quotation marks,
// semicolons, columns of its own, or blank lines. Each deviation is a finding of
// the sheet:
//
//	preamble         refused  a line before the header: "#TYPE …" of PowerShell 5.1, "sep=;" of Excel
//	utf-16           refused  UTF-16, as PowerShell writes it by itself
//	byte-order-mark  refused  a byte order mark
//	not-ascii        text beyond ASCII, which the portal may read by another code page
//	quotes           refused  quotation marks
//	separator        refused  semicolons or tabs instead of commas
//	header           refused  names of columns in another case or order or unknown ones, or no header
//	extra-column     refused  a column that the format does not have
//	field-count      refused  a line with more or fewer fields than the header
//	blank-line       refused  a line without fields
//	too-many-rows    refused  more than 500 devices
//	no-rows          refused  no device
//
// That the portal refuses other encodings, quotation marks, other headers, other
// columns and more than 500 devices is documented; the rest is inferred. A field ends
// at the end of its line, also within quotation marks.
//
// The error is an [*Error]. It wraps [ErrMalformed] if the header has none of the
// columns that name a device, if the file is larger than 64 MiB or has more than
// 100,000 lines, or if a line has more than 1000 fields, and the error of r if
// reading failed.
func ReadCSV(r io.Reader) (*Sheet, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxCSV+1))
	if err == nil && len(raw) > maxCSV {
		err = malformed("the file has over %d bytes", maxCSV)
	}
	if err != nil {
		return nil, &Error{Op: "ReadCSV", Err: err}
	}
	s := &Sheet{}
	p := sheetParser{sheet: s}
	if err := p.parse(p.decode(raw)); err != nil {
		return nil, &Error{Op: "ReadCSV", Err: err}
	}
	return s, nil
}
