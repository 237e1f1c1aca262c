package cab

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// Each calls visit for every file of the cabinet, folder by folder, with a reader of
// its bytes. The reader is valid during the call; what visit leaves unread is
// skipped. Its Read fails with an [*Error] where the cabinet is damaged, unsupported
// or over the limit, after the bytes before that; it returns io.EOF only where the
// whole file was read.
//
// Each returns the error of visit, and calls visit no more after that. It returns
// nil in all other cases: what is wrong with a file is told by the file's reader.
func (c *Reader) Each(visit func(f *File, data io.Reader) error) error {
	files, shared := c.byFolder(), &unpackers{budget: c.Limit}
	for i, f := range c.folders {
		s := &stream{c: c, folder: f, unpackers: shared}
		for _, file := range files[i] {
			err := visit(file, s.open(file))
			if err != nil {
				return err
			}
		}
	}
	for _, f := range c.Files {
		if f.folder < len(c.folders) {
			continue
		}
		err := ErrFormat
		switch f.folder {
		case fromPrevious, toNext, previousAndNext:
			err = ErrUnsupported
		}
		broken := &fileReader{name: f.Name, err: &Error{What: "folder", Err: err}}
		if err := visit(f, broken); err != nil {
			return err
		}
	}
	return nil
}

// unpackers are shared by all folders, so that many of them cost no more memory.
type unpackers struct {
	budget int64
	mszip  mszip
	lzx    lzx
}

// A stream unpacks a folder block by block.
type stream struct {
	*unpackers
	c      *Reader
	folder folder
	unpack func(block []byte, size int) ([]byte, error)
	block  int    // index of the next block
	next   int64  // offset of the next block in the cabinet
	rest   []byte // unpacked bytes that nobody has read yet
	at     int64  // offset of rest in the folder
	err    error
}

// open returns a reader of a file, which starts no earlier than what was read before.
func (s *stream) open(f *File) *fileReader {
	r := &fileReader{name: f.Name, s: s, left: f.Size, skip: f.offset}
	if f.offset < s.at && f.Size > 0 {
		r.err = &Error{What: "it overlaps another file", Err: ErrFormat}
	}
	return r
}

// more unpacks the next block if nothing is left of the last.
func (s *stream) more() error {
	if len(s.rest) > 0 || s.err != nil {
		return s.err
	}
	s.rest, s.err = s.readBlock()
	return s.err
}

func (s *stream) readBlock() ([]byte, error) {
	if s.block == s.folder.blocks {
		return nil, &Error{What: "folder", Err: io.ErrUnexpectedEOF}
	}
	if s.block == 0 {
		s.next = s.folder.start
		if err := s.choose(); err != nil {
			return nil, err
		}
	}
	header := make([]byte, sizeData+s.c.dataReserve)
	if err := readAt(s.c.r, header, s.next, "block"); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	packed, size := int(le.Uint16(header[4:])), int(le.Uint16(header[6:]))
	switch {
	case size == 0: // the block continues in the next cabinet
		return nil, &Error{What: "block", Err: ErrUnsupported}
	case packed > maxCompressed || size > maxBlock:
		return nil, &Error{What: "size of a block", Err: ErrFormat}
	case int64(size) > s.budget:
		return nil, &Error{What: "block", Err: ErrLimit}
	}
	data := make([]byte, packed)
	if err := readAt(s.c.r, data, s.next+int64(len(header)), "block"); err != nil {
		return nil, err
	}
	if sum := le.Uint32(header); sum != 0 && sum != checksum(header[4:8], checksum(data, 0)) {
		return nil, &Error{What: "block", Err: ErrChecksum}
	}
	s.block++
	s.next += int64(len(header) + packed)
	s.budget -= int64(size)
	return s.unpack(data, size)
}

// choose sets the decompressor of the folder.
func (s *stream) choose() error {
	kind, window := s.folder.kind&0x0F, int(s.folder.kind>>8&0x1F)
	switch {
	case kind == 0:
		s.unpack = stored
	case kind == 1:
		s.mszip.history = nil
		s.unpack = s.mszip.unpack
	case kind == 3 && window >= 15 && window <= 21:
		s.lzx.reset(window)
		s.unpack = s.lzx.unpack
	case kind == 3:
		return &Error{What: "window of LZX", Err: ErrFormat}
	default:
		return &Error{What: "compression", Err: ErrUnsupported}
	}
	return nil
}

// stored returns a block that is not compressed.
func stored(block []byte, size int) ([]byte, error) {
	if len(block) != size {
		return nil, &Error{What: "size of a stored block", Err: ErrFormat}
	}
	return block, nil
}

// checksum is CSUMCompute of [MS-CAB] section 3.1: the exclusive or of 32-bit words
// in little-endian order. The last one to three bytes count in big-endian order.
func checksum(data []byte, seed uint32) uint32 {
	for ; len(data) >= 4; data = data[4:] {
		seed ^= binary.LittleEndian.Uint32(data)
	}
	var last [4]byte
	copy(last[:], data)
	return seed ^ bits.ReverseBytes32(binary.LittleEndian.Uint32(last[:]))>>(8*(4-uint(len(data))))
}

// A fileReader reads one file of a stream.
type fileReader struct {
	name string
	s    *stream
	skip int64 // offset of the file's next byte in the folder
	left int64
	err  error
}

// Read reads the file's next bytes; see [Reader.Each].
func (r *fileReader) Read(p []byte) (int, error) {
	if r.err == nil && r.left == 0 {
		r.err = io.EOF
	}
	if r.err != nil || len(p) == 0 {
		return 0, r.fail()
	}
	for {
		if r.err = r.s.more(); r.err != nil {
			return 0, r.fail()
		}
		if n := min(r.skip-r.s.at, int64(len(r.s.rest))); n > 0 {
			r.s.drop(int(n))
			continue
		}
		n := copy(p[:min(int64(len(p)), r.left)], r.s.rest)
		r.s.drop(n)
		r.skip += int64(n)
		r.left -= int64(n)
		return n, nil
	}
}

// fail returns the error with the file's name.
func (r *fileReader) fail() error {
	if e, ok := r.err.(*Error); ok && e.File == "" {
		named := *e
		named.File = r.name
		r.err = &named
	}
	return r.err
}

func (s *stream) drop(n int) {
	s.rest = s.rest[n:]
	s.at += int64(n)
}
