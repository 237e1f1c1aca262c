package evtx_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	. "github.com/whiteglove/whiteglove/internal/evtx"
	"github.com/whiteglove/whiteglove/internal/evtx/evtxtest"
)

var when = time.Date(2026, 11, 28, 13, 57, 44, 123456700, time.UTC)

// event returns an event of Autopilot with data.
func event(id uint16, data ...evtxtest.Datum) evtxtest.Event {
	return evtxtest.Event{
		Provider: "Microsoft-Windows-ModernDeployment-Diagnostics-Provider", ID: id, Level: 2, Time: when,
		Channel:  "Microsoft-Windows-ModernDeployment-Diagnostics-Provider/Autopilot",
		Computer: "DESKTOP-0000001", Data: data,
	}
}

// types are values of all types, and how Windows writes them.
var types = []struct {
	value any
	want  string
}{
	{"text & <more> ünïcödé €", "text & <more> ünïcödé €"},
	{"", ""},
	{nil, ""},
	{evtxtest.Ansi("ansi"), "ansi"},
	{int8(-5), "-5"},
	{uint8(200), "200"},
	{int16(-300), "-300"},
	{uint16(60000), "60000"},
	{int32(-70000), "-70000"},
	{uint32(4000000000), "4000000000"},
	{int64(math.MinInt64), "-9223372036854775808"},
	{int8(5), "5"},
	{int16(300), "300"},
	{int32(70000), "70000"},
	{int64(math.MaxInt64), "9223372036854775807"},
	{uint64(math.MaxUint64), "18446744073709551615"},
	{true, "true"},
	{false, "false"},
	{[]byte{0xDE, 0xAD, 0x01}, "DEAD01"},
	{evtxtest.GUID{0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 8, 9, 10, 11, 12, 13, 14, 15}, "{00112233-4455-6677-0809-0A0B0C0D0E0F}"},
	{when, "2026-11-28T13:57:44.1234567Z"},
	{evtxtest.SystemTime(when), "2026-11-28T13:57:44.123Z"},
	{evtxtest.SID{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0}, "S-1-5-32-544"},
	{evtxtest.Hex32(0x80180014), "0x80180014"},
	{evtxtest.Hex64(0x40000), "0x40000"},
	{float64(0.5), "0.5"},
	{float32(2.25), "2.25"},
}

func TestTypes(t *testing.T) {
	var data []evtxtest.Datum
	for i, v := range types {
		data = append(data, evtxtest.Datum{Name: fmt.Sprint("v", i), Value: v.value})
	}
	log := evtxtest.Log([]evtxtest.Event{event(171, data...)}, evtxtest.Options{})
	records, errs := ReadLog(bytes.NewReader(log))
	if len(errs) > 0 || len(records) != 1 {
		t.Fatal(records, errs)
	}
	ev := EventOf(records[0].Root)
	for i, v := range types {
		if ev.Data[i].Value != v.want {
			t.Errorf("%T: %q, want %q", v.value, ev.Data[i].Value, v.want)
		}
	}
	want := Event{
		Provider: "Microsoft-Windows-ModernDeployment-Diagnostics-Provider", ID: 171, Level: 2, Time: when, Record: 1,
		Channel:  "Microsoft-Windows-ModernDeployment-Diagnostics-Provider/Autopilot",
		Computer: "DESKTOP-0000001", Process: 1234, User: "S-1-5-18", Data: ev.Data,
	}
	if !reflect.DeepEqual(*ev, want) {
		t.Errorf("%+v", ev)
	}
	if records[0].Number != 1 || !records[0].Written.Equal(when) {
		t.Errorf("%+v", records[0])
	}
	// The judge reads no array, no surrogates, no negative number and no value that is
	// missing, and writes floating-point numbers with six digits after the point.
	for i, v := range types {
		if v.value == nil || strings.HasPrefix(v.want, "-") || i >= len(types)-2 {
			continue
		}
		data := []evtxtest.Datum{data[i], data[0]}
		log := evtxtest.Log([]evtxtest.Event{event(171, data...), event(172, data[1]), {Provider: "p", ID: 3, Time: when, UserData: "Mine", Data: data}}, evtxtest.Options{})
		records, errs = ReadLog(bytes.NewReader(log))
		if len(errs) > 0 || len(records) != 3 {
			t.Fatal(records, errs)
		}
		if n := Compare(t, records, Judge(t, log)); n != 3 {
			t.Errorf("%T: the judge reads %d records", v.value, n)
		}
	}
	if ev := EventOf(records[2].Root); ev.Value("v0") != types[0].want {
		t.Errorf("%+v", ev)
	}
}

func TestArrays(t *testing.T) {
	log := evtxtest.Log([]evtxtest.Event{event(1, evtxtest.Datum{Name: "a", Value: []string{"one", "🙂"}}, evtxtest.Datum{Name: "n", Value: []uint32{7, 8, 9}})}, evtxtest.Options{})
	records, errs := ReadLog(bytes.NewReader(log))
	if len(errs) > 0 || len(records) != 1 {
		t.Fatal(records, errs)
	}
	want := []Field{{"a", "one"}, {"a", "🙂"}, {"n", "7"}, {"n", "8"}, {"n", "9"}}
	if got := EventOf(records[0].Root).Data; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// many returns events that fill several chunks.
func many() (events []evtxtest.Event) {
	for i := range 700 {
		events = append(events, event(uint16(100+i%90),
			evtxtest.Datum{Name: "HRESULT", Value: evtxtest.Hex32(0x80180014 + i)},
			evtxtest.Datum{Name: fmt.Sprint("Name", i%7), Value: strings.Repeat("x", i%50)}))
	}
	return events
}

func TestManyChunks(t *testing.T) {
	for name, o := range map[string]evtxtest.Options{"plain": {}, "dirty": {Dirty: true}, "no sums": {NoSums: true}} {
		t.Run(name, func(t *testing.T) {
			log := evtxtest.Log(many(), o)
			if len(log) < 3*65536 {
				t.Fatalf("%d bytes", len(log))
			}
			r, err := NewReader(bytes.NewReader(log))
			if err != nil || r.Dirty != o.Dirty {
				t.Fatal(r, err)
			}
			records, errs := ReadLog(iotest.OneByteReader(bytes.NewReader(log)))
			if len(records) != 700 || len(errs) > 0 {
				t.Fatalf("%d records, %v", len(records), errs)
			}
			for i, r := range records {
				if r.Number != uint64(i+1) {
					t.Fatalf("record %d is %d", i, r.Number)
				}
			}
			if n := Compare(t, records, Judge(t, log)); n < 700 && !o.Dirty {
				t.Errorf("the judge reads %d records", n)
			}
		})
	}
}

func TestDamage(t *testing.T) {
	whole := evtxtest.Log(many(), evtxtest.Options{})
	second := 4096 + 65536
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		lost   int // records at most
		want   error
		text   string
	}{
		"header": {func(b []byte) []byte { b[16]++; return b }, 0, ErrChecksum, "evtx: header: the checksum is wrong"},
		"chunk header": {
			func(b []byte) []byte { b[second+9]++; return b }, 0, ErrChecksum,
			"evtx: chunk 1: header of the chunk: the checksum is wrong",
		},
		"a text":       {func(b []byte) []byte { b[bytes.LastIndex(b, []byte("x\x00x\x00x\x00"))] = 'y'; return b }, 0, ErrChecksum, ""},
		"record sizes": {func(b []byte) []byte { b[second+512+4]++; return b }, 1, ErrFormat, ""},
		"record start": {func(b []byte) []byte { b[second+512] = 0; return b }, 200, ErrFormat, ""},
		"chunk magic":  {func(b []byte) []byte { b[second] = 0; return b }, 0, ErrFormat, "evtx: chunk 1: signature of the chunk: not well-formed"},
		"cut in chunk": {func(b []byte) []byte { return b[:second+30000] }, 520, io.ErrUnexpectedEOF, ""},
		"cut early":    {func(b []byte) []byte { return b[:second+100] }, 575, io.ErrUnexpectedEOF, "evtx: chunk 1: end of the file: unexpected EOF"},
		"only header":  {func(b []byte) []byte { return b[:4096] }, 700, nil, ""},
		"no chunk":     {func(b []byte) []byte { clear(b[second : second+65536]); return b }, 230, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			records, errs := ReadLog(bytes.NewReader(c.change(bytes.Clone(whole))))
			if lost := 700 - len(records); lost > c.lost {
				t.Errorf("%d records lost", lost)
			}
			found := c.want == nil && len(errs) == 0
			for _, err := range errs {
				var e *Error
				found = found || errors.As(err, &e) && errors.Is(err, c.want) && strings.HasPrefix(err.Error(), c.text)
			}
			if !found || len(errs) > 8 {
				t.Errorf("%v; want %v", errs, c.want)
			}
		})
	}
}

// reseal corrects the checksums of the first chunk.
func reseal(b []byte) []byte {
	le, c := binary.LittleEndian, b[4096:]
	le.PutUint32(c[52:], crc32.ChecksumIEEE(c[512:le.Uint32(c[48:])]))
	le.PutUint32(c[124:], crc32.Update(crc32.ChecksumIEEE(c[:120]), crc32.IEEETable, c[128:512]))
	return b
}

// TestHostileRecords has faults behind good checksums: one record is lost, the next
// is read.
func TestHostileRecords(t *testing.T) {
	good := evtxtest.Log([]evtxtest.Event{event(1, evtxtest.Datum{Name: "A", Value: "aaaa"}), event(2)}, evtxtest.Options{})
	start := 4096 + 512 + 24
	for name, change := range map[string]func(b []byte){
		"token":             func(b []byte) { b[start+4] = 0x3F },
		"template offset":   func(b []byte) { binary.LittleEndian.PutUint32(b[start+10:], 70000) },
		"definition's size": func(b []byte) { binary.LittleEndian.PutUint32(b[start+14+20:], 1<<30) },
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(good)
			change(b)
			records, errs := ReadLog(bytes.NewReader(reseal(b)))
			if len(errs) == 0 || len(records) > 1 {
				t.Errorf("%d records, %v", len(records), errs)
			}
		})
	}
}

// TestLimit has an array in an element of a template with many values, which would
// unfold to megabytes.
func TestLimit(t *testing.T) {
	data := []evtxtest.Datum{{Name: "n", Value: make([]uint32, 14_000)}}
	for range 5 {
		data = append(data, evtxtest.Datum{Name: "x", Value: uint8(1)})
	}
	records, errs := ReadLog(bytes.NewReader(evtxtest.Log([]evtxtest.Event{event(1, data...)}, evtxtest.Options{})))
	if len(records) != 0 || len(errs) != 1 || !errors.Is(errs[0], ErrLimit) {
		t.Error(len(records), errs)
	}
}

// TestGhosts reads no records of an earlier use of a chunk, which stand behind the
// last one, if the header of the chunk does not tell where that ends.
func TestGhosts(t *testing.T) {
	old := evtxtest.Log(many()[:40], evtxtest.Options{})
	log := evtxtest.Log(many()[:20], evtxtest.Options{})
	free := binary.LittleEndian.Uint32(log[4096+48:])
	copy(log[4096+free:], old[4096+1000:4096+30000])
	records, errs := ReadLog(bytes.NewReader(log))
	if len(records) != 20 || len(errs) != 0 {
		t.Fatalf("%d records, %v", len(records), errs)
	}
	log[4096+52]++
	reseal := crc32.Update(crc32.ChecksumIEEE(log[4096:4096+120]), crc32.IEEETable, log[4096+128:4096+512])
	binary.LittleEndian.PutUint32(log[4096+124:], reseal)
	records, errs = ReadLog(bytes.NewReader(log))
	if len(records) != 20 || len(errs) == 0 || !errors.Is(errs[0], ErrChecksum) || errs[0].Error() != "evtx: chunk 0: records of the chunk: the checksum is wrong" {
		t.Errorf("%d records, %v", len(records), errs)
	}
	// Ghosts right behind the last record, with lower and with higher numbers.
	number := binary.LittleEndian.AppendUint64(nil, 35)
	for _, at := range []int{512, bytes.Index(old[4096+512:], number) - 8 + 512} {
		copy(log[4096+free:], old[4096+at:4096+at+2000])
		if records, _ = ReadLog(bytes.NewReader(log)); len(records) != 20 {
			t.Errorf("%d records", len(records))
		}
	}
}

func TestEmptyLog(t *testing.T) {
	records, errs := ReadLog(bytes.NewReader(evtxtest.Log(nil, evtxtest.Options{})))
	if len(records) != 0 || len(errs) != 0 {
		t.Error(records, errs)
	}
}

// TestStopAtDamage leaves the loop at each kind of error; no record follows.
func TestStopAtDamage(t *testing.T) {
	for _, at := range []int{16, 4096 + 9, 4096 + 60, 4096 + 512, 4096 + 512 + 4, 4096 + 512 + 24 + 4} {
		log := evtxtest.Log(many(), evtxtest.Options{})
		log[at] ^= 0x55
		r, err := NewReader(bytes.NewReader(log))
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range r.Records() {
			if err != nil {
				break
			}
		}
		log[4096] = 0 // and where the signature of the chunk is gone
		r, err = NewReader(bytes.NewReader(log))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range r.Records() {
			if err != nil {
				if n++; n == 2 {
					break
				}
			}
		}
	}
}

func TestStop(t *testing.T) {
	r, err := NewReader(bytes.NewReader(evtxtest.Log(many(), evtxtest.Options{})))
	if err != nil {
		t.Fatal(err)
	}
	for range r.Records() {
		break
	}
	broken := errors.New("broken")
	log := evtxtest.Log(many(), evtxtest.Options{})
	_, errs := ReadLog(io.MultiReader(bytes.NewReader(log[:70000]), iotest.ErrReader(broken)))
	if len(errs) != 1 || !errors.Is(errs[0], broken) {
		t.Error(errs)
	}
	for _, b := range [][]byte{nil, make([]byte, 4096), []byte("ElfFile\x00")} {
		var e *Error
		if _, err := NewReader(bytes.NewReader(b)); !errors.As(err, &e) || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrFormat) {
			t.Error(err)
		}
	}
}
