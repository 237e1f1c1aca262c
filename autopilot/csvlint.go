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
//	no-identity        refused  a line of identifiers lacks serial number, manufacturer or model
//	empty-serial       the serial number is in the hash only, and not in its column
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
	for i := range all {
		all[i].File = s.Name
		if all[i].Remedy == remedyConvert && s.Format != Intune {
			all[i].Remedy = fmt.Sprintf("Write the file anew (in the programs: autopilot -format %q csv convert FILE).", s.Format)
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
		lacks := r.lacksIdentity(format)
		f.add(lacks && format == Identifiers, true, "no-identity", "there is no serial number, manufacturer or model")
		f.add(lacks && format != Identifiers, true, "no-hash", "there is no hardware hash")
		return nil
	}
	h, err := parseHash(r.Hash)
	if err != nil {
		f.add(true, true, "malformed-hash", "%s", plain.Text(err))
		return nil
	}
	*f = append(*f, h.Lint()...)
	w := h.Hardware()
	f.add(r.Serial == "" && strings.TrimSpace(w.Serial) != "" && format != PartnerCenter, false, "empty-serial",
		"the column of the serial number is empty; the hash has %q", w.Serial)
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
