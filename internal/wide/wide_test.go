package wide_test

import (
	"encoding/binary"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wide"
)

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"a\x00b\x00":           "ab",
		"a\x00b":               "a",
		"\x3d\xd8\x00\xde":     "\U0001F600",
		"\x3d\xd8a\x00":        "\uFFFDa",
		"\x3d\xd8":             "\uFFFD",
		"\x00\xdea\x00":        "\uFFFDa",
		"\xff\xfea\x00":        "\uFEFFa",
		"\x3d\xd8\x3d\xd8\x00": "\uFFFD\uFFFD",
	} {
		if got := string(wide.Decode([]byte(in), binary.LittleEndian)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := string(wide.Decode([]byte("\x00a\xd8\x3d\xde\x00"), binary.BigEndian)); got != "a\U0001F600" {
		t.Errorf("big-endian: %q", got)
	}
}
