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
// [MS-MDM] says which parts of OMA DM 1.2 Windows uses, and how: its sections
// 2.2.3 to 2.2.7 have the elements of messages, the statuses (2.2.6.1) and the
// commands (2.2.7). The statuses are those of the SyncML Representation
// Protocol 1.2.2, section 10; the digest is that of OMA DM Security 1.2.
//
// Messages are XML. The binary encoding (WBXML), values that are spread over
// several messages (MoreData), alerts for a person to see, and the commands
// Copy, Move, Put, Search, Sync, Map and Correlator are not supported; such
// commands get status 406. A message may have 1 MiB, 50000 elements and 32
// levels. A tree may have 50000 nodes, 32 levels and 16 MiB of values.
//
// # Errors
//
// The error of a session is an [*mdm.Error] with the operation "Session". The
// package has no error type of its own: a session is one more call to the
// server that package mdm enrolls with. It fails in the same ways, with the
// same SOAP faults and codes, and has the same remedies. If the server refused
// a message of the device, the error wraps a [*StatusError].
package omadm
