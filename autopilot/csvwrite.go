package autopilot

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteCSV writes devices as the portal takes them: columns in their documented
// order, plain ASCII, no quotation marks, lines that end in CR LF, hashes with
// their base64 padding. It never quotes a field, because the portal does not
// understand quotation marks; what would need them is refused. In the format
// Intune the columns for group tag and user are written if a row has any. Serial number,
// manufacturer and model that a row lacks are taken from its hash where the format wants them.
//
// The error is an [*Error]. It wraps [ErrRefused] if there are more than
// [MaxRows] rows, if a field has a comma, a quotation mark or a control character,
// is not ASCII or, in the format Identifiers, is the name of a column, or if a row
// does not name a device in the way the format wants, [ErrMalformed] if a hash
// cannot be read, and the error of w. Nothing is written unless all rows can be.
func WriteCSV(w io.Writer, f Format, rows []Row) error {
	text, err := formatCSV(f, rows)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err != nil {
		return &Error{Op: "WriteCSV", Err: err}
	}
	return nil
}

func formatCSV(f Format, rows []Row) (string, error) {
	if len(rows) > MaxRows {
		return "", fmt.Errorf("%w: %d devices, and %d are the most in one file", ErrRefused, len(rows), MaxRows)
	}
	names, err := writtenColumns(f, rows)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if f != Identifiers {
		b.WriteString(strings.Join(names, ",") + "\r\n")
	}
	for i, r := range rows {
		fields, err := writtenFields(f, r, names)
		if err != nil {
			return "", fmt.Errorf("device %d: %w", i+1, err)
		}
		b.WriteString(strings.Join(fields, ",") + "\r\n")
	}
	return b.String(), nil
}

// writtenColumns returns the columns that a file has.
func writtenColumns(f Format, rows []Row) ([]string, error) {
	has := func(field func(Row) string) bool {
		return slices.ContainsFunc(rows, func(r Row) bool { return field(r) != "" })
	}
	if f == Identifiers {
		return identifierColumns, nil
	}
	for _, l := range layouts {
		if l.format != f {
			continue
		}
		n := l.needed
		if f == Intune {
			switch {
			case has(func(r Row) string { return r.User }):
				n = 5
			case has(func(r Row) string { return r.GroupTag }):
				n = 4
			}
		}
		return l.names[:n], nil
	}
	return nil, fmt.Errorf("%w: there is no format %q", ErrRefused, f)
}

// writtenFields returns the fields of a device.
func writtenFields(f Format, r Row, names []string) ([]string, error) {
	h, err := parseHash(r.Hash)
	switch {
	case r.Hash == "":
		if r.lacksIdentity(f) {
			return nil, fmt.Errorf("%w: it has no hardware hash", ErrRefused)
		}
	case err != nil:
		return nil, err
	default:
		r.Hash = h.String()
		if f != PartnerCenter {
			w := h.Hardware()
			r.Serial, r.Manufacturer, r.Model = r.serial(h), or(r.Manufacturer, strings.TrimSpace(w.Manufacturer)), or(r.Model, strings.TrimSpace(w.Product))
		}
	}
	if r.Serial == "" && f != PartnerCenter {
		return nil, fmt.Errorf("%w: it has no serial number", ErrRefused)
	}
	if (f == ManagedDesktop || f == Identifiers) && (r.Manufacturer == "" || r.Model == "") {
		return nil, fmt.Errorf("%w: it has no manufacturer or model", ErrRefused)
	}
	var fields []string
	for _, name := range names {
		text := strings.TrimSpace(*columnNamed(name).field(&r))
		if f == Identifiers {
			text = strings.NewReplacer(".", "", ",", "").Replace(text) // as Microsoft documents it
			if columnNamed(text) != nil {
				return nil, fmt.Errorf("%w: %q is the name of a column, and a file with it would be read as one with a header", ErrRefused, text)
			}
		}
		for _, c := range text {
			if c < ' ' || c > '~' || c == ',' || c == '"' {
				return nil, fmt.Errorf("%w: the %s %q has the character %q", ErrRefused, strings.ToLower(name), text, c)
			}
		}
		fields = append(fields, text)
	}
	return fields, nil
}
