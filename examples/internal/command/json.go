package command

import (
	"bytes"
	"encoding/json"
	"io"
)

// JSON returns v as JSON indented by tabs, with a line end.
func JSON(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "\t")
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return text.Bytes(), err
}

// WriteJSONLine writes v as one line of JSON.
func WriteJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
