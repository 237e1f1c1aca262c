// Package cab reads Windows cabinet files ([MS-CAB]).
//
// A cabinet lists files and holds their bytes in folders, each compressed as one
// stream: not at all, with MSZIP ([MS-MCI]) or with LZX (the version of cabinets,
// with windows of 32 kB to 2 MB). The package reads all three and checks each
// block's checksum. It reads neither Quantum nor the parts of a file that lie in
// another cabinet of a set; [Reader.Each] reports such a file and goes on.
//
// A cabinet is hostile until it is read: sizes, counts and offsets are checked
// before memory is taken for them, and a Reader stops at a limit of bytes. Names
// are labels here. The package writes no file.
package cab
