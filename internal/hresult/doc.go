// Package hresult names the Windows result codes (HRESULT) of the errors in this
// module. The values are those of winerror.h in the Windows SDK.
//
// It also has the table of all codes of the pre-provisioning flow, codes.txt, with
// their meaning, likely causes and remedies. The table is parsed when a function
// first needs it.
package hresult
