package xmltree_test

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"github.com/whiteglove/whiteglove/internal/xmltree"
)

func TestParse(t *testing.T) {
	e, err := xmltree.Parse([]byte(`<?xml version="1.0"?><s:A xmlns:s="urn:s" Key="v"> x<b><c> 1 </c></b>y <B/><!-- z --></s:A>rest`), 4)
	if err != nil {
		t.Fatal(err)
	}
	if e.Space != "urn:s" || !e.Is("a") || e.Attr("KEY") != "v" || e.Attr("none") != "" || string(e.Text) != " xy " {
		t.Errorf("got %+v", e)
	}
	if e.Value() != "xy" || e.Value("B", "C") != "1" || e.Value("c") != "" || e.Below("C") == nil || e.At("b", "none", "c") != nil {
		t.Errorf("got %q, %q, %q", e.Value(), e.Value("B", "C"), e.Value("c"))
	}
	if len(e.All("b")) != 2 || e.Unique() == nil || e.Unique("B") != nil {
		t.Errorf("%d are named b, %v", len(e.All("b")), e.Unique())
	}
	var none *xmltree.Element
	if none.All("a") != nil || none.At("a") != nil || none.Below("a") != nil || none.Unique() != nil || none.Value("a") != "" {
		t.Error("there is something in nothing")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ xml, want string }{
		{"", "no XML element"},
		{"text", "no XML element"},
		{"<a>", "unexpected EOF"},
		{"<a></b>", "closed by"},
		{`<!DOCTYPE a [<!ENTITY b "c">]><a/>`, "document type"},
		{strings.Repeat("<a>", 33), "32 levels"},
		{"<a>" + strings.Repeat("<b/>", 50), "50 elements"},
	} {
		if e, err := xmltree.Parse([]byte(tt.xml), 50); err == nil || e != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.20s: %+v, %v", tt.xml, e, err)
		}
	}
	if _, err := xmltree.Parse([]byte(strings.Repeat("<a>", 32)+strings.Repeat("</a>", 32)), 32); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

// What an error repeats of a document is printable.
func TestParsePrintable(t *testing.T) {
	_, err := xmltree.Parse([]byte("<a>&\u009b2J\u202e;</a>"), 10)
	if err == nil || strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) || !strings.Contains(err.Error(), "entity") {
		t.Errorf("%q", err)
	}
}

// Attributes are bounded before they take memory.
func TestParseAttributes(t *testing.T) {
	const size = 1 << 20
	for name, text := range map[string]string{
		"one element":      "<a " + strings.Repeat(`b="" `, size/5) + "/>",
		"without spaces":   "<a " + strings.Repeat(`b=""`, size/4) + "/>",
		"single quotes":    "<a " + strings.Repeat(`b='' `, size/5) + "/>",
		"closed too early": "<a b='>' " + strings.Repeat(`b="" `, size/5) + "/>",
		"namespaces":       "<a " + strings.Repeat(`xmlns:b="c" `, size/12) + "/>",
		"unclosed":         "<a " + strings.Repeat(`b="" `, size/5),
		"end":              "<a></a " + strings.Repeat(`b="" `, size/5) + ">",
		"many elements":    "<a>" + strings.Repeat("<a "+strings.Repeat(`b="" `, 60)+"/>", size/305) + "</a>",
		"after a comment":  "<!-- > ' --><a><!--><b c='--><![CDATA['>]]><?x '?><a " + strings.Repeat(`b="" `, size/5) + "/></a>",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e, err := xmltree.Parse([]byte(text), 20000)
		runtime.ReadMemStats(&after)
		if e != nil || err == nil || !strings.Contains(err.Error(), "64 attributes") {
			t.Errorf("%s: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 2*size {
			t.Errorf("%s: %d MiB are allocated", name, used>>20)
		}
	}
	for _, text := range []string{
		"<a " + strings.Repeat(`b="=" `, 64) + "/>",
		"<a>" + strings.Repeat(`=`, 1000) + "</a>",
		"<a><!-- " + strings.Repeat(`=`, 1000) + "--></a>",
		"<a><![CDATA[<a " + strings.Repeat(`=`, 1000) + "]]></a>",
		"<?a " + strings.Repeat(`=`, 1000) + "?><a/>",
		`<a b="` + strings.Repeat(`=`, 1000) + `"/>`,
	} {
		if _, err := xmltree.Parse([]byte(text), 20000); err != nil {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}

// No message of 1 MiB costs much more memory than its elements do.
func TestParseMemory(t *testing.T) {
	const size = 1 << 20
	for name, text := range map[string]string{
		"elements":     "<a>" + strings.Repeat("<b/>", 19999) + "</a>",
		"attributes":   "<a>" + strings.Repeat(`<b c="" d=""/>`, 19999) + "</a>",
		"comments":     "<a>" + strings.Repeat("<!---->", size/7) + "</a>",
		"instructions": "<a>" + strings.Repeat("<?b?>", size/5) + "</a>",
		"texts":        "<a>" + strings.Repeat("x<![CDATA[]]>", size/13) + "</a>",
		"entities":     "<a>" + strings.Repeat("&lt;", size/4) + "</a>",
		"text":         "<a>" + strings.Repeat("x", size) + "</a>",
		"after it":     "<a/>" + strings.Repeat("<a/>", size/4),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := xmltree.Parse([]byte(text), 20000)
		runtime.ReadMemStats(&after)
		used := after.TotalAlloc - before.TotalAlloc
		if err != nil || used > 40*size {
			t.Errorf("%s: %d MiB are allocated, %v", name, used>>20, err)
		}
		t.Logf("%s: %d KiB", name, used>>10)
	}
}

// UTF-16 is read by its first bytes, whatever is declared.
func TestDecode(t *testing.T) {
	encode := func(order binary.AppendByteOrder, text string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, u)
		}
		return string(b)
	}
	const body = "<a b='\u00e9'>\u20ac \U0001F600</a>"
	for name, text := range map[string]string{
		"UTF-8":               body,
		"mark":                "\ufeff" + body,
		"says UTF-16":         `<?xml version="1.0" encoding="utf-16"?>` + body,
		"says Unicode":        "\ufeff<?xml version='1.0' encoding='Unicode' standalone='yes' ?>\r\n" + body,
		"little":              encode(binary.LittleEndian, body),
		"little, mark":        encode(binary.LittleEndian, "\ufeff"+body),
		"big":                 encode(binary.BigEndian, body),
		"big, mark, says so":  encode(binary.BigEndian, "\ufeff<?xml version=\"1.0\" encoding=\"UTF-16BE\"?>"+body),
		"little, says UTF-8":  encode(binary.LittleEndian, `<?xml version="1.0" encoding="utf-8"?>`+body),
		"little, half behind": encode(binary.LittleEndian, "\ufeff"+body) + "x",
	} {
		e, err := xmltree.Parse(xmltree.Decode([]byte(text)), 10)
		if err != nil || e.Value() != "\u20ac \U0001F600" || e.Attr("b") != "\u00e9" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	for text, want := range map[string]string{
		"\xff\xfe<\x00\x3d\xd8<\x00": "<\ufffd<",
		"\xff\xfe\x3d\xd8":           "\ufffd",
		"\xff\xfe":                   "",
		"":                           "",
		`<a/><?xml version="1.0" encoding="utf-16"?><b/>`: `<a/><?xml version="1.0" encoding="utf-16"?><b/>`,
	} {
		if got := string(xmltree.Decode([]byte(text))); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
	for _, name := range []string{"utf-16", "iso-8859-1"} { // without Decode
		if _, err := xmltree.Parse([]byte(`<?xml version="1.0" encoding="`+name+`"?>`+body), 10); err == nil || !strings.Contains(err.Error(), "declares the encoding") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever the scan of attributes passes has no element with more of them.
func FuzzParse(f *testing.F) {
	f.Add("<a b='>' c=\"'\"/>")
	f.Add("<!-- <a --><a><![CDATA[<a b]]><?x ' ?></a>")
	f.Add("<a b=c d='e' f=>")
	f.Add("\xff\xfe<\x00a\x00/\x00>\x00")
	f.Add("<?xml version='1.0' encoding='utf-16'?><a><?xml encoding='x'?></a>")
	f.Add("<p:a xmlns:p='u'> <?xml version='1.0'?><p:b xmlns=''>&amp;<![CDATA[<c>]]></p:b><d/ ></p:a>")
	f.Fuzz(func(t *testing.T, text string) {
		many := strings.ReplaceAll(text, "b=''", strings.Repeat("b='' ", 65))
		e, err := xmltree.Parse(xmltree.Decode([]byte(many)), 100)
		if (e == nil) == (err == nil) {
			t.Fatalf("%+v, %v", e, err)
		}
		var check func(*xmltree.Element)
		check = func(e *xmltree.Element) {
			if len(e.Attrs) > 64 {
				t.Errorf("%d attributes", len(e.Attrs))
			}
			// What is between the tags reads the same in another element.
			again, err := xmltree.Parse([]byte("<a>"+string(e.Inner)+"</a>"), 100)
			if err != nil || len(again.Children) != len(e.Children) || string(again.Text) != string(e.Text) {
				t.Errorf("%q reads as %+v, %v", e.Inner, again, err)
			}
			for _, c := range e.Children {
				check(c)
			}
		}
		if e != nil {
			check(e)
		}
	})
}
