package xmltree

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// declares says what declaration finds. It stands in a test because compiling it takes
// most of a small program's start.
var declares = regexp.MustCompile(`^(\x{FEFF})?\s*<\?xml\s[^<>?]{0,200}encoding\s*=\s*["'](?i:utf-?16(le|be)?|ucs-?2|iso-10646-ucs-2|unicode)["'][^<>?]{0,200}\?>`)

var declarations = []string{
	"", "<a/>", "<?xml", "<?xml?>", "<?xml ?>", `<?xml encoding="utf-16"?><a/>`, `<?xml version="1.0" encoding='UTF-16LE' standalone="yes"?><a/>`,
	"\ufeff \r\n" + `<?xml version="1.0" encoding = "ucs-2"?>`, `<?xmlencoding="utf-16"?>`, `<?xml encoding="utf-8"?>`,
	`<?xml encoding="utf-8" encoding="utf16be"?>`, `<?xml encoding=utf-16?>`, `<?xml encoding="utf-16"`, `<?xml encoding="utf-16">`, `<?xml encoding="utf-16"??>`,
	`<?xml encodingencoding="iso-10646-UCS-2'?>`, `<?xml encoding="unicode"<?>`, `<?xml ` + strings.Repeat("é", 200) + `encoding="unicode"?>`,
	`<?xml ` + strings.Repeat("é", 201) + `encoding="unicode"?>`, `<?xml encoding="unicode"` + strings.Repeat("\xff", 200) + `?>`,
	`<?xml encoding="unicode"` + strings.Repeat("e", 201) + `?>`, `<?xml encoding="utf-16lebe"?>`, `<?xml encoding="utf-16"` + "\x00?>", "<?xml\fencoding\t=\n'ucs2'?>x",
	`<?xml encoding="a" encoding="unicode" ` + strings.Repeat(" ", 190) + `?>`, `<?xml encoding="unicode" encoding="unicode" ` + strings.Repeat(" ", 190) + `?>`,
}

func checkDeclaration(t *testing.T, text []byte) {
	t.Helper()
	if got, want := declaration(text), len(declares.Find(text)); got != want {
		t.Errorf("the declaration of %q has %d bytes, want %d", text, got, want)
	}
}

func TestDeclaration(t *testing.T) {
	found := 0
	for _, text := range declarations {
		checkDeclaration(t, []byte(text))
		if declaration([]byte(text)) > 0 {
			found++
		}
	}
	if found < 8 {
		t.Errorf("%d declarations were found", found)
	}
}

func FuzzDeclaration(f *testing.F) {
	for _, text := range declarations {
		f.Add([]byte(text))
	}
	f.Fuzz(checkDeclaration)
}

// A long declaration is read once.
func TestDeclarationIsLinear(t *testing.T) {
	text := append([]byte("<?xml "), bytes.Repeat([]byte("encoding="), 1<<20/9)...)
	if n := declaration(append(text, "?>"...)); n != 0 {
		t.Errorf("%d bytes", n)
	}
}
