package evidence

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// readRegistry reads an export of the registry: keys in brackets and values as
// "name"=data, of which a line may continue on the next.
func (c *Case) readRegistry(s *Source, r io.Reader) error {
	key, pending, start := "", "", 0
	err := wide.Lines(r, func(n int, line string) {
		line = strings.TrimSpace(line)
		if pending != "" {
			line = pending + line
			pending = ""
		} else {
			start = n
		}
		switch {
		case strings.HasSuffix(line, `\`) && strings.Contains(line, "=hex") && len(line) < wide.MaxLine:
			pending = strings.TrimSuffix(line, `\`)
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			key = strings.Trim(line, "[]")
			c.add(fact{ref: Ref{File: s.Name, Line: n}, key: key, text: line, lower: strings.ToLower(key)})
		case strings.HasPrefix(line, `"`) || strings.HasPrefix(line, "@="):
			s.Records++
			c.registryValue(s, start, key, line)
		}
	})
	return err
}

func (c *Case) registryValue(s *Source, n int, key, line string) {
	name, data, ok := cutQuoted(line)
	if !ok {
		return
	}
	value := registryData(data)
	c.private.value(name, value)
	f := fact{
		ref: Ref{File: s.Name, Line: n}, key: key, name: name, value: value,
		text: fmt.Sprintf("%s: %s = %s", key, name, value), lower: strings.ToLower(clip(value, maxSearch)),
	}
	f.codes = valueCodes(nil, value)
	if strings.HasPrefix(strings.TrimSpace(value), "{") {
		c.jsonValues(f, []byte(value))
	}
	c.add(f)
}

// cutQuoted splits `"name"=data` or `@=data`.
func cutQuoted(line string) (name, data string, ok bool) {
	if rest, found := strings.CutPrefix(line, "@="); found {
		return "@", rest, true
	}
	for i := 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			data, ok = strings.CutPrefix(line[i+1:], "=")
			return unquote.Replace(line[1:i]), data, ok
		}
	}
	return "", "", false
}

var unquote = strings.NewReplacer(`\\`, `\`, `\"`, `"`)

// registryData returns the data of a value as text: numbers in decimal, texts as they
// are, other bytes in hexadecimal.
func registryData(data string) string {
	if text, ok := strings.CutPrefix(data, `"`); ok {
		return unquote.Replace(strings.TrimSuffix(text, `"`))
	}
	kind, digits, _ := strings.Cut(data, ":")
	if kind == "dword" {
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil {
			return digits
		}
		return strconv.FormatUint(n, 10)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(digits, ",", ""), " ", ""))
	if err != nil {
		return clip(digits, maxSearch)
	}
	switch {
	case kind == "hex(b)" && len(b) == 8:
		return strconv.FormatUint(binary.LittleEndian.Uint64(b), 10)
	case kind == "hex(1)", kind == "hex(2)", kind == "hex(7)":
		return strings.TrimRight(strings.ReplaceAll(string(wide.Decode(b, binary.LittleEndian)), "\x00", "\n"), "\n")
	}
	return clip(hex.EncodeToString(b), maxSearch)
}
