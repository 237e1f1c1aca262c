package plain

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// JSONKind says of a value of JSON what it has to be, and what it is instead, as in "has
// to be true or false, not a string".
func JSONKind(e *json.UnmarshalTypeError) string {
	return "has to be " + wantedKind(e.Type) + ", not " + givenKind(e.Value)
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// wantedKind returns what is read into a type.
func wantedKind(t reflect.Type) string {
	if t == nil {
		return "something else"
	}
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return "a string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "a string" // of base64
		}
		return "a list"
	case reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return wantedKind(t.Elem())
	}
	return "a string"
}

// givenKind returns what package encoding/json calls a value.
func givenKind(value string) string {
	switch value {
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	if number, ok := strings.CutPrefix(value, "number "); ok {
		return fmt.Sprintf("%.40s", number)
	}
	return "a " + value
}
