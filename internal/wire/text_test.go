package wire

import "testing"

func TestPrintable(t *testing.T) {
	for _, tt := range []struct {
		in   string
		most int
		want string
	}{
		{"", 10, ""},
		{"plain, äöü", 20, "plain, äöü"},
		{"\x1b[2J\x1b]0;title\x07text", 50, "[2J ]0;title text"},
		{"a\r\nb\x00\x7f", 10, "a  b"},
		{"over\u202etxt.exe", 50, "over txt.exe"},
		{"bad\xffUTF-8", 50, "badUTF-8"},
		{"0123456789abcdef", 10, "0123456789"},
		{"12345678é", 10, "12345678é"},
		{"123456789é", 10, "123456789"},
	} {
		if got := Printable(tt.in, tt.most); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}
