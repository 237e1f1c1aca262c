package evtx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"time"
)

// Errors that an [*Error] wraps.
var (
	// ErrFormat is wrapped where bytes break the format.
	ErrFormat = errors.New("not well-formed")

	// ErrChecksum is wrapped where a header or the records of a chunk do not match
	// their checksum. Records of such a chunk that are well-formed follow all the
	// same.
	ErrChecksum = errors.New("the checksum is wrong")

	// ErrLimit is wrapped where a chunk's records would unfold to more than 4 MB.
	ErrLimit = errors.New("the records of the chunk are too large")
)

// An Error tells what is wrong with a log. It wraps one of the sentinels above,
// io.ErrUnexpectedEOF if the log is cut off, or the error of the underlying reader.
type Error struct {
	Chunk  int    // index of the chunk, -1 for the header or an export
	Record uint64 // number of the record, 0 if unknown
	What   string // what was read
	Err    error
}

// Error returns e in one line.
func (e *Error) Error() string {
	s := "evtx: "
	if e.Chunk >= 0 {
		s += fmt.Sprintf("chunk %d: ", e.Chunk)
	}
	if e.Record > 0 {
		s += fmt.Sprintf("record %d: ", e.Record)
	}
	return s + e.What + ": " + e.Err.Error()
}

// Unwrap returns the error that e wraps.
func (e *Error) Unwrap() error { return e.Err }

// A Record is one record of a binary log.
type Record struct {
	Number  uint64
	Written time.Time
	Root    *Element
}

// A Reader reads one binary log.
type Reader struct {
	// Dirty tells that Windows had the log open when it was copied.
	Dirty bool

	r      io.Reader
	noSums bool
	damage error // of the header
}

// Sizes in bytes, and offsets in the headers.
const (
	sizeHeader      = 4096
	sizeChunk       = 65536
	sizeChunkHeader = 512
	sizeRecord      = 24 // without binary XML and the size at the end
	flagDirty       = 1
	flagNoSums      = 4
)

// NewReader reads the header of a log. The error is an [*Error]. It wraps
// [ErrFormat] if r holds no log, io.ErrUnexpectedEOF if it ends within the header, or
// the error of r.
func NewReader(r io.Reader) (*Reader, error) {
	header := make([]byte, sizeHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, &Error{Chunk: -1, What: "header", Err: eof(err)}
	}
	le := binary.LittleEndian
	if string(header[:8]) != "ElfFile\x00" || le.Uint16(header[38:]) != 3 {
		return nil, &Error{Chunk: -1, What: "header", Err: ErrFormat}
	}
	flags := le.Uint32(header[120:])
	log := &Reader{r: r, Dirty: flags&flagDirty != 0, noSums: flags&flagNoSums != 0}
	if !log.noSums && crc32.ChecksumIEEE(header[:120]) != le.Uint32(header[124:]) {
		log.damage = &Error{Chunk: -1, What: "header", Err: ErrChecksum}
	}
	return log, nil
}

func eof(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Records returns the records in the order of the file, each with a nil error, and
// between them what is wrong with the log: a nil record and an [*Error], which can
// wrap every sentinel of this package, io.ErrUnexpectedEOF and the error of the
// underlying reader. It can be called once.
func (l *Reader) Records() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if l.damage != nil && !yield(nil, l.damage) {
			return
		}
		buf := make([]byte, sizeChunk)
		for index := 0; ; index++ {
			n, err := io.ReadFull(l.r, buf)
			c := &chunk{index: index, data: buf[:n], budget: chunkBudget, templates: map[uint32]*template{}, yield: yield}
			if n > 0 && !c.read(l.noSums) {
				return
			}
			switch {
			case err == io.EOF:
				return
			case err == io.ErrUnexpectedEOF:
				c.damage(0, "end of the file", err)
				return
			case err != nil:
				yield(nil, &Error{Chunk: index, What: "chunk", Err: err})
				return
			}
		}
	}
}

// A chunk is a part of a log with names and templates of its own.
type chunk struct {
	index     int
	data      []byte
	budget    int
	templates map[uint32]*template
	yield     func(*Record, error) bool
	damaged   int // errors of records so far
}

// maxDamage is how many errors of records in a chunk are yielded. After that they
// are counted.
const maxDamage = 3

// damage yields an error. It reports whether to go on.
func (c *chunk) damage(record uint64, what string, err error) bool {
	return c.yield(nil, &Error{Chunk: c.index, Record: record, What: what, Err: err})
}

// recordDamage yields an error of a record unless there were many.
func (c *chunk) recordDamage(record uint64, what string, err error) bool {
	if c.damaged++; c.damaged > maxDamage {
		return true
	}
	return c.damage(record, what, err)
}

// read yields the records of the chunk. It reports whether to go on.
func (c *chunk) read(noSums bool) bool {
	if zero(c.data) {
		return true // never used
	}
	end, sound := len(c.data), false
	switch {
	case len(c.data) < sizeChunkHeader:
		return true // its end is reported
	case string(c.data[:8]) != "ElfChnk\x00":
		if !c.damage(0, "signature of the chunk", ErrFormat) {
			return false
		}
	default:
		le := binary.LittleEndian
		free := le.Uint32(c.data[48:])
		what := c.check(free, noSums)
		if what == "" && free >= sizeChunkHeader && free <= sizeChunk {
			end, sound = min(end, int(free)), true
		} else if what != "" && !c.damage(0, what, ErrChecksum) {
			return false
		}
	}
	if !c.records(end, sound) {
		return false
	}
	if n := c.damaged - maxDamage; n > 0 {
		return c.damage(0, fmt.Sprintf("%d more records", n), ErrFormat)
	}
	return true
}

// check returns which checksum of the chunk is wrong, or "".
func (c *chunk) check(free uint32, noSums bool) string {
	le := binary.LittleEndian
	if noSums {
		return ""
	}
	sum := crc32.ChecksumIEEE(c.data[:120])
	sum = crc32.Update(sum, crc32.IEEETable, c.data[128:sizeChunkHeader])
	if sum != le.Uint32(c.data[124:]) {
		return "header of the chunk"
	}
	if free < sizeChunkHeader || int(free) > len(c.data) {
		if len(c.data) < sizeChunk {
			return "" // the end that is missing is reported
		}
		return "size of the records"
	}
	if crc32.ChecksumIEEE(c.data[sizeChunkHeader:free]) != le.Uint32(c.data[52:]) {
		return "records of the chunk"
	}
	return ""
}

// records yields the records up to end. Where the header of the chunk is not sound,
// end is a guess, and records of an earlier use of the chunk may follow the last: so
// a number that does not fit ends the chunk.
func (c *chunk) records(end int, sound bool) bool {
	le, last, lastEnd := binary.LittleEndian, uint64(0), sizeChunkHeader
	for pos := sizeChunkHeader; pos+sizeRecord+4 <= end; {
		head := c.data[pos:]
		size := int(le.Uint32(head[4:]))
		if le.Uint32(head) != recordSignature || size < sizeRecord+4 || size > sizeChunk {
			next := c.resync(pos, end)
			if (sound || next < end) && !zero(c.data[pos:end]) && !c.recordDamage(0, fmt.Sprintf("record at offset %d", pos), ErrFormat) {
				return false
			}
			pos = next
			continue
		}
		number := le.Uint64(head[8:])
		if lost := uint64(pos-lastEnd) / sizeRecord; !sound && last > 0 && (number <= last || number-last > 1+lost) {
			return true
		}
		if pos+size > end {
			return c.recordDamage(number, "record", io.ErrUnexpectedEOF)
		}
		if int(le.Uint32(head[size-4:])) != size {
			if !c.recordDamage(number, "size of the record", ErrFormat) {
				return false
			}
			pos = c.resync(pos, end)
			continue
		}
		root, err := c.parseRecord(pos+sizeRecord, pos+size-4)
		if err != nil {
			if !c.recordDamage(number, "record", err) {
				return false
			}
		} else if !c.yield(&Record{Number: number, Written: filetime(le.Uint64(head[16:])), Root: root}, nil) {
			return false
		}
		pos += size
		last, lastEnd = number, pos
	}
	return true
}

const recordSignature = 0x00002A2A

// resync returns the offset after pos at which a record starts, or end.
func (c *chunk) resync(pos, end int) int {
	for pos += 4; pos+sizeRecord+4 <= end; pos += 4 {
		head := c.data[pos:]
		size := binary.LittleEndian.Uint32(head[4:])
		if binary.LittleEndian.Uint32(head) == recordSignature && int64(size) <= int64(end-pos) && size >= sizeRecord+4 &&
			binary.LittleEndian.Uint32(head[size-4:]) == size {
			return pos
		}
	}
	return end
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// filetime returns the time of a FILETIME: 100 ns since 1601, or the zero Time for 0
// or a time past the year 9999.
func filetime(v uint64) time.Time {
	const epoch = 11644473600
	if v == 0 || v > 2650467743999999999 {
		return time.Time{}
	}
	return time.Unix(int64(v/1e7)-epoch, int64(v%1e7)*100).UTC()
}
