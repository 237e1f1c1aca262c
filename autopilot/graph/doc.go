// Package graph registers devices for Windows Autopilot through Microsoft Graph:
// it imports hardware hashes, waits until the service has taken them and assigned a
// profile, and cleans up what is left of a device.
//
// A [Registration] does it all for a list of devices:
//
//	r := &graph.Registration{Client: &graph.Client{Token: token}}
//	results, err := r.Run(ctx, sheet.Rows)
//
// A [Client] has the single calls. It uses version 1.0 of Graph; what only the beta
// version has is in methods whose names end in Beta, which Microsoft may change.
//
// It is a package of its own, so that programs that only read hashes and profiles,
// and the run of package provision, do not link a client of Graph.
//
// # What is known
//
// Paths, properties and the names of statuses are documented in the Graph reference
// (importedWindowsAutopilotDeviceIdentity, windowsAutopilotDeviceIdentity,
// windowsAutopilotSettings). Observed by others, and documented nowhere, are: that
// a new import has the status "unknown" until it is done, that a device appears
// some time after its import, that imports can be listed by the importId that a
// client chose, that the filter "contains" works where "eq" does not and fails with
// hyphens, and the names of reasons in deviceErrorName. The numbers 801 to 814 are
// from a draft of Microsoft's documentation, 815 and 908 from reports.
//
// # Authorization
//
// This package obtains no tokens. [Client.Token] or a transport of
// [Client.HTTPClient] gives them; examples/autopilot shows how to get one by device
// code, by a client secret, and by a certificate whose key is in a TPM.
//
// # What it does not do
//
// It never sends a hash that package autopilottest made to a service that is not on
// the loopback interface. It deletes nothing unless it is asked: see
// [Client.PlanCleanUp], and [Registration.Forget]. Uploads by Partner Center and by
// device association are not here.
package graph
