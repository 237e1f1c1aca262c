package cab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cab/cabtest"
	"github.com/whiteglove/whiteglove/internal/tooltest"
)

// samples are data of several kinds.
func samples() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 70_001)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	var text, calls bytes.Buffer
	for i := range 9000 {
		fmt.Fprintf(&text, "%d: event %d of provider %d\r\n", i, r.IntN(900), r.IntN(9))
		calls.Write([]byte{0x55, 0x8B, 0xEC, 0xE8, byte(r.Uint32()), byte(r.Uint32()), byte(r.IntN(2)), 0, 0xC3})
		calls.Write([]byte{0xE8, byte(r.Uint32()), byte(r.Uint32()), 0xFF, 0xFF})
	}
	return map[string][]byte{
		"random": random, "text": text.Bytes(), "calls": calls.Bytes(),
		"zeros": make([]byte, 100_000), "one": {7}, "empty": {}, "frame": random[:maxBlock],
	}
}

// readAll returns what a cabinet holds.
func readAll(cabinet []byte) (map[string][]byte, map[string]error, error) {
	c, err := NewReader(bytes.NewReader(cabinet), int64(len(cabinet)))
	if err != nil {
		return nil, nil, err
	}
	files, errs := map[string][]byte{}, map[string]error{}
	err = c.Each(func(f *File, data io.Reader) error {
		b, err := io.ReadAll(data)
		files[f.Name] = b
		if err != nil {
			errs[f.Name] = err
		}
		return nil
	})
	return files, errs, err
}

// agree checks that this package and cabextract read files from a cabinet.
func agree(t *testing.T, cabinet []byte, want []cabtest.File) {
	t.Helper()
	got, errs, err := readAll(cabinet)
	if err != nil || len(errs) > 0 {
		t.Fatal(err, errs)
	}
	for _, f := range want {
		if !bytes.Equal(got[f.Name], f.Data) {
			t.Errorf("%s: %d bytes differ from the %d packed", f.Name, len(got[f.Name]), len(f.Data))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	tool, err := exec.LookPath("cabextract")
	if err != nil {
		tooltest.Path(t, "cabextract")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "in.cab")
	if err := os.WriteFile(path, cabinet, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "-q", "-d", filepath.Join(dir, "out"), path).CombinedOutput(); err != nil {
		t.Fatalf("cabextract: %v: %s", err, out)
	}
	for _, f := range want {
		b, err := os.ReadFile(filepath.Join(dir, "out", filepath.FromSlash(f.Name)))
		if err != nil || !bytes.Equal(b, f.Data) {
			t.Errorf("cabextract reads %s otherwise: %v", f.Name, err)
		}
	}
}

func sampleFiles() (files []cabtest.File) {
	for _, name := range []string{"text", "random", "one", "empty", "calls", "zeros", "frame"} {
		files = append(files, cabtest.File{Name: name + ".bin", Data: samples()[name]})
	}
	return files
}

func TestStoredAndMSZIP(t *testing.T) {
	files := sampleFiles()
	for name, c := range map[string]*cabtest.Cabinet{
		"stored":      {Folders: []cabtest.Folder{{Files: files}}},
		"mszip":       {Folders: []cabtest.Folder{cabtest.MSZIP(files...)}},
		"two folders": {Folders: []cabtest.Folder{{Files: files[:3]}, cabtest.MSZIP(files[3:]...)}},
		"reserved":    {Folders: []cabtest.Folder{cabtest.MSZIP(files...)}, Reserve: []byte("for somebody")},
		"no sums":     {Folders: []cabtest.Folder{cabtest.MSZIP(files...)}, NoSums: true},
	} {
		t.Run(name, func(t *testing.T) { agree(t, c.Bytes(), files) })
	}
	// cabextract goes on to the other cabinets of a set, so it does not judge this.
	got, errs, err := readAll((&cabtest.Cabinet{Folders: []cabtest.Folder{{Files: files}}, Names: true, Reserve: []byte{}}).Bytes())
	if err != nil || len(errs) > 0 || !bytes.Equal(got["text.bin"], files[0].Data) {
		t.Errorf("part of a set: %v, %v", err, errs)
	}
}

func TestLZX(t *testing.T) {
	files := sampleFiles()
	plans := map[string]cabtest.LZXPlan{
		"verbatim": {Kinds: []int{cabtest.Verbatim}, Blocks: []int{50_000}},
		"aligned":  {Kinds: []int{cabtest.Aligned}, Blocks: []int{40_000, 100}},
		"raw":      {Kinds: []int{cabtest.Raw}, Blocks: []int{70_000}},
		"raw odd":  {Kinds: []int{cabtest.Raw}, Blocks: []int{20_001, 1, 12_766, 33_333}},
		"mixed":    {Kinds: []int{cabtest.Verbatim, cabtest.Raw, cabtest.Aligned}, Blocks: []int{9_999, 32_768, 1, 2, 70_000}},
		"calls":    {Kinds: []int{cabtest.Verbatim, cabtest.Raw}, Blocks: []int{60_000, 3001}, Calls: 200_000},
		"one bl.":  {Kinds: []int{cabtest.Verbatim}, Blocks: []int{1 << 23}, Calls: 12_000_000},
	}
	for bits := 15; bits <= 21; bits++ {
		for name, p := range plans {
			if bits%3 != 0 && name != "mixed" {
				continue
			}
			t.Run(fmt.Sprint(name, " ", bits), func(t *testing.T) {
				p.Bits, p.Seed = bits, uint64(bits)
				agree(t, (&cabtest.Cabinet{Folders: []cabtest.Folder{cabtest.LZX(p, files...)}}).Bytes(), files)
			})
		}
	}
}

// TestLZXCalls has calls at the edges of what is translated: the ends of frames, and
// targets that are 0, the last or the first beyond.
func TestLZXCalls(t *testing.T) {
	const size = 20_000
	call := func(target int) []byte {
		return binary.LittleEndian.AppendUint32([]byte{0xE8}, uint32(int32(target)))
	}
	var long []byte
	for _, f := range []func(at int) int{
		func(at int) int { return -at },
		func(at int) int { return -at - 1 },
		func(at int) int { return size - at - 1 },
		func(at int) int { return size - at },
		func(at int) int { return size - 1 },
		func(at int) int { return size },
		func(int) int { return 0 },
	} {
		for range 3 {
			at := len(long)
			long = append(append(long, call(f(at))...), 1, 2, 3)
		}
	}
	for n := 8; n <= 16; n++ {
		short := append(call(5), make([]byte, n)...)[:n]
		data := append(append(make([]byte, maxBlock-len(long)-n), long...), append(short, short...)...)
		for name, file := range map[string][]byte{"short": short, "long": long, "frames": data} {
			files := []cabtest.File{{Name: name, Data: file}}
			plan := cabtest.LZXPlan{Bits: 16, Kinds: []int{cabtest.Verbatim}, Blocks: []int{40_000}, Calls: size}
			b := (&cabtest.Cabinet{Folders: []cabtest.Folder{cabtest.LZX(plan, files...)}}).Bytes()
			if n == 10 || n == 11 {
				agree(t, b, files)
			} else if got, errs, err := readAll(b); err != nil || len(errs) > 0 || !bytes.Equal(got[name], file) {
				t.Errorf("%s, %d: %v, %v", name, n, err, errs)
			}
		}
	}
}

// TestLZXReach lets a match reach back to the first byte of the data or of the window,
// and no further: what lies there is of another folder.
func TestLZXReach(t *testing.T) {
	for _, c := range []struct {
		before  int // bytes before the match
		offset  uint32
		reaches bool
	}{
		{10, 1, true},
		{10, 10, true},
		{10, 11, false},
		{10, 0, false},
		{10, 1 << 15, false},
		{10, 1<<32 - 1, false},
		{32_758, 32_758, true},
		{32_758, 32_759, false},
		{40_000, 1 << 15, true},
		{40_000, 1<<15 + 1, false},
		{40_000, 40_000, false},
	} {
		// All bytes are the same, so the match takes the last offset, which stands
		// in the head of the raw block.
		plan := cabtest.LZXPlan{Bits: 15, Kinds: []int{cabtest.Raw, cabtest.Verbatim}, Blocks: []int{c.before, 10}}
		blocks := cabtest.LZX(plan).Pack(bytes.Repeat([]byte{7}, c.before+10))
		head := bytes.Index(blocks[0].Packed, []byte{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0})
		binary.LittleEndian.PutUint32(blocks[0].Packed[head:], c.offset)
		var d lzx
		d.reset(15)
		copy(d.window, bytes.Repeat([]byte("secret"), len(d.window)))
		var err error
		for _, b := range blocks {
			if _, err = d.unpack(b.Packed, b.Size); err != nil {
				break
			}
		}
		if (err == nil) != c.reaches || err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestManyLZXFolders(t *testing.T) {
	var folders []cabtest.Folder
	var files []cabtest.File
	for i := range 300 {
		file := cabtest.File{Name: fmt.Sprint(i), Data: []byte(fmt.Sprint("this is file ", i, " of this is file"))}
		files = append(files, file)
		folders = append(folders, cabtest.LZX(cabtest.LZXPlan{Bits: 15 + i%7, Kinds: []int{cabtest.Verbatim}, Blocks: []int{100}}, file))
	}
	cabinet := (&cabtest.Cabinet{Folders: folders}).Bytes()
	agree(t, cabinet, files)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := readAll(cabinet); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d bytes for 300 small folders", n)
	}
}

func TestGcab(t *testing.T) {
	tool := tooltest.Path(t, "gcab")
	files := sampleFiles()
	dir := t.TempDir()
	args := []string{"-c", "-z", "-n", filepath.Join(dir, "out.cab")}
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	for _, zip := range []bool{true, false} {
		if !zip {
			args = append(args[:1], args[2:]...)
		}
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Fatalf("gcab: %v: %s", err, out)
		}
		cabinet, err := os.ReadFile(filepath.Join(dir, "out.cab"))
		if err != nil {
			t.Fatal(err)
		}
		agree(t, cabinet, files)
	}
}

func TestLists(t *testing.T) {
	c := &cabtest.Cabinet{Folders: []cabtest.Folder{{Files: []cabtest.File{{Name: `a\b\ü.txt`, Data: []byte("x")}, {Name: "../c", Data: []byte("yz")}}}}}
	b := c.Bytes()
	r, err := NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f := r.Files[0]
	if f.Name != "a/b/ü.txt" || f.Size != 1 || !f.Modified.Equal(time.Date(2026, 11, 28, 13, 57, 44, 0, time.UTC)) {
		t.Errorf("%+v", f)
	}
	b[bytes.Index(b, []byte("ü"))-4-1-4] = 0 // the attributes: the name is in no known code page
	i := bytes.Index(b, []byte(`a\b`))
	b[i-2] = 0
	if r, err = NewReader(bytes.NewReader(b), int64(len(b))); err != nil || r.Files[0].Name != "a/b/Ã¼.txt" {
		t.Errorf("%v %v", r.Files[0], err)
	}
	for n := range len(b) - 12 {
		if _, err := NewReader(bytes.NewReader(b[:n]), int64(n)); n < 36+8+2*17+9+4 && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrFormat) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	var e *Error
	if _, err := NewReader(strings.NewReader("PK\x03\x04"+strings.Repeat(" ", 99)), 103); !errors.As(err, &e) || !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestDamage(t *testing.T) {
	files := sampleFiles()
	for name, kind := range map[string]cabtest.Folder{
		"stored": {Files: files},
		"mszip":  cabtest.MSZIP(files...),
		"lzx":    cabtest.LZX(cabtest.LZXPlan{Bits: 16, Kinds: []int{cabtest.Verbatim, cabtest.Raw}, Blocks: []int{50_000, 111}}, files...),
	} {
		t.Run(name, func(t *testing.T) {
			whole := (&cabtest.Cabinet{Folders: []cabtest.Folder{kind, {Files: []cabtest.File{{Name: "after", Data: []byte("still here")}}}}}).Bytes()
			bad := bytes.Clone(whole)
			bad[len(bad)-100_000*len(bad)/700_000] ^= 1
			got, errs, err := readAll(bad)
			if err != nil || len(errs) == 0 || string(got["after"]) != "still here" {
				t.Fatalf("%v, %v, %q", err, errs, got["after"])
			}
			for _, f := range files {
				b, failed := got[f.Name], errs[f.Name]
				if !bytes.HasPrefix(f.Data, b) || failed == nil != (len(b) == len(f.Data)) {
					t.Errorf("%s: %d of %d bytes, %v", f.Name, len(b), len(f.Data), failed)
				}
				if failed != nil && !errors.Is(failed, ErrChecksum) || failed != nil && !strings.Contains(failed.Error(), f.Name) {
					t.Errorf("%s: %v", f.Name, failed)
				}
			}
			got, errs, err = readAll(whole[:len(whole)/2])
			if err != nil || !errors.Is(errs["after"], io.ErrUnexpectedEOF) || len(got["text.bin"]) == 0 {
				t.Errorf("cut in half: %v, %v", err, errs)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	file := cabtest.File{Name: "a", Data: []byte("hello")}
	packed := cabtest.MSZIP(file).Pack(file.Data)[0].Packed
	pack := func(blocks ...cabtest.Block) func([]byte) []cabtest.Block {
		return func([]byte) []cabtest.Block { return blocks }
	}
	for name, c := range map[string]struct {
		folder cabtest.Folder
		want   error
	}{
		"quantum":        {cabtest.Folder{Kind: 2, Files: []cabtest.File{file}}, ErrUnsupported},
		"window":         {cabtest.Folder{Kind: 22<<8 | 3, Files: []cabtest.File{file}}, ErrFormat},
		"no blocks":      {cabtest.Folder{Files: []cabtest.File{file}, Pack: pack()}, io.ErrUnexpectedEOF},
		"split block":    {cabtest.Folder{Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: file.Data, Size: 0})}, ErrUnsupported},
		"big block":      {cabtest.Folder{Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: file.Data, Size: maxBlock + 1})}, ErrFormat},
		"packed too big": {cabtest.Folder{Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: make([]byte, maxCompressed+1), Size: 5})}, ErrFormat},
		"stored size":    {cabtest.Folder{Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: file.Data, Size: 4})}, ErrFormat},
		"no CK":          {cabtest.Folder{Kind: 1, Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: file.Data, Size: 5})}, ErrFormat},
		"no deflate":     {cabtest.Folder{Kind: 1, Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: []byte("CKhello"), Size: 5})}, ErrFormat},
		"short deflate":  {cabtest.Folder{Kind: 1, Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: packed, Size: 6})}, ErrFormat},
		"long deflate":   {cabtest.Folder{Kind: 1, Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: packed, Size: 4})}, ErrFormat},
		"no LZX":         {cabtest.Folder{Kind: 15<<8 | 3, Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: file.Data, Size: 5})}, ErrFormat},
		"short LZX":      {cabtest.Folder{Kind: 15<<8 | 3, Files: []cabtest.File{file}, Pack: pack(cabtest.Block{Packed: []byte{0, 0x30, 0x50, 0}, Size: 5})}, io.ErrUnexpectedEOF},
	} {
		b := (&cabtest.Cabinet{Folders: []cabtest.Folder{c.folder}}).Bytes()
		_, errs, err := readAll(b)
		var e *Error
		if err != nil || !errors.Is(errs["a"], c.want) || !errors.As(errs["a"], &e) || e.File != "a" {
			t.Errorf("%s: %v, %v; want %v", name, err, errs["a"], c.want)
		}
	}
}

func TestFoldersOfASet(t *testing.T) {
	b := (&cabtest.Cabinet{Folders: []cabtest.Folder{{Files: []cabtest.File{{Name: "first", Data: []byte("12345")}, {Name: "second", Data: []byte("678")}}}}}).Bytes()
	i := bytes.Index(b, []byte("second"))
	for folder, want := range map[uint16]error{fromPrevious: ErrUnsupported, toNext: ErrUnsupported, previousAndNext: ErrUnsupported, 7: ErrFormat, 1: ErrFormat} {
		b[i-8], b[i-7] = byte(folder), byte(folder>>8)
		got, errs, err := readAll(b)
		if err != nil || string(got["first"]) != "12345" || !errors.Is(errs["second"], want) {
			t.Errorf("%#x: %v %v %q", folder, err, errs, got)
		}
	}
	r, err := NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	if err := r.Each(func(f *File, _ io.Reader) error {
		if f.Name == "second" {
			return stop
		}
		return nil
	}); err != stop {
		t.Error(err)
	}
	b[i-8], b[i-7], b[i-12] = 0, 0, 2 // the second file starts within the first
	if _, errs, _ := readAll(b); !errors.Is(errs["second"], ErrFormat) {
		t.Error(errs)
	}
}

func TestLimitAndStop(t *testing.T) {
	files := []cabtest.File{{Name: "a", Data: make([]byte, 40_000)}, {Name: "b", Data: make([]byte, 40_000)}}
	b := (&cabtest.Cabinet{Folders: []cabtest.Folder{cabtest.MSZIP(files...)}}).Bytes()
	r, err := NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r.Limit = 2 * maxBlock
	var errs []error
	var sizes []int64
	err = r.Each(func(_ *File, data io.Reader) error {
		n, err := io.Copy(io.Discard, data)
		errs, sizes = append(errs, err), append(sizes, n)
		return nil
	})
	if err != nil || errs[0] != nil || !errors.Is(errs[1], ErrLimit) || sizes[1] != 2*maxBlock-40_000 {
		t.Error(err, errs, sizes)
	}
	stop, calls := errors.New("stop"), 0
	if err := r.Each(func(*File, io.Reader) error { calls++; return stop }); err != stop || calls != 1 {
		t.Error(err, calls)
	}
	// What is left unread is skipped.
	r.Limit = 1 << 20
	err = r.Each(func(f *File, data io.Reader) error {
		if f.Name == "b" {
			if b, err := io.ReadAll(data); err != nil || len(b) != 40_000 {
				t.Error(err, len(b))
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestChecksum(t *testing.T) {
	// Computed by hand from CSUMCompute: the words, then the odd bytes big-endian.
	if got, want := checksum([]byte{1, 2, 3, 4, 5, 6, 7}, 0), uint32(0x04030201^0x00050607); got != want {
		t.Errorf("checksum = %#x, want %#x", got, want)
	}
}
