package diagnose

import (
	"encoding/json"
	"fmt"
)

// MarshalJSON returns an object with d's fields, those that are zero left out except
// retryable. The members hresult and screen are hexadecimal, such as "0x80180014",
// retryAfter is in seconds, and error has the text of [Diagnosis.String] without the
// remedy. The error is always nil.
func (d Diagnosis) MarshalJSON() ([]byte, error) {
	type fields Diagnosis
	text := d
	text.Remedy = ""
	return json.Marshal(struct {
		Error string `json:"error,omitempty"`
		fields
		HRESULT    string  `json:"hresult,omitempty"`
		Screen     string  `json:"screen,omitempty"`
		RetryAfter float64 `json:"retryAfter,omitempty"`
	}{text.String(), fields(d), hexCode(d.HRESULT), hexCode(d.Screen), d.RetryAfter.Seconds()})
}

// hexCode returns a code as Windows prints it, or "" for 0.
func hexCode(code uint32) string {
	if code == 0 {
		return ""
	}
	return fmt.Sprintf("0x%08X", code)
}
