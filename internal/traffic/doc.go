// Package traffic knows the hosts that a device asks while Windows sets it up: what
// each is for, in which step of the flow, and what fails later if it is blocked. It
// reads captures of such traffic: HTTP Archives, access logs of proxies, and lists of
// times and hosts.
//
// A capture holds tokens and names. This package keeps the times, the hosts of its
// table, methods, statuses and sizes, and no URL, header or body. Hosts beyond the
// table are counted and not named.
package traffic
