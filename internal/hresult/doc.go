// Package hresult names the Windows result codes that the packages of this
// module put on their errors. Values are those of the Windows SDK's winerror.h.
//
// It also holds the table of all codes of the pre-provisioning flow, codes.txt,
// with what they mean, their likely causes and what helps. The table is read
// when it is first asked for.
package hresult
