package wide

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
)

// utf16Big returns s in UTF-16, big-endian, with a mark.
func utf16Big(s string) []byte {
	b := []byte{0xFE, 0xFF}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return b
}

func TestUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "ab": "ab", "\xE4b": "äb", "€uro \xFF\xFEx": "€uro ÿþx", "a\x00b\x00": "ab", "\xEF\xBB\xBFx": "x", "\xFF\xFEa\x00": "a",
		"abc\xE2\x82": "abcâ\u0082", "\xFF\xFE\x3D\xD8\x42\xDE": "🙂",
	} {
		for name, r := range map[string]io.Reader{"all": strings.NewReader(in), "bytes": iotest.OneByteReader(strings.NewReader(in))} {
			got, err := io.ReadAll(iotest.OneByteReader(UTF8(r)))
			if string(got) != want || err != nil && err != io.ErrUnexpectedEOF {
				t.Errorf("%s: %q: %q, %v; want %q", name, in, got, err, want)
			}
		}
		got, _ := io.ReadAll(UTF8(strings.NewReader(strings.Repeat(in, 1))))
		if string(got) != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	long := strings.Repeat("päßword € ", 5000)
	if got, err := io.ReadAll(UTF8(strings.NewReader(long))); string(got) != long || err != nil {
		t.Error(len(got), err)
	}
	if got, err := io.ReadAll(UTF8(bytes.NewReader(utf16Big(long)))); string(got) != long || err != nil {
		t.Error(len(got), err)
	}
}

// TestLines numbers lines, cuts long ones and counts a last one without an end.
func TestLines(t *testing.T) {
	var got []string
	line := func(n int, s string) {
		if n != len(got)+1 {
			t.Errorf("line %d after %d", n, len(got))
		}
		got = append(got, s)
	}
	long := strings.Repeat("x", 3*MaxLine)
	if err := Lines(strings.NewReader("a\r\n\n"+long+"\nb"), line); err != nil || len(got) != 4 || got[0] != "a" || got[1] != "" || got[2] != long[:MaxLine] || got[3] != "b" {
		t.Errorf("%d lines, %v", len(got), err)
	}
	got = nil
	failed := errors.New("failed")
	if err := Lines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(failed)), line); err != failed || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
}
