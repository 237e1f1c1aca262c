package evtx_test

import (
	"bytes"
	"errors"
	"testing"

	. "github.com/whiteglove/whiteglove/internal/evtx"
	"github.com/whiteglove/whiteglove/internal/evtx/evtxtest"
)

// FuzzRecords checks that foreign bytes end in records or typed errors. The fuzzer
// changes the records of a chunk; the checksums are put right.
func FuzzRecords(f *testing.F) {
	var data []evtxtest.Datum
	for _, v := range types {
		data = append(data, evtxtest.Datum{Name: "v", Value: v.value})
	}
	for _, events := range [][]evtxtest.Event{
		{event(1, evtxtest.Datum{Name: "A", Value: "aaaa"}), event(2)},
		{event(3, data...)},
		{event(1, evtxtest.Datum{Name: "a", Value: []string{"one", "two"}}), {Provider: "p", UserData: "U", Data: []evtxtest.Datum{{Name: "x", Value: uint8(1)}}}},
	} {
		log := evtxtest.Log(events, evtxtest.Options{})
		chunk := log[4096:]
		f.Add(bytes.TrimRight(chunk[512:], "\x00"), false)
		f.Add(bytes.TrimRight(chunk[512:], "\x00"), true)
	}
	empty := evtxtest.Log(nil, evtxtest.Options{})
	f.Fuzz(func(t *testing.T, records []byte, sound bool) {
		log := bytes.Clone(empty)
		n := copy(log[4096+512:], records)
		if sound {
			log[4096+48], log[4096+49], log[4096+50] = byte((512+n)&0xFF), byte((512+n)>>8), byte((512+n)>>16)
			reseal(log)
		}
		found, errs := ReadLog(bytes.NewReader(log))
		for _, r := range found {
			EventOf(r.Root)
		}
		for _, err := range errs {
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("untyped error %v", err)
			}
		}
		if len(errs) > 8 {
			t.Errorf("%d errors", len(errs))
		}
	})
}

// FuzzExports checks the readers of XML and text.
func FuzzExports(f *testing.F) {
	f.Add([]byte(ExportedXML))
	f.Add([]byte(WevtutilText))
	f.Add([]byte(ListText))
	f.Add([]byte("\xFF\xFE<\x00E\x00v\x00e\x00n\x00t\x00>\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, seq := range map[string]func(func(*Event, error) bool){"XML": ReadXML(bytes.NewReader(b)), "text": ReadText(bytes.NewReader(b))} {
			for ev, err := range seq {
				var e *Error
				if ev == nil == (err == nil) || err != nil && !errors.As(err, &e) {
					t.Errorf("%s: %v, %v", name, ev, err)
				}
			}
		}
	})
}

func BenchmarkRecords(b *testing.B) {
	log := evtxtest.Log(many(), evtxtest.Options{})
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		if records, errs := ReadLog(bytes.NewReader(log)); len(records) != 700 || len(errs) > 0 {
			b.Fatal(len(records), errs)
		}
	}
}
