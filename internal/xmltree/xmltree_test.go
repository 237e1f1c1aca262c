package xmltree_test

import (
	"strings"
	"testing"

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
