// Package wire sends one HTTP request and reads one answer of limited size. For
// all clients of this module it also decides which failures may pass by
// themselves, and which HRESULT Windows has for them.
package wire
