// Package esp tells what the enrollment status page of Windows would show while
// a device is set up: which policies, certificates, network profiles and apps
// the server expects, how far they are, and whether the page is over.
//
// # The flow
//
//	Page            follows the page from the nodes of an omadm.Tree
//	  Page.Watch    guards the nodes that a server may only read; before the first session
//	  Page.Begin    a step before the first session has begun,
//	  Page.End      or is over
//	  Page.Report   the page as it is now; after each session
//	Report          the page at one time: State, Deadline, Categories
//	  Category      device preparation, device setup, account setup
//	    Step        one line of the page
//	  Report.Err    why the device was not set up
//
// The page has two scopes, the device and its user. The page of a scope is over
// when the server has said that it has finished and every item it named is
// done, or when something has failed or a deadline has passed. [Page.Report]
// then writes the outcome into the tree, where the server reads it in the next
// session. The scope of the user follows that of the device, and
// pre-provisioning leaves it out.
//
// # Sources and limits
//
// The nodes are those of three configuration service providers: DMClient
// (FirstSyncStatus), EnrollmentStatusTracking and DevicePreparation. How they
// act together is not documented, and neither are the words of the page, which
// are those that Windows 11 shows in English. The package draws no page and
// installs nothing: the caller draws it, and handlers in the tree install.
//
// # Errors
//
// The one error is that of [Report.Err], an [*mdm.Error] with the operation
// "Setup". The package has no error type of its own: it makes no calls, and a
// failure that the page shows is a failure of the enrollment that package mdm
// began.
package esp
