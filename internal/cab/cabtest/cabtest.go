// Package cabtest makes cabinets for tests, whose judge is cabextract.
package cabtest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
)

// blockSize is how many bytes a block has before it is packed.
const blockSize = 32768

const (
	flagPrevious = 1
	flagNext     = 2
	flagReserve  = 4
	attrUTF8     = 0x80
	sizeFolder   = 8
)

// A File is a file to put into a cabinet.
type File struct {
	Name string
	Data []byte
}

// A Folder is a folder of a cabinet that the tests make.
type Folder struct {
	Kind  uint16
	Files []File
	Pack  func(data []byte) []Block // nil for no compression
}

type Block struct {
	Packed []byte
	Size   int
}

// A Cabinet makes cabinets.
type Cabinet struct {
	Folders []Folder
	Reserve []byte // for the header; folders and blocks get 3 and 5 bytes with it
	Names   bool   // puts the name of a cabinet before and of one after
	NoSums  bool
}

// Bytes returns the cabinet.
func (c *Cabinet) Bytes() []byte {
	le := binary.LittleEndian
	header := append([]byte("MSCF"), make([]byte, 32)...)
	header[24], header[25] = 3, 1
	flags, folderReserve, dataReserve := uint16(0), 0, 0
	if c.Reserve != nil {
		flags |= flagReserve
		folderReserve, dataReserve = 3, 5
		header = append(le.AppendUint16(header, uint16(len(c.Reserve))), byte(folderReserve), byte(dataReserve))
		header = append(header, c.Reserve...)
	}
	if c.Names {
		flags |= flagPrevious | flagNext
		header = append(header, "a.cab\x00disk 1\x00c.cab\x00disk 3\x00"...)
	}
	var files, data []byte
	count := 0
	dataAt := make([]int, len(c.Folders))
	blocks := make([]int, len(c.Folders))
	for i, f := range c.Folders {
		var all []byte
		for _, file := range f.Files {
			files = le.AppendUint32(files, uint32(len(file.Data)))
			files = le.AppendUint32(files, uint32(len(all)))
			files = le.AppendUint16(files, uint16(i))
			files = le.AppendUint16(files, (2026-1980)<<9|11<<5|28)
			files = le.AppendUint16(files, 13<<11|57<<5|22)
			files = le.AppendUint16(files, attrUTF8)
			files = append(append(files, file.Name...), 0)
			all = append(all, file.Data...)
			count++
		}
		pack := f.Pack
		if pack == nil {
			pack = packStored
		}
		dataAt[i] = len(data)
		for _, b := range pack(all) {
			var head [4]byte
			le.PutUint16(head[:], uint16(len(b.Packed)))
			le.PutUint16(head[2:], uint16(b.Size))
			sum := checksum(head[:], checksum(b.Packed, 0))
			if c.NoSums {
				sum = 0
			}
			data = append(le.AppendUint32(data, sum), head[:]...)
			data = append(append(data, make([]byte, dataReserve)...), b.Packed...)
			blocks[i]++
		}
	}
	filesAt := len(header) + len(c.Folders)*(sizeFolder+folderReserve)
	out := header
	for i, f := range c.Folders {
		out = le.AppendUint32(out, uint32(filesAt+len(files)+dataAt[i]))
		out = le.AppendUint16(out, uint16(blocks[i]))
		out = le.AppendUint16(out, f.Kind)
		out = append(out, make([]byte, folderReserve)...)
	}
	out = append(append(out, files...), data...)
	le.PutUint32(out[8:], uint32(len(out)))
	le.PutUint32(out[16:], uint32(filesAt))
	le.PutUint16(out[26:], uint16(len(c.Folders)))
	le.PutUint16(out[28:], uint16(count))
	le.PutUint16(out[30:], flags)
	return out
}

func packStored(data []byte) (blocks []Block) {
	for len(data) > 0 {
		n := min(len(data), blockSize)
		blocks = append(blocks, Block{data[:n], n})
		data = data[n:]
	}
	return blocks
}

func packMSZIP(data []byte) (blocks []Block) {
	for at := 0; at < len(data); at += blockSize {
		part := data[at:min(at+blockSize, len(data))]
		out := bytes.NewBufferString("CK")
		w, _ := flate.NewWriterDict(out, 6, data[max(0, at-blockSize):at])
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
		blocks = append(blocks, Block{out.Bytes(), len(part)})
	}
	return blocks
}

// LZX returns a folder in LZX.
func LZX(p LZXPlan, files ...File) Folder {
	return Folder{Kind: uint16(p.Bits)<<8 | 3, Files: files, Pack: p.pack}
}

// MSZIP returns a folder in MSZIP.
func MSZIP(files ...File) Folder { return Folder{Kind: 1, Files: files, Pack: packMSZIP} }

// checksum is CSUMCompute of [MS-CAB] section 3.1.
func checksum(data []byte, sum uint32) uint32 {
	for i, b := range data[:len(data)/4*4] {
		sum ^= uint32(b) << (8 * (i % 4))
	}
	last := uint32(0)
	for _, b := range data[len(data)/4*4:] {
		last = last<<8 | uint32(b)
	}
	return sum ^ last
}
