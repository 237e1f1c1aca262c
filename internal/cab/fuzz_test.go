package cab

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/whiteglove/whiteglove/internal/cab/cabtest"
)

// FuzzReader checks that foreign bytes end in files or typed errors, within the
// limit, and alike each time.
func FuzzReader(f *testing.F) {
	files := []cabtest.File{{Name: "a", Data: []byte("hello, hello, hello")}, {Name: `b\c`, Data: bytes.Repeat([]byte("0123456789"), 400)}}
	lzx := cabtest.LZXPlan{Bits: 15, Kinds: []int{cabtest.Verbatim, cabtest.Aligned, cabtest.Raw}, Blocks: []int{2000, 301}, Calls: 4000}
	for _, folder := range []cabtest.Folder{
		{Files: files},
		cabtest.MSZIP(files...),
		cabtest.LZX(lzx, files...),
	} {
		f.Add((&cabtest.Cabinet{Folders: []cabtest.Folder{folder}, NoSums: true}).Bytes())
		f.Add((&cabtest.Cabinet{Folders: []cabtest.Folder{folder, folder}, Names: true, Reserve: []byte("r"), NoSums: true}).Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		r.Limit = 1 << 20
		total := int64(0)
		if err := r.Each(func(file *File, data io.Reader) error {
			n, err := io.Copy(io.Discard, data)
			total += n
			var e *Error
			if n > file.Size || err == nil && n < file.Size || err != nil && n == file.Size && n > 0 || err != nil && !errors.As(err, &e) {
				t.Errorf("%q: %d of %d bytes, %v", file.Name, n, file.Size, err)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if total > r.Limit {
			t.Errorf("%d bytes", total)
		}
	})
}

// FuzzLZX feeds the decoder without a cabinet around it.
func FuzzLZX(f *testing.F) {
	data := bytes.Repeat([]byte("0123456789 abc\xE8\x10\x00\x00\x00"), 3000)
	for _, kind := range []int{cabtest.Verbatim, cabtest.Aligned, cabtest.Raw} {
		p := cabtest.LZXPlan{Bits: 15, Kinds: []int{kind}, Blocks: []int{30_001, 5}, Calls: 100_000}
		f.Add(uint8(15), cabtest.LZX(p).Pack(data)[0].Packed)
	}
	f.Fuzz(func(t *testing.T, bits uint8, packed []byte) {
		var d lzx
		d.reset(15 + int(bits%7))
		for range 3 {
			out, err := d.unpack(packed, maxBlock)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("untyped error %v", err)
				}
				return
			}
			if len(out) != maxBlock {
				t.Fatalf("%d bytes", len(out))
			}
		}
	})
}

func BenchmarkLZX(b *testing.B) {
	var data []byte
	for range 20 {
		data = append(data, samples()["text"]...)
	}
	cabinet := (&cabtest.Cabinet{Folders: []cabtest.Folder{cabtest.LZX(cabtest.LZXPlan{Bits: 18, Kinds: []int{cabtest.Verbatim}, Blocks: []int{90_000}}, cabtest.File{Name: "a", Data: data})}}).Bytes()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, errs, err := readAll(cabinet); err != nil || len(errs) > 0 {
			b.Fatal(err, errs)
		}
	}
}
