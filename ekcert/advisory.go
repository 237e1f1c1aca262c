package ekcert

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// An advisory is a published weakness of a maker's firmware.
type advisory struct {
	vendor, cve, what, fixed string
	from, to                 []int // first and last affected version
}

// advisories is taken from the makers' pages as of November 2026. It lacks
// weaknesses that do not follow from the version: CVE-2023-1017 of other TPMs
// (errata of the reference code), CVE-2025-2884 of AMD and Intel (by platform),
// CVE-2023-20589 (by processor generation), INTEL-SA-00086 (a replaced seed).
var advisories = sync.OnceValue(func() []advisory {
	return slices.Concat(
		infineon([]int{0}, []int{4, 33}), infineon([]int{4, 40}, []int{4, 42}), infineon([]int{5}, []int{5, 61}),
		infineon([]int{6}, []int{6, 42}), infineon([]int{7}, []int{7, 61}), infineon([]int{133}, []int{133, 32}),
		[]advisory{{
			vendor: "IFX", cve: "CVE-2025-2884", what: "reads memory out of bounds", fixed: "15.23",
			from: []int{15, 21}, to: []int{15, 22},
		}},
		stm("71.16", 71, 0, 4, 12), stm("73.20", 73, 0, 4, 8), stm("73.21", 73, 5, 9),
		stm("74.20", 74, 0, 4, 8, 16), stm("74.21", 74, 5, 9),
		intel("11.8.65", []int{11, 0}, []int{11, 8, 64}), intel("11.11.65", []int{11, 10}, []int{11, 11, 64}),
		intel("11.22.65", []int{11, 20}, []int{11, 22, 64}), intel("12.0.35", []int{12}, []int{12, 0, 34}),
		intel("13.0.1201", []int{13}, []int{13, 0, 1200}), intel("14.0.10", []int{14}, []int{14, 0, 9}),
		intel("3.1.65", []int{3}, []int{3, 1, 64}), intel("4.0.15", []int{4, 0}, []int{4, 0, 14}),
		intel("4.1.4.297", []int{4, 1}, []int{4, 1, 4, 296}),
		nuvoton(1, 3, 0, 1), nuvoton(1, 3, 1, 0), nuvoton(1, 3, 2, 8),
	)
})

func infineon(from, to []int) []advisory {
	return []advisory{{
		vendor: "IFX", cve: "CVE-2017-15361", what: "its RSA keys can be broken (ROCA)",
		fixed: "a later version; keys must be replaced", from: from, to: to,
	}}
}

func stm(fixed string, major int, minors ...int) []advisory {
	var list []advisory
	for _, minor := range minors {
		list = append(list, advisory{
			vendor: "STM", cve: "CVE-2019-16863", what: "the timing of ECDSA signatures reveals the key (TPM-FAIL)", fixed: fixed,
			from: []int{major, minor}, to: []int{major, minor},
		})
	}
	return list
}

func intel(fixed string, from, to []int) []advisory {
	return []advisory{{
		vendor: "INTC", cve: "CVE-2019-11090", what: "the timing of ECDSA signatures reveals the key (TPM-FAIL)", fixed: fixed,
		from: from, to: to,
	}}
}

func nuvoton(version ...int) []advisory {
	return []advisory{{
		vendor: "NTC", cve: "CVE-2023-1017", what: "writes memory out of bounds (also CVE-2023-1018)", fixed: "1.3.2.20",
		from: version, to: version,
	}}
}

// Advisories returns the published weaknesses of a TPM's firmware as findings with
// the ID "firmware-advisory". vendor is the maker, as TCG vendor ID or short name.
// firmware is the version: up to four numbers as the TPM reports them, such as
// "7.85.4555.0", or in the form of certificates, such as "id:00070055". It returns
// nil if none is known or the version cannot be read.
//
// [Client.Verify] calls it with the version in the certificate, which is the one
// that the TPM was delivered with. Call it with the version that the TPM reports to
// judge the firmware it runs now.
//
// The result is advice. A TPM may report a false version, and the list is never
// complete. A weakness that depends on more of the version than firmware gives is
// not reported.
func Advisories(vendor, firmware string) []Finding {
	name, version := VendorName(vendor), parseVersion(firmware)
	var out []Finding
	for _, a := range advisories() {
		if a.vendor == name && a.matches(version) {
			detail := fmt.Sprintf("firmware %s: %s; fixed in %s", firmware, a.what, a.fixed)
			out = append(out, Finding{ID: "firmware-advisory", Severity: Warning, Detail: detail, CVE: a.cve})
		}
	}
	return out
}

// matches reports whether a version is certainly one of the affected versions.
func (a *advisory) matches(version []int) bool {
	if len(version) == 0 {
		return false
	}
	for i, n := range a.to {
		if i >= len(version) || version[i] > n {
			return false // too few numbers to decide, or a later version
		}
		if version[i] < n {
			break
		}
	}
	return slices.Compare(version, a.from) >= 0
}

// parseVersion returns the numbers of a version, or nil if it cannot be read. After
// "id:" there are two numbers of 16 bits in eight digits, or of 8 bits in four.
func parseVersion(s string) []int {
	if digits, ok := strings.CutPrefix(s, "id:"); ok {
		raw, err := hex.DecodeString(digits)
		switch {
		case err != nil:
			return nil
		case len(raw) == 4:
			return []int{int(raw[0])<<8 | int(raw[1]), int(raw[2])<<8 | int(raw[3])}
		case len(raw) == 2:
			return []int{int(raw[0]), int(raw[1])}
		}
		return nil
	}
	var version []int
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil || len(version) == 4 {
			return nil
		}
		version = append(version, int(n))
	}
	return version
}
