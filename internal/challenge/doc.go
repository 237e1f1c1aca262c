// Package challenge has what the exchanges of [MS-WCCE] have in common in which
// a CA has a TPM open a challenge before it certifies a key: reading the
// challenge, answering it, and keeping the exchange as JSON between the two.
//
// [MS-WCCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-wcce
package challenge
