// Package provisiontest has the other side of a run for tests: every party that
// a device meets, behind one TLS listener, and devices with emulated TPMs.
//
// It is to package provision what net/http/httptest is to net/http. The parties
// are the servers of packages ekcerttest, aiktest, drstest, mdmtest and
// autopilottest. They check what real services check, and trust each other as real
// ones do, so that a mistake of a device is found here: see [Server.Refusals].
//
// # Provision a device
//
// [NewServer] starts the parties, [Server.NewDevice] makes a device that the
// directory expects, and [Server.Provisioner] returns a Provisioner that knows
// both:
//
//	func TestProvision(t *testing.T) {
//		server := provisiontest.NewServer()
//		defer server.Close()
//		device, err := server.NewDevice(t.Context(), attesttest.Config{})
//		if err != nil {
//			t.Fatal(err)
//		}
//		defer device.Close()
//		state, err := server.Provisioner(device).Run(t.Context())
//		if err != nil {
//			t.Fatalf("%v\nrefused: %q", err, server.Refusals())
//		}
//		…
//	}
//
// What the parties know afterwards is in their own methods, such as
// server.Directory.Objects for the devices of the tenant, and
// server.Management.Enrolled for the management certificates.
//
// # Configure
//
// A Server has fields for what tests often change, to be set before
// [Server.Start]. Each party can be set beforehand as well; Start fills in only
// what is empty:
//
//	server := &provisiontest.Server{
//		Logger:     slog.Default(),
//		AIK:        &aiktest.Server{Deny: deny},
//		Management: &mdmtest.Server{Quirks: mdmtest.QuirksOf("fleet")},
//	}
//	if err := server.Start(""); err != nil {
//		t.Fatal(err)
//	}
//
// # Devices
//
// Each device is another TPM with keys of its own. A device costs milliseconds,
// because its RSA keys come from a pool, see attesttest.Config.FastKeys; any
// number may run at the same time. attesttest.Config has what real TPMs do at
// times: no certificate, other endorsement keys, slow and failing commands.
//
// The function [NewDevice] makes a device that no directory knows. [Server.Admit]
// imports a TPM's endorsement key, and [Server.Import] any key, as the import of
// hardware hashes does; Server.AdmitAny lets every device in whose certificate is
// trusted.
//
// # Hardware hashes and profiles
//
// The directory may also learn of a device as it does in real life: [Device.Hash]
// makes a hardware hash, and [Server.Register] has it registered through the double
// of Microsoft Graph. The directory then makes a disabled object for the device,
// which only the TPM with the endorsement key of the hash can enable. With
// [Server.ProfileClient] a run asks for its profile:
//
//	h, err := device.Hash(ctx)
//	err = server.Register(ctx, h)
//	p := server.Provisioner(device)
//	p.Tenant, p.Hash, p.Profile = "", h, server.ProfileClient(h)
//
// # Users
//
// For the user's phase, add a user with [Server.AddUser] and set
// Provisioner.User to what [Server.User] returns. The user then signs in by
// password at the directory.
//
// # Rehearse a failing site
//
// With [Server.SetFaults] requests of a step go wrong: they are answered by an
// HTTP status, cut off, lost, garbled or delayed. [Server.Met] counts them.
//
//	server.SetFaults(provisiontest.Fault{Step: provision.StepJoin, Kind: "503", Requests: 2})
//
// With [Server.SetClock] the clock of a party is wrong for all requests. The
// doubles have faults of their own, which are of the protocol:
// server.AIK.Misbehave and server.Directory.SetFault.
//
// # From the command line
//
// The program examples/mockserver is a Server; ParseFault reads its -fault flag.
//
// # It protects nothing
//
// The keys of devices and of their maker can be computed by anybody. Roots must
// never come into a pool that something real relies on.
package provisiontest
