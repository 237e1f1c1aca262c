// Package autopilottest has what tests of device registration need: made-up devices
// with hardware hashes, and the service that registers them.
//
//	service := &autopilottest.Server{}
//	h := httptest.NewServer(service)
//	d := autopilottest.Device{Serial: "MOCK-0001", EK: ekPublic}
//	c := &graph.Client{BaseURL: h.URL, Token: anyToken}
//	records, err := c.Import(ctx, "", autopilot.Row{Hash: d.Text()})
//
// The [Server] is Microsoft Graph and the profile service in one. It goes through
// the states of the real ones, with the real delays a thousand times shorter: an
// import is "unknown" for 95 seconds, a device appears later, a synchronization takes
// a minute and is allowed every ten, a profile is assigned after it. It checks what
// the real ones check, such as the padding of base64, the checksum and the fields of
// a hash, and refuses devices with the real codes: 802 for a hash that lacks
// something, 803 and 812 without a hash, 806 for a device that is registered already, 808 for
// one of another tenant, 813 for a serial number with two mainboards, 814 if the
// directory has the device; the profile service 801, 802, 807, 808, 809, 815 and 908.
// [Server.Refuse] gives any of them.
//
// What is known of the real services is in the documentation of packages autopilot
// and graph. The path and the body of the profile request are this package's own,
// because the real ones are not public; the names and forms of Graph's are
// documented, its refusals and oddities observed: filters that it does not take,
// JSON within the text of an error, 429 and Retry-After after a synchronization that
// came too soon.
//
// Every hash from this package has a record of type 255 that says that it is a mock.
// Packages autopilot and graph send such a hash only to the loopback interface. A
// MAC address in it is one for documentation (RFC 7042), a serial number starts with
// "MOCK" unless the test chooses another.
package autopilottest
