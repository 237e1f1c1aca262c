package wire

import (
	"regexp"
	"strings"
	"testing"
)

// The expressions say what withoutHidden and withoutTags leave out. They stand in a
// test because compiling them takes most of a small program's start.
var (
	hiddenParts = regexp.MustCompile(`(?is)<!--.*?(-->|$)|<(script|style|svg)\b.*?(</(script|style|svg)\s*>|$)`)
	tags        = regexp.MustCompile(`(?s)<[^>]*(>|$)`)
)

var pages = []string{
	"", "text", "<", "<<", "<p>one</p>two", "a<b", "a>b", "<p", "<!-->", "<!--->x", "<!---->x", "<!-- a > b -->c<!-- d",
	"<script>1</script>2", "<SCRIPT a='>'>1</Script\n\t >2", "<scripts>1</scripts>2", "<style/>1", "<svg>1</script>2", "<svg",
	"<script>1</script x>2</script>3", "<style>1</ style>2</style", "<svg_>1", "<svg\u00e9>1</svg>2", "<script><!--</script>1-->2",
	"<!-- <script> -->1</script>2", "a<\xffb>c", "<style>\x00</style\v>1</style\f>2", "</svg>1<svg>2</svg>3<svg/>4",
}

func checkMarkup(t *testing.T, page string) {
	t.Helper()
	if strings.Contains(page, "\u017f") || strings.ToValidUTF8(page, "") != page {
		return // the expressions take a long s for an s; Said replaces what is not UTF-8 before
	}
	if got, want := withoutHidden(page), hiddenParts.ReplaceAllString(page, " "); got != want {
		t.Errorf("%q without hidden parts is %q, want %q", page, got, want)
	}
	if got, want := withoutTags(page), tags.ReplaceAllString(page, " "); got != want {
		t.Errorf("%q without tags is %q, want %q", page, got, want)
	}
}

func TestMarkup(t *testing.T) {
	for _, page := range pages {
		checkMarkup(t, page)
	}
}

func FuzzMarkup(f *testing.F) {
	for _, page := range pages {
		f.Add(page)
	}
	f.Fuzz(checkMarkup)
}

// A long page with what looks like hidden elements is read once.
func TestMarkupIsLinear(t *testing.T) {
	page := strings.Repeat("<svg </svg", 1<<20/10)
	if got := withoutHidden(page); got != " " {
		t.Errorf("%d bytes left", len(got))
	}
}
