// Package ztd finds what is known of the codes of the Autopilot deployment
// service, which the profile service and Microsoft Graph have in common.
package ztd

import "github.com/whiteglove/whiteglove/internal/hresult"

// family is that of the service's codes in the table of package hresult.
const family = "ZTD"

// Codes of the service. Their usual names are in the table of package hresult.
const (
	InvalidBody        = 801
	InvalidHash        = 802
	MissingSerial      = 803
	AlreadyAssigned    = 806
	NotRegistered      = 807
	OtherTenant        = 808
	UnknownProfile     = 809
	ProfileOtherTenant = 810
	RegisteredByOther  = 811
	NotFound           = 812
	NotUnique          = 813
	AlreadyInDirectory = 814
	NoProfile          = 815
	Mismatch           = 908
)

// Names without a public number.
const (
	StorageError = "StorageError"
	Duplicated   = "ZtdDeviceDuplicated"
	BadHash      = "ZtdDeviceBadHardwareHash"
	Not4K        = "HashNot4k"
)

// find returns the row of a code or, if that is not in the table, of a name, or
// nil.
func find(code int, name string) *hresult.Row {
	if code > 0 {
		if r := hresult.Numbered(family, uint32(code)); r != nil {
			return r
		}
	}
	for _, r := range hresult.Named(name) {
		if r.Family.Name == family {
			return r
		}
	}
	return hresult.Text(name)
}

// Name returns the usual name of a code, or "" if the code is not known.
func Name(code int) string {
	if r := find(code, ""); r != nil {
		return r.Symbol()
	}
	return ""
}

// Remedy returns what helps against a code or, if that is not known, against a
// name, or "".
func Remedy(code int, name string) string {
	if r := find(code, name); r != nil {
		return r.Remedy
	}
	return ""
}

// Retryable reports whether a refusal with this name passes by itself.
func Retryable(name string) bool { return name == StorageError }
