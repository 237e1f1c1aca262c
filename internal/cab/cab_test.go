package cab

import (
	"bytes"
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
)

// requireTool returns the path of a program, or skips the test, or fails it if
// WHITEGLOVE_REQUIRE_TOOLS is set.
func requireTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("WHITEGLOVE_REQUIRE_TOOLS") != "" {
			t.Fatalf("%s is required: %v", name, err)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

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
func agree(t *testing.T, cabinet []byte, want []testFile) {
	t.Helper()
	got, errs, err := readAll(cabinet)
	if err != nil || len(errs) > 0 {
		t.Fatal(err, errs)
	}
	for _, f := range want {
		if !bytes.Equal(got[f.name], f.data) {
			t.Errorf("%s: %d bytes differ from the %d packed", f.name, len(got[f.name]), len(f.data))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	tool, err := exec.LookPath("cabextract")
	if err != nil {
		requireTool(t, "cabextract")
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
		b, err := os.ReadFile(filepath.Join(dir, "out", filepath.FromSlash(f.name)))
		if err != nil || !bytes.Equal(b, f.data) {
			t.Errorf("cabextract reads %s otherwise: %v", f.name, err)
		}
	}
}

func sampleFiles() (files []testFile) {
	for _, name := range []string{"text", "random", "one", "empty", "calls", "zeros", "frame"} {
		files = append(files, testFile{name + ".bin", samples()[name]})
	}
	return files
}

func TestStoredAndMSZIP(t *testing.T) {
	files := sampleFiles()
	for name, c := range map[string]*testCabinet{
		"stored":      {folders: []testFolder{{files: files}}},
		"mszip":       {folders: []testFolder{{kind: 1, files: files, pack: packMSZIP}}},
		"two folders": {folders: []testFolder{{files: files[:3]}, {kind: 1, files: files[3:], pack: packMSZIP}}},
		"reserved":    {folders: []testFolder{{kind: 1, files: files, pack: packMSZIP}}, reserve: []byte("for somebody")},
		"no sums":     {folders: []testFolder{{kind: 1, files: files, pack: packMSZIP}}, noSums: true},
	} {
		t.Run(name, func(t *testing.T) { agree(t, c.bytes(), files) })
	}
	// cabextract goes on to the other cabinets of a set, so it does not judge this.
	got, errs, err := readAll((&testCabinet{folders: []testFolder{{files: files}}, names: true, reserve: []byte{}}).bytes())
	if err != nil || len(errs) > 0 || !bytes.Equal(got["text.bin"], files[0].data) {
		t.Errorf("part of a set: %v, %v", err, errs)
	}
}

func TestLZX(t *testing.T) {
	files := sampleFiles()
	plans := map[string]lzxPlan{
		"verbatim": {kinds: []int{lzxVerbatim}, blocks: []int{50_000}},
		"aligned":  {kinds: []int{lzxAlignedBl}, blocks: []int{40_000, 100}},
		"raw":      {kinds: []int{lzxRaw}, blocks: []int{70_000}},
		"raw odd":  {kinds: []int{lzxRaw}, blocks: []int{20_001, 1, 12_766, 33_333}},
		"mixed":    {kinds: []int{lzxVerbatim, lzxRaw, lzxAlignedBl}, blocks: []int{9_999, 32_768, 1, 2, 70_000}},
		"calls":    {kinds: []int{lzxVerbatim, lzxRaw}, blocks: []int{60_000, 3001}, calls: 200_000},
		"one bl.":  {kinds: []int{lzxVerbatim}, blocks: []int{1 << 23}, calls: 12_000_000},
	}
	for bits := 15; bits <= 21; bits++ {
		for name, p := range plans {
			if bits%3 != 0 && name != "mixed" {
				continue
			}
			t.Run(fmt.Sprint(name, " ", bits), func(t *testing.T) {
				p.bits, p.seed = bits, uint64(bits)
				agree(t, (&testCabinet{folders: []testFolder{lzxFolder(p, files...)}}).bytes(), files)
			})
		}
	}
}

func TestManyLZXFolders(t *testing.T) {
	var folders []testFolder
	var files []testFile
	for i := range 300 {
		file := testFile{fmt.Sprint(i), []byte(fmt.Sprint("this is file ", i, " of this is file"))}
		files = append(files, file)
		folders = append(folders, lzxFolder(lzxPlan{bits: 15 + i%7, kinds: []int{lzxVerbatim}, blocks: []int{100}}, file))
	}
	cabinet := (&testCabinet{folders: folders}).bytes()
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
	tool := requireTool(t, "gcab")
	files := sampleFiles()
	dir := t.TempDir()
	args := []string{"-c", "-z", "-n", filepath.Join(dir, "out.cab")}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
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
	c := &testCabinet{folders: []testFolder{{files: []testFile{{`a\b\ü.txt`, []byte("x")}, {"../c", []byte("yz")}}}}}
	b := c.bytes()
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
	for name, kind := range map[string]testFolder{
		"stored": {files: files},
		"mszip":  {kind: 1, files: files, pack: packMSZIP},
		"lzx":    lzxFolder(lzxPlan{bits: 16, kinds: []int{lzxVerbatim, lzxRaw}, blocks: []int{50_000, 111}}, files...),
	} {
		t.Run(name, func(t *testing.T) {
			whole := (&testCabinet{folders: []testFolder{kind, {files: []testFile{{"after", []byte("still here")}}}}}).bytes()
			bad := bytes.Clone(whole)
			bad[len(bad)-100_000*len(bad)/700_000] ^= 1
			got, errs, err := readAll(bad)
			if err != nil || len(errs) == 0 || string(got["after"]) != "still here" {
				t.Fatalf("%v, %v, %q", err, errs, got["after"])
			}
			for _, f := range files {
				b, failed := got[f.name], errs[f.name]
				if !bytes.HasPrefix(f.data, b) || failed == nil != (len(b) == len(f.data)) {
					t.Errorf("%s: %d of %d bytes, %v", f.name, len(b), len(f.data), failed)
				}
				if failed != nil && !errors.Is(failed, ErrChecksum) || failed != nil && !strings.Contains(failed.Error(), f.name) {
					t.Errorf("%s: %v", f.name, failed)
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
	file := testFile{"a", []byte("hello")}
	pack := func(blocks ...testBlock) func([]byte) []testBlock {
		return func([]byte) []testBlock { return blocks }
	}
	for name, c := range map[string]struct {
		folder testFolder
		want   error
	}{
		"quantum":        {testFolder{kind: 2, files: []testFile{file}}, ErrUnsupported},
		"window":         {testFolder{kind: 22<<8 | 3, files: []testFile{file}}, ErrFormat},
		"no blocks":      {testFolder{files: []testFile{file}, pack: pack()}, io.ErrUnexpectedEOF},
		"split block":    {testFolder{files: []testFile{file}, pack: pack(testBlock{file.data, 0})}, ErrUnsupported},
		"big block":      {testFolder{files: []testFile{file}, pack: pack(testBlock{file.data, maxBlock + 1})}, ErrFormat},
		"packed too big": {testFolder{files: []testFile{file}, pack: pack(testBlock{make([]byte, maxCompressed+1), 5})}, ErrFormat},
		"stored size":    {testFolder{files: []testFile{file}, pack: pack(testBlock{file.data, 4})}, ErrFormat},
		"no CK":          {testFolder{kind: 1, files: []testFile{file}, pack: pack(testBlock{file.data, 5})}, ErrFormat},
		"no deflate":     {testFolder{kind: 1, files: []testFile{file}, pack: pack(testBlock{[]byte("CKhello"), 5})}, ErrFormat},
		"short deflate":  {testFolder{kind: 1, files: []testFile{file}, pack: pack(testBlock{packMSZIP(file.data)[0].packed, 6})}, ErrFormat},
		"long deflate":   {testFolder{kind: 1, files: []testFile{file}, pack: pack(testBlock{packMSZIP(file.data)[0].packed, 4})}, ErrFormat},
		"no LZX":         {testFolder{kind: 15<<8 | 3, files: []testFile{file}, pack: pack(testBlock{file.data, 5})}, ErrFormat},
		"short LZX":      {testFolder{kind: 15<<8 | 3, files: []testFile{file}, pack: pack(testBlock{[]byte{0, 0x30, 0x50, 0}, 5})}, io.ErrUnexpectedEOF},
	} {
		b := (&testCabinet{folders: []testFolder{c.folder}}).bytes()
		_, errs, err := readAll(b)
		var e *Error
		if err != nil || !errors.Is(errs["a"], c.want) || !errors.As(errs["a"], &e) || e.File != "a" {
			t.Errorf("%s: %v, %v; want %v", name, err, errs["a"], c.want)
		}
	}
}

func TestFoldersOfASet(t *testing.T) {
	b := (&testCabinet{folders: []testFolder{{files: []testFile{{"first", []byte("12345")}, {"second", []byte("678")}}}}}).bytes()
	i := bytes.Index(b, []byte("second"))
	for folder, want := range map[uint16]error{fromPrevious: ErrUnsupported, toNext: ErrUnsupported, previousAndNext: ErrUnsupported, 7: ErrFormat} {
		b[i-8], b[i-7] = byte(folder), byte(folder>>8)
		got, errs, err := readAll(b)
		if err != nil || string(got["first"]) != "12345" || !errors.Is(errs["second"], want) {
			t.Errorf("%#x: %v %v %q", folder, err, errs, got)
		}
	}
	b[i-8], b[i-7], b[i-12] = 0, 0, 2 // the second file starts within the first
	if _, errs, _ := readAll(b); !errors.Is(errs["second"], ErrFormat) {
		t.Error(errs)
	}
}

func TestLimitAndStop(t *testing.T) {
	files := []testFile{{"a", make([]byte, 40_000)}, {"b", make([]byte, 40_000)}}
	b := (&testCabinet{folders: []testFolder{{kind: 1, files: files, pack: packMSZIP}}}).bytes()
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
