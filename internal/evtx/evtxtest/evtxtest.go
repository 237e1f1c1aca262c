// Package evtxtest writes Windows event logs for tests, as Windows does: in chunks
// with checksums, names by their offset, templates with values, and the data of an
// event as a template within a value. evtxexport reads what it writes.
package evtxtest

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// An Event is one to write.
type Event struct {
	Provider string
	ID       uint16
	Level    uint8
	Time     time.Time
	Channel  string
	Computer string
	Data     []Datum
	UserData string // name of an element in UserData that holds Data, "" for EventData
}

// A Datum is a value with its name; a classic event has no names. Value may be nil,
// a string, []string, bool, a number of a fixed size, []byte, time.Time for a
// FILETIME, or one of the types below.
type Datum struct {
	Name  string
	Value any
}

// Types of values that Go has none for.
type (
	Hex32      uint32
	Hex64      uint64
	GUID       [16]byte
	SID        []byte
	SystemTime time.Time
	Ansi       string
)

// Options are for the whole log.
type Options struct {
	Dirty  bool // as if copied while Windows writes it
	NoSums bool // no checksums, and a flag that says so
}

const (
	chunkSize  = 65536
	chunkStart = 512
)

// Log returns a log of events, which are numbered from 1 on. It panics if an event is
// too large for a chunk.
func Log(events []Event, o Options) []byte {
	le := binary.LittleEndian
	header := make([]byte, 4096)
	copy(header, "ElfFile\x00")
	log := header
	w := newChunk()
	first, number := uint64(1), uint64(0)
	flush := func() {
		log = append(log, w.finish(first, number, o)...)
		w, first = newChunk(), number+1
	}
	for i := range events {
		if !w.record(number+1, &events[i]) {
			flush()
			if !w.record(number+1, &events[i]) {
				panic("evtxtest: the event is too large")
			}
		}
		number++
	}
	flush()
	chunks := len(log) / chunkSize
	le.PutUint64(header[16:], uint64(chunks-1))
	le.PutUint64(header[24:], number+1)
	le.PutUint32(header[32:], 128)
	le.PutUint16(header[36:], 1)
	le.PutUint16(header[38:], 3)
	le.PutUint16(header[40:], 4096)
	le.PutUint16(header[42:], uint16(chunks))
	if o.Dirty {
		header[120] |= 1
		le.PutUint16(header[42:], 1) // Windows updates it on closing
	}
	if o.NoSums {
		header[120] |= 4
	} else {
		le.PutUint32(header[124:], crc32.ChecksumIEEE(header[:120]))
	}
	copy(log, header)
	return log
}

// finish returns the chunk with its header.
func (w *chunk) finish(first, last uint64, o Options) []byte {
	le, free := binary.LittleEndian, len(w.buf)
	b := append(w.buf, make([]byte, chunkSize-free)...)
	copy(b, "ElfChnk\x00")
	le.PutUint64(b[8:], first)
	le.PutUint64(b[16:], last)
	le.PutUint64(b[24:], first)
	le.PutUint64(b[32:], last)
	le.PutUint32(b[40:], 128)
	le.PutUint32(b[44:], uint32(w.lastRecord))
	le.PutUint32(b[48:], uint32(free))
	if !o.NoSums {
		le.PutUint32(b[52:], crc32.ChecksumIEEE(b[chunkStart:free]))
		sum := crc32.ChecksumIEEE(b[:120])
		le.PutUint32(b[124:], crc32.Update(sum, crc32.IEEETable, b[128:chunkStart]))
	}
	return b
}

func filetime(t time.Time) uint64 {
	return uint64(t.Unix()+11644473600)*1e7 + uint64(t.Nanosecond()/100)
}
