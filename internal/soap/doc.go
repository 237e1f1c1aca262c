// Package soap reads the SOAP answers of management servers: envelopes of
// version 1.1 and 1.2 and their faults ([MS-MDE2] section 2.2.10). It is
// tolerant of what public servers get wrong: letter case, and faults whose
// elements have lost their namespaces. It follows no WS-Addressing header.
package soap
