package traffic

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// TestShortReader cuts long texts between characters and escapes, and nothing else.
func TestShortReader(t *testing.T) {
	for _, unit := range []string{"x", `\n`, `\"`, `\\`, `\u00e4`, `\u005c`, `\u0022`, `u\uABCDu`, "ä", `\\u`} {
		for shift := range 7 {
			long := strings.Repeat("y", shift) + strings.Repeat(unit, 2*wide.MaxLine)
			in := `{"a":"` + long + `","b\"":["` + long + `",1,"\u0022,` + unit + `"],"":""}`
			var want, got map[string]any
			out, err := bufio.NewReader(&shortReader{r: iotest.OneByteReader(strings.NewReader(in))}).ReadBytes(0)
			if err != io.EOF || len(out) > 2*(wide.MaxLine+16)*6 || json.Unmarshal([]byte(in), &want) != nil {
				t.Fatal(unit, len(out), err)
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%s: %v", unit, err)
			}
			cut := strings.TrimRight(got["a"].(string), "\uFFFD")
			whole, list := want["a"].(string), got["b\""].([]any)
			if !strings.HasPrefix(whole, cut) || len(cut) < wide.MaxLine/6 || len(cut) == len(whole) || list[0] != got["a"] || list[1] != 1.0 || list[2] != want["b\""].([]any)[2] || got[""] != "" {
				t.Errorf("%s: %d bytes of %d, %v", unit, len(cut), len(whole), list[1:])
			}
		}
	}
	short := `{"a":"` + strings.Repeat("x", wide.MaxLine) + `"}`
	if out, err := io.ReadAll(&shortReader{r: strings.NewReader(short)}); string(out) != short || err != nil {
		t.Errorf("%d bytes of %d, %v", len(out), len(short), err)
	}
}
