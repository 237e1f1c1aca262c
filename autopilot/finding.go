package autopilot

import (
	"fmt"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// A Finding is something that a lint found: in a hash, in a file of hashes, or in
// a profile.
type Finding struct {
	// File is the name of the file, if it is known; see [Sheet.Name].
	File string `json:"file,omitempty"`

	// ID names the kind of finding, such as "no-serial". The IDs are listed with
	// the methods that return findings.
	ID string `json:"id"`

	// Line is the line in a file, from 1; 0 if the finding is not about a line.
	Line int `json:"line,omitempty"`

	// Refused is true if the service is known to refuse this, false if the
	// finding is advice or predicts trouble later on.
	Refused bool `json:"refused"`

	// Detail says what was found.
	Detail string `json:"detail"`

	// Remedy is what can be done about it, in whole sentences, or "".
	Remedy string `json:"remedy,omitempty"`
}

// String returns the finding on one line and without the remedy, such as "devices.csv: line
// 2: no-serial (refused): there is no serial number".
func (f Finding) String() string {
	s := f.ID
	if f.Line > 0 {
		s = fmt.Sprintf("line %d: %s", f.Line, s)
	}
	if f.File != "" {
		s = wire.Visible(f.File) + ": " + s
	}
	if f.Refused {
		s += " (refused)"
	}
	return s + ": " + wire.Visible(f.Detail)
}

// A findings is a list under way.
type findings []Finding

// add adds a finding if it is one.
func (f *findings) add(found, refused bool, id, format string, args ...any) {
	if found {
		*f = append(*f, newFinding(id, 0, refused, format, args...))
	}
}

// newFinding returns a finding with its remedy.
func newFinding(id string, line int, refused bool, format string, args ...any) Finding {
	return Finding{ID: id, Line: line, Refused: refused, Detail: fmt.Sprintf(format, args...), Remedy: remedies[id]}
}

// idUnpadded is a finding that goes away when the file is written.
const idUnpadded = "unpadded"

// Remedies that several findings have.
const (
	remedyConvert   = "Write the file anew (in the programs: autopilot csv convert FILE)."
	remedyTakeAgain = "Take the hash from the device again."
	remedyFirmware  = "Have the maker of the device set it in the firmware, then take the hash again."
	remedyTPMOn     = "Turn the TPM on in the firmware's setup, then take the hash again on the device's own Windows."
	remedyUserMode  = "Use a user-driven profile, which needs no attestation, or another device."
	remedyRewrite   = "Write the file anew (in the programs: autopilot -out FILE profile FILE)."
)

// remedies are what can be done about findings, by their IDs.
var remedies = map[string]string{
	// Of hashes.
	"wrong-checksum":     remedyTakeAgain,
	"no-serial":          remedyFirmware,
	"no-manufacturer":    remedyFirmware,
	"no-product":         remedyFirmware,
	"no-uuid":            remedyFirmware,
	"placeholder-serial": remedyFirmware,
	"placeholder-uuid":   remedyFirmware,
	idUnpadded:           remedyConvert,
	"not-4k":             remedyTakeAgain,
	"no-tpm":             remedyTPMOn,
	"empty-tpm":          remedyTPMOn,
	"no-ek":              remedyTPMOn,
	"ek-size":            remedyTakeAgain,
	"wrong-offline-id":   remedyTakeAgain,
	"old-tpm":            remedyUserMode,
	"virtual-tpm":        remedyUserMode,
	"unreadable-record":  remedyTakeAgain,

	// Of files.
	"preamble":        remedyConvert,
	"utf-16":          remedyConvert,
	"byte-order-mark": remedyConvert,
	"quotes":          remedyConvert,
	"separator":       remedyConvert,
	"header":          remedyConvert,
	"extra-column":    remedyConvert,
	"blank-line":      remedyConvert,
	"too-many-rows":   "Divide the file (in the programs: autopilot -out NEW csv convert FILE).",
	"not-ascii":       "Write what is beyond ASCII in other characters.",
	"field-count":     "Give the line as many fields as the header has, with no comma within a field.",
	"no-rows":         "Give each device a line.",
	"malformed-hash":  remedyTakeAgain + " Do not open the file with a spreadsheet.",
	"no-hash":         "Take the hash on the device, and put it into its column.",
	"no-identity":     "Fill them in.",
	"empty-serial":    remedyConvert,
	"serial-mismatch": "Find out which of them is the device's: the hash may be that of another one.",
	"spreadsheet":     "Enter it again as text, or take the file from the device again.",
	"product-key-id":  "Correct it, or leave the column empty.",
	"user":            "Give the whole name, such as user@contoso.com, or leave the column empty.",
	"duplicate":       "Remove one of the lines (in the programs: autopilot csv merge FILE).",
	"serial-conflict": "Take both hashes again. If a mainboard was replaced, keep only the later one.",

	// Of profiles.
	"no-tenant":      "Fill in CloudAssignedTenantId and CloudAssignedTenantDomain.",
	"bad-guid":       "Give it a GUID without braces.",
	"self-deploying": "Register the device, and assign the profile to it instead of giving it a file.",
	"version":        "Correct the version.",
	"server-data":    "Remove that field. " + remedyRewrite,
	"name-template":  "Correct the template.",
	"hybrid-name":    "Set the name in the profile of the domain join.",
	"hybrid-user":    "Remove the assigned user.",
	"hidden-start":   "Let the profile ask for one of them if a technician is to start pre-provisioning.",
	"no-enrollment":  "Set CloudAssignedForcedEnrollment to 1.",
	"unknown-field":  "Check its name and its value.",
}
