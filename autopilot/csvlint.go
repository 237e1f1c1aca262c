package autopilot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/plain"
)

// Lint returns the findings of the file, and those of its rows: all that
// [Hash.Lint] finds in the hashes, with the line, and
//
//	malformed-hash     refused  the hash cannot be read
//	no-hash            refused  the format wants a hash, and there is none; in a Partner Center file
//	                   neither hash nor product ID nor serial number, manufacturer and model
//	serial-mismatch    serial number, manufacturer or model are not those in the hash
//	spreadsheet        refused  the serial number or product ID was changed by a spreadsheet (1.23E+15)
//	product-key-id     the product ID has not 13 digits
//	user               the assigned user has no "@"
//	duplicate          refused  the device is in the file twice (name ZtdDeviceDuplicated)
//	serial-conflict    a serial number belongs to two different mainboards (error 813 may follow)
func (s *Sheet) Lint() []Finding {
	all := slices.Clone(s.Findings)
	first := map[string]int{}
	for i := range s.Rows {
		r := &s.Rows[i]
		var f findings
		h := r.lint(&f, s.Format)
		for _, id := range r.identities(h) {
			j, seen := first[id]
			if !seen {
				first[id] = i
				continue
			}
			other := &s.Rows[j]
			if otherHash, _ := parseHash(other.Hash); h != nil && otherHash != nil && h.Compare(otherHash).Verdict == Other {
				f.add(true, false, "serial-conflict", "line %d has the same serial number, and another mainboard", other.Line)
				continue
			}
			f.add(true, true, "duplicate", "the device is in line %d already", other.Line)
			break
		}
		for _, finding := range f {
			finding.Line = r.Line
			all = append(all, finding)
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return a.Line - b.Line })
	return all
}

// lint checks one row, and returns its hash or nil.
func (r *Row) lint(f *findings, format Format) *Hash {
	for _, s := range []string{r.Serial, r.ProductKeyID} {
		f.add(isScientific(s), true, "spreadsheet", "%q was changed by a spreadsheet", s)
	}
	f.add(r.ProductKeyID != "" && !isScientific(r.ProductKeyID) && !isProductKeyID(r.ProductKeyID), false, "product-key-id", "%q has not 13 digits", r.ProductKeyID)
	f.add(r.User != "" && !strings.Contains(r.User, "@"), false, "user", "%q is no user principal name", r.User)
	if r.Hash == "" {
		f.add(r.lacksIdentity(format), true, "no-hash", "there is no hardware hash")
		return nil
	}
	h, err := parseHash(r.Hash)
	if err != nil {
		f.add(true, true, "malformed-hash", "%s", plain.Text(err))
		return nil
	}
	*f = append(*f, h.Lint()...)
	w := h.Hardware()
	for _, pair := range []struct{ name, row, hash string }{
		{"serial number", r.Serial, w.Serial}, {"manufacturer", r.Manufacturer, w.Manufacturer}, {"model", r.Model, w.Product},
	} {
		f.add(pair.row != "" && pair.hash != "" && !strings.EqualFold(pair.row, strings.TrimSpace(pair.hash)), false,
			"serial-mismatch", "the %s is %q, and in the hash %q", pair.name, pair.row, pair.hash)
	}
	return h
}

// lacksIdentity reports whether a row without a hash names no device.
func (r *Row) lacksIdentity(format Format) bool {
	tuple := r.Serial != "" && r.Manufacturer != "" && r.Model != ""
	switch format {
	case PartnerCenter:
		return r.ProductKeyID == "" && !tuple
	case Identifiers:
		return !tuple
	}
	return true
}

// identities returns what must not be in two rows.
func (r *Row) identities(h *Hash) []string {
	var ids []string
	if h != nil {
		if ek := h.EK(); ek != nil {
			ids = append(ids, "ek "+ek.N.Text(62))
		}
	}
	if serial := r.serial(h); !placeholder(serial) {
		ids = append(ids, "serial "+strings.ToLower(serial))
	}
	return ids
}

// serial returns the row's serial number or, if it has none, the hash's.
func (r *Row) serial(h *Hash) string {
	if r.Serial == "" && h != nil {
		return strings.TrimSpace(h.Hardware().Serial)
	}
	return r.Serial
}

// isScientific reports whether a spreadsheet took a text for a number.
func isScientific(s string) bool {
	mantissa, exponent, ok := strings.Cut(strings.ToUpper(s), "E+")
	return ok && mantissa != "" && exponent != "" && strings.Trim(mantissa, "0123456789.,") == "" && strings.Trim(exponent, "0123456789") == ""
}

// isProductKeyID reports whether s has 13 digits, with or without hyphens between
// groups.
func isProductKeyID(s string) bool {
	digits := strings.ReplaceAll(s, "-", "")
	return len(digits) == 13 && strings.Trim(digits, "0123456789") == "" || isProductID(s)
}

// isProductID reports whether s is a Windows product ID such as
// 00329-00000-0003-AA606, which Microsoft's own sample has in this column.
func isProductID(s string) bool {
	parts := strings.Split(s, "-")
	return len(parts) == 4 && len(parts[0]) == 5 && len(parts[1]) == 5
}

// Merge returns the rows of all sheets in the format of the first, without those
// of devices that came before: rows with the same endorsement key, or the same
// serial number unless their hashes are of two different mainboards. Of two rows
// of a device the one is kept whose hash was taken later or is the only one that
// can be read; what it lacks, but for serial number and hash, is taken from the
// other. Findings of the result say which were left out; the findings of the sheets
// are not taken over. Lines are numbered anew. Merge() is an empty Sheet of the
// format Intune.
func Merge(sheets ...*Sheet) *Sheet {
	out := &Sheet{Format: Intune}
	first := map[string]int{}
	for n, s := range sheets {
		if n == 0 {
			out.Format = s.Format
		}
		for _, r := range s.Rows {
			out.merge(r, first, n+1)
		}
	}
	line := 2
	if out.Format == Identifiers {
		line = 1
	}
	for i := range out.Rows {
		out.Rows[i].Line = line + i
	}
	return out
}

// merge adds a row of the sheet with a number, unless it is there.
func (s *Sheet) merge(r Row, first map[string]int, number int) {
	h, _ := parseHash(r.Hash)
	ids := r.identities(h)
	for _, id := range ids {
		i, seen := first[id]
		if !seen {
			continue
		}
		old, _ := parseHash(s.Rows[i].Hash)
		if h != nil && old != nil && h.Compare(old).Verdict == Other {
			s.Findings = append(s.Findings, Finding{ID: "serial-conflict", Line: r.Line, Detail: fmt.Sprintf("sheet %d: %s has another mainboard in an earlier row", number, id)})
			continue
		}
		s.Findings = append(s.Findings, Finding{ID: "duplicate", Line: r.Line, Detail: fmt.Sprintf("sheet %d: %s is in an earlier row", number, strings.SplitN(id, " ", 2)[0])})
		s.Rows[i], r = complete(s.Rows[i], r), complete(r, s.Rows[i])
		if h != nil && (old == nil || h.Hardware().Taken.After(old.Hardware().Taken)) {
			s.Rows[i] = r
			for _, id := range ids {
				first[id] = i
			}
		}
		return
	}
	for _, id := range ids {
		first[id] = len(s.Rows)
	}
	s.Rows = append(s.Rows, r)
}

// complete returns a row with what it lacks from another row of the same device, but
// for serial number and hash, which belong together.
func complete(r, other Row) Row {
	r.ProductKeyID, r.GroupTag, r.User = or(r.ProductKeyID, other.ProductKeyID), or(r.GroupTag, other.GroupTag), or(r.User, other.User)
	r.Manufacturer, r.Model = or(r.Manufacturer, other.Manufacturer), or(r.Model, other.Model)
	return r
}
