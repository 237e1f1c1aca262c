// Package hresult names the Windows result codes that the packages of this
// module put on their errors. Values are those of the Windows SDK's winerror.h.
package hresult
