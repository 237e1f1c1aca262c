// Package autopilot has what comes before a device proves its TPM: the hardware
// hash by which Windows Autopilot knows the device, the files in which hashes are
// handed on, and the deployment profile that the device gets.
//
//	h, err := autopilot.ParseHash(text)       // read a hash
//	m := h.Match(ekPublic)                    // is it this machine's?
//	findings := h.Lint()                      // would the service take it?
//	sheet, err := autopilot.ReadCSV(file)     // hashes of many devices
//	p, err := autopilot.ParseProfile(file)    // what a device was told
//	fmt.Print(p.Plan(serial))                 // what it will do
//
// Registration through Microsoft Graph is in package graph, a service for tests in
// package autopilottest. This package writes no hashes but those it has read: a hash
// that somebody made up is accepted by the real service (observed), which would let
// one register other people's devices. What autopilottest makes is marked as a mock,
// and neither [ProfileClient] nor package graph sends it to a real service.
//
// # What is known
//
// The comments say how each thing is known. Documented: by Microsoft, in the
// reference of Microsoft Graph, of the DevDetail node, of oa3tool, in the pages on
// adding devices, on existing devices and on known issues. Observed: in public code,
// such as the decoders of hashes by Michael Niehaus and others, in scripts and event
// manifests, or in samples that were published. Reported: by people in forums and
// issues. Inferred: by us, from several of these.
//
// The layout of a hash is observed, and so are the names of its records; a complete
// hash that was published with a notebook's details reads as stated here, with a
// checksum and an offline device ID that fit. That the time in a hash counts seconds
// since the year 2000 is inferred. What record 27 means is not known.
//
// # Where it is in the flow
//
// The rows are those of the whole flow of pre-provisioning, in the order of the
// articles that describe it.
//
//	before the device is switched on
//	  take the hash on the device       [Collect], else Windows's tools and [ReadCSV]
//	  check the tenant and the rights   by the caller: a token that Graph takes; Azure AD Graph,
//	                                    which scripts asked for this, is retired
//	  upload the hash                   graph.Client.Import
//	  follow the import                 graph.Registration, graph.Client.Imported
//	  allow the endorsement key         by the service, from the hash; not public how. [Hash.Match]
//	                                    predicts the outcome, autopilottest plays the part
//	  create the directory's object     by the service; not public how. autopilottest does it in the
//	                                    test directory; drs joins as that object
//	  make and assign the profile       by the administrator; graph.Client.ProfilesBeta and
//	                                    AssignmentBeta show it
//	on the device
//	  device identity of the Microsoft  not here: this module talks to no Microsoft account service
//	  account service
//	  device ticket                     by the caller: [ProfileClient].Ticket
//	  fetch the profile                 [ProfileClient.Download]; the real request is not public
//	  compare ticket, hash and tenant   by the service; autopilottest plays the part
//	  keep the profile                  [ParseProfile] reads AutopilotDDSZTDFile.json;
//	                                    [Profile.Offline] writes AutopilotConfigurationFile.json;
//	                                    package provision takes tenant and steps from a profile
//	  landing page with a QR code       not here: a matter of Windows's setup
//
// # Limits
//
// A hash may have 128 KiB of text, a profile 256 KiB, a file of hashes 64 MiB. All
// that is read may come from strangers: it is bounded, and never panics.
package autopilot
