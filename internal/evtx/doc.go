// Package evtx reads Windows event logs: .evtx files, and the XML and text that
// Windows' tools export from them.
//
// [NewReader] reads the binary format: a header of 4 kB and chunks of 64 kB, whose
// records hold binary XML ([MS-EVEN6] section 2.2.12). Templates and names are found
// by their offsets in the chunk. Checksums are checked unless the header says that
// there are none. A log that was copied while Windows wrote it ("dirty"), that is cut
// off or that has damaged chunks is read as far as it goes: what is wrong comes as an
// [*Error] between the records.
//
// [ReadXML] and [ReadText] read exports. All three give an [Event], which has the
// parts that every event has and the values that its provider logged. The texts of
// messages are not in a log: they are in files of the machine that wrote it.
package evtx
