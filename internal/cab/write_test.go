package cab

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"testing"
)

// A testFile is a file to put into a cabinet.
type testFile struct {
	name string
	data []byte
}

// A testFolder is a folder of a cabinet that the tests make.
type testFolder struct {
	kind  uint16
	files []testFile
	pack  func(data []byte) []testBlock // nil for no compression
}

type testBlock struct {
	packed []byte
	size   int
}

// A testCabinet makes cabinets.
type testCabinet struct {
	folders []testFolder
	reserve []byte // for the header; folders and blocks get 3 and 5 bytes with it
	names   bool   // puts the name of a cabinet before and of one after
	noSums  bool
}

func (c *testCabinet) bytes() []byte {
	le := binary.LittleEndian
	header := append([]byte("MSCF"), make([]byte, 32)...)
	header[24], header[25] = 3, 1
	flags, folderReserve, dataReserve := uint16(0), 0, 0
	if c.reserve != nil {
		flags |= flagReserve
		folderReserve, dataReserve = 3, 5
		header = append(le.AppendUint16(header, uint16(len(c.reserve))), byte(folderReserve), byte(dataReserve))
		header = append(header, c.reserve...)
	}
	if c.names {
		flags |= flagPrevious | flagNext
		header = append(header, "a.cab\x00disk 1\x00c.cab\x00disk 3\x00"...)
	}
	var files, data []byte
	count := 0
	dataAt := make([]int, len(c.folders))
	blocks := make([]int, len(c.folders))
	for i, f := range c.folders {
		var all []byte
		for _, file := range f.files {
			files = le.AppendUint32(files, uint32(len(file.data)))
			files = le.AppendUint32(files, uint32(len(all)))
			files = le.AppendUint16(files, uint16(i))
			files = le.AppendUint16(files, (2026-1980)<<9|11<<5|28)
			files = le.AppendUint16(files, 13<<11|57<<5|22)
			files = le.AppendUint16(files, attrUTF8)
			files = append(append(files, file.name...), 0)
			all = append(all, file.data...)
			count++
		}
		pack := f.pack
		if pack == nil {
			pack = packStored
		}
		dataAt[i] = len(data)
		for _, b := range pack(all) {
			var head [4]byte
			le.PutUint16(head[:], uint16(len(b.packed)))
			le.PutUint16(head[2:], uint16(b.size))
			sum := checksum(head[:], checksum(b.packed, 0))
			if c.noSums {
				sum = 0
			}
			data = append(le.AppendUint32(data, sum), head[:]...)
			data = append(append(data, make([]byte, dataReserve)...), b.packed...)
			blocks[i]++
		}
	}
	filesAt := len(header) + len(c.folders)*(sizeFolder+folderReserve)
	out := header
	for i, f := range c.folders {
		out = le.AppendUint32(out, uint32(filesAt+len(files)+dataAt[i]))
		out = le.AppendUint16(out, uint16(blocks[i]))
		out = le.AppendUint16(out, f.kind)
		out = append(out, make([]byte, folderReserve)...)
	}
	out = append(append(out, files...), data...)
	le.PutUint32(out[8:], uint32(len(out)))
	le.PutUint32(out[16:], uint32(filesAt))
	le.PutUint16(out[26:], uint16(len(c.folders)))
	le.PutUint16(out[28:], uint16(count))
	le.PutUint16(out[30:], flags)
	return out
}

func packStored(data []byte) (blocks []testBlock) {
	for len(data) > 0 {
		n := min(len(data), maxBlock)
		blocks = append(blocks, testBlock{data[:n], n})
		data = data[n:]
	}
	return blocks
}

func packMSZIP(data []byte) (blocks []testBlock) {
	for at := 0; at < len(data); at += maxBlock {
		part := data[at:min(at+maxBlock, len(data))]
		out := bytes.NewBufferString("CK")
		w, _ := flate.NewWriterDict(out, 6, data[max(0, at-maxBlock):at])
		w.Write(part)
		w.Close()
		if out.Len() > len(part)/2 {
			// cabextract refuses a code of one distance, which compress/flate
			// writes where nothing repeats.
			out.Truncate(2)
			out.WriteByte(1)
			binary.Write(out, binary.LittleEndian, [2]uint16{uint16(len(part)), ^uint16(len(part))})
			out.Write(part)
		}
		blocks = append(blocks, testBlock{out.Bytes(), len(part)})
	}
	return blocks
}

// lzxFolder returns a folder in LZX.
func lzxFolder(p lzxPlan, files ...testFile) testFolder {
	return testFolder{kind: uint16(p.bits)<<8 | 3, files: files, pack: p.pack}
}

func TestChecksum(t *testing.T) {
	// Computed by hand from CSUMCompute: the words, then the odd bytes big-endian.
	if got, want := checksum([]byte{1, 2, 3, 4, 5, 6, 7}, 0), uint32(0x04030201^0x00050607); got != want {
		t.Errorf("checksum = %#x, want %#x", got, want)
	}
}
