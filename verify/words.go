package verify

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/whiteglove/whiteglove/internal/plain"
)

// worded returns an error of package encoding/json about a text as one for the text's
// author: what is wrong, and where. It wraps err.
func worded(text []byte, err error) error {
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		if len(bytes.TrimSpace(text)) == 0 {
			return plain.Because(err, "it is empty")
		}
		ends := strings.Contains(wrong.Error(), "unexpected end")
		before := text
		if !ends {
			before = text[:min(max(wrong.Offset-1, 0), int64(len(text)))]
		}
		line := bytes.Count(before, []byte("\n")) + 1
		column := len(before) - bytes.LastIndexByte(before, '\n')
		if ends {
			return plain.Because(err, "the JSON ends in the middle, at line %d, column %d", line, column)
		}
		return plain.Because(err, "it is not JSON, at line %d, column %d", line, column)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return plain.Because(err, "%s", misplaced(text, wrong))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return plain.Because(err, "there is no field %.40s", name)
	}
	return err
}

// misplaced says of a value of another kind where it is and what it has to be.
func misplaced(text []byte, wrong *json.UnmarshalTypeError) string {
	var at []string
	number := false // the name of a member is no number
	d := json.NewDecoder(bytes.NewReader(text))
	_ = members(d, nil, func(path []string, _ json.Token, name bool) error {
		if d.InputOffset() < wrong.Offset {
			return nil
		}
		at, number = append(at, path...), name
		return errors.ErrUnsupported // it is found
	})
	if number && len(at) > 1 && wrong.Type.Kind() == reflect.Int {
		last := len(at) - 1
		return fmt.Sprintf("a name in %s has to be a number, not %.20q", place(at[:last]), at[last])
	}
	return place(at) + " " + plain.JSONKind(wrong)
}

// place names a value by its path.
func place(path []string) string {
	var names []string
	for i, name := range path {
		switch {
		case name == "", name == "pcrs" && i < len(path)-1 && path[i+1] != "": // in a list, or said with the PCR
		case i > 0 && (path[i-1] == "golden" || path[i-1] == "pcrs"):
			names = append(names, fmt.Sprintf("PCR %.20s", name))
		default:
			names = append(names, fmt.Sprintf("%.40s", name))
		}
	}
	all := strings.Join(names, ", ")
	switch len(names) {
	case 0:
		return "it"
	case 1:
		all = fmt.Sprintf("%q", all)
	}
	if path[len(path)-1] == "" {
		return "each value of " + all
	}
	return all
}

// digits returns an error that names the place if the token there is the value of a PCR
// or of a loader and is not hexadecimal.
func digits(path []string, t json.Token, name bool) error {
	text, ok := t.(string)
	if !ok || name || len(path) < 2 {
		return nil
	}
	where := strings.Trim(strings.TrimPrefix(place(path), "each value of "), `"`)
	last := len(path) - 1
	if path[last-1] == "pcrs" && path[last] != "" || path[0] == "loaders" || path[0] == "golden" && last == 2 {
		if _, err := hex.DecodeString(text); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	return nil
}
