// Package wire sends one HTTP request and reads one bounded answer. It also
// says, in one place for all clients of this module, which failures may pass
// by themselves and what Windows calls them.
package wire
