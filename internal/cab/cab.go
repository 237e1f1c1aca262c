package cab

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Errors that an [*Error] wraps.
var (
	// ErrFormat is wrapped where bytes break the format.
	ErrFormat = errors.New("not a well-formed cabinet")

	// ErrChecksum is wrapped where a block does not match its checksum.
	ErrChecksum = errors.New("the checksum of a block is wrong")

	// ErrUnsupported is wrapped for a file in Quantum compression, or a part of a
	// set of cabinets.
	ErrUnsupported = errors.New("unsupported by this reader")

	// ErrLimit is wrapped where reading on would exceed [Reader.Limit].
	ErrLimit = errors.New("the cabinet unpacks to more than the limit")
)

// An Error tells what is wrong with a cabinet. It wraps one of the sentinels above,
// io.ErrUnexpectedEOF if the cabinet ends too early, or the error of its io.ReaderAt.
type Error struct {
	File string // name of the file concerned, empty for the cabinet itself
	What string // what was read
	Err  error
}

// Error returns e in one line.
func (e *Error) Error() string {
	if e.File != "" {
		return fmt.Sprintf("cab: %q: %s: %v", e.File, e.What, e.Err)
	}
	return fmt.Sprintf("cab: %s: %v", e.What, e.Err)
}

// Unwrap returns the error that e wraps.
func (e *Error) Unwrap() error { return e.Err }

// A File is an entry of a cabinet's list.
type File struct {
	// Name is the path in the cabinet, with slashes. It is foreign text and may
	// hold "..", a drive or control characters.
	Name string

	// Size is in bytes.
	Size int64

	// Modified is the local time of the machine that made the cabinet, to 2
	// seconds, given as UTC because the zone is unknown. It is the zero Time if the
	// cabinet has none.
	Modified time.Time

	folder int // index, or one of the constants below
	offset int64
}

// Folder indexes of files that another cabinet has a part of ([MS-CAB] section 2.3).
const (
	fromPrevious    = 0xFFFD
	toNext          = 0xFFFE
	previousAndNext = 0xFFFF
)

// A Reader reads one cabinet. It is not safe for concurrent use.
type Reader struct {
	// Files are those that the cabinet lists, in its order.
	Files []*File

	// Limit is how many bytes Each unpacks, those that it skips included. It is
	// 1 GiB at first.
	Limit int64

	r           io.ReaderAt
	folders     []folder
	dataReserve int
}

type folder struct {
	start  int64 // offset of the first block
	blocks int
	kind   uint16
}

// Flags of a cabinet and an attribute of a file.
const (
	flagPrevious = 1
	flagNext     = 2
	flagReserve  = 4
	attrUTF8     = 0x80
)

// Sizes in bytes, all of [MS-CAB] section 2.
const (
	sizeHeader    = 36
	sizeFolder    = 8
	sizeFile      = 16
	sizeData      = 8
	maxName       = 256
	maxListing    = 65535 * (sizeFile + maxName + 1)
	maxBlock      = 32768
	maxCompressed = maxBlock + 6144
)

// NewReader reads the lists of a cabinet of size bytes. The error is an [*Error]. It
// wraps [ErrFormat] if r holds no cabinet, io.ErrUnexpectedEOF if the lists are cut
// off, or the error of r.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	c := &Reader{r: r, Limit: 1 << 30}
	if err := c.readLists(size); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Reader) readLists(size int64) error {
	header := make([]byte, sizeHeader)
	if err := readAt(c.r, header, 0, "header"); err != nil {
		return err
	}
	if string(header[:4]) != "MSCF" || header[25] != 1 {
		return &Error{What: "header", Err: ErrFormat}
	}
	le := binary.LittleEndian
	filesAt := int64(le.Uint32(header[16:]))
	folders, files, flags := int(le.Uint16(header[26:])), int(le.Uint16(header[28:])), le.Uint16(header[30:])
	pos, folderReserve := int64(sizeHeader), 0
	if flags&flagReserve != 0 {
		reserve := make([]byte, 4)
		if err := readAt(c.r, reserve, pos, "reserved sizes"); err != nil {
			return err
		}
		pos += 4 + int64(le.Uint16(reserve))
		folderReserve, c.dataReserve = int(reserve[2]), int(reserve[3])
	}
	for range nameCount(flags) {
		n, err := nameLength(c.r, pos)
		if err != nil {
			return err
		}
		pos += n
	}
	entry := make([]byte, sizeFolder+folderReserve)
	for range folders {
		if err := readAt(c.r, entry, pos, "list of folders"); err != nil {
			return err
		}
		c.folders = append(c.folders, folder{int64(le.Uint32(entry)), int(le.Uint16(entry[4:])), le.Uint16(entry[6:])})
		pos += int64(len(entry))
	}
	return c.readFiles(filesAt, files, size)
}

// nameCount returns how many names of other cabinets and disks follow the header.
func nameCount(flags uint16) (n int) {
	if flags&flagPrevious != 0 {
		n += 2
	}
	if flags&flagNext != 0 {
		n += 2
	}
	return n
}

func (c *Reader) readFiles(pos int64, files int, size int64) error {
	listing := make([]byte, max(0, min(size-pos, maxListing, int64(files)*(sizeFile+maxName+1))))
	if n, err := c.r.ReadAt(listing, pos); n < len(listing) {
		return &Error{What: "list of files", Err: eof(err)}
	}
	le := binary.LittleEndian
	for range files {
		if len(listing) < sizeFile {
			return &Error{What: "list of files", Err: io.ErrUnexpectedEOF}
		}
		name, rest, found := bytes.Cut(listing[sizeFile:], []byte{0})
		if !found {
			return &Error{What: "list of files", Err: io.ErrUnexpectedEOF}
		}
		if len(name) > maxName {
			return &Error{What: "name of a file", Err: ErrFormat}
		}
		c.Files = append(c.Files, &File{
			Name:     fileName(name, le.Uint16(listing[14:])),
			Size:     int64(le.Uint32(listing)),
			offset:   int64(le.Uint32(listing[4:])),
			folder:   int(le.Uint16(listing[8:])),
			Modified: dosTime(le.Uint16(listing[10:]), le.Uint16(listing[12:])),
		})
		listing = rest
	}
	return nil
}

// fileName returns a name with slashes. Names are in UTF-8 if the attribute says so;
// the code page of others is unknown, and Latin 1 is taken for it.
func fileName(name []byte, attributes uint16) string {
	s := string(name)
	if attributes&attrUTF8 == 0 || !utf8.Valid(name) {
		runes := make([]rune, len(name))
		for i, b := range name {
			runes[i] = rune(b)
		}
		s = string(runes)
	}
	return strings.ReplaceAll(s, `\`, "/")
}

// dosTime returns the time of a date and a time of MS-DOS.
func dosTime(date, clock uint16) time.Time {
	if date == 0 {
		return time.Time{}
	}
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31),
		int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}

// nameLength returns the length of a name that ends with a zero byte, with that.
func nameLength(r io.ReaderAt, pos int64) (int64, error) {
	buf := make([]byte, maxName)
	n, err := r.ReadAt(buf, pos)
	if i := bytes.IndexByte(buf[:n], 0); i >= 0 {
		return int64(i) + 1, nil
	}
	if n < len(buf) {
		return 0, &Error{What: "name of another cabinet", Err: eof(err)}
	}
	return 0, &Error{What: "name of another cabinet", Err: ErrFormat}
}

func readAt(r io.ReaderAt, p []byte, pos int64, what string) error {
	if n, err := r.ReadAt(p, pos); n < len(p) {
		return &Error{What: what, Err: eof(err)}
	}
	return nil
}

func eof(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// byFolder returns the files of each folder in the order of their bytes.
func (c *Reader) byFolder() [][]*File {
	files := make([][]*File, len(c.folders))
	for _, f := range c.Files {
		if f.folder < len(files) {
			files[f.folder] = append(files[f.folder], f)
		}
	}
	for _, list := range files {
		slices.SortStableFunc(list, func(a, b *File) int { return cmp.Compare(a.offset, b.offset) })
	}
	return files
}
