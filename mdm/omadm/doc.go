// Package omadm holds the device's side of management sessions: OMA Device
// Management 1.2 in the profile of [MS-MDM], over TLS that the management
// certificate authenticates.
//
// # The flow
//
//	Tree                the device's nodes, which the server reads and writes
//	  Tree.Apply        the nodes that a provisioning document sets
//	  Tree.Handle       what a command about a node does to the device
//	  Tree.HandleSCEP   certificates that the server orders over SCEP
//	  Tree.MarshalJSON  the nodes to store between sessions
//	Session             where the server is and how the device proves itself
//	  Session.Run       one session: the device's alerts, the server's commands
//	  Session.Unenroll  one session that asks for the end of management
//	Result              what happened in a session
//
// A [Session] posts a first message with the device's description, carries out
// the commands of each answer on its [Tree], and answers each with a status,
// until the server has no more. A server that enrolls a device needs several
// sessions, some time apart; package mdm/esp tells when it has finished.
//
// # Sources and limits
//
// The messages are those of the OMA DM Protocol 1.2 and the OMA DM Representation
// Protocol 1.2, their authentication is OMA DM Security 1.2, the alerts and the
// first message are [MS-MDM]'s. Messages are XML of at most 1 MiB. The binary
// encoding (WBXML), values that are spread over several messages (MoreData),
// alerts for a person to see, and the commands Copy, Move, Put, Search, Sync, Map
// and Correlator are not supported: the commands get status 406. What a server
// sends is limited in size, depth and count, and so is the tree.
//
// # Errors
//
// The error of a session is a [*mdm.Error] with the operation "Session". The
// package has no error type of its own: a session is one more call to the
// server that package mdm enrolls with, fails in the same ways, with the same
// SOAP faults and codes, and has the same remedies. Where the server answered a
// message with a bad status, the error wraps a [*StatusError].
package omadm
