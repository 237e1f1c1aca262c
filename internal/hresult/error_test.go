package hresult_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// An other has a code, but package hresult did not make it.
type other struct{ error }

func (other) HRESULT() uint32 { return 0x80092004 }

func TestErrors(t *testing.T) {
	text, formatted := hresult.NewError(7, "text"), hresult.Errorf(8, "read: %w", io.EOF)
	if errors.Is(text, hresult.NewError(7, "text")) || text.Error() != "text" || formatted.Error() != "read: EOF" || !errors.Is(formatted, io.EOF) {
		t.Errorf("%v, %v", text, formatted)
	}
	for _, c := range []struct {
		err   error
		coded uint32
		ok    bool
		of    uint32
	}{
		{fmt.Errorf("x: %w", text), 7, true, 7},
		{hresult.Errorf(9, "x: %w", formatted), 9, true, 9},
		{hresult.Errorf(0, "x"), 0, true, hresult.Fail},
		{fmt.Errorf("x: %w", other{io.EOF}), 0, false, 0x80092004},
		{io.EOF, 0, false, hresult.Fail},
		{nil, 0, false, hresult.Fail},
	} {
		if code, ok := hresult.Coded(c.err); code != c.coded || ok != c.ok || hresult.Of(c.err) != c.of {
			t.Errorf("%v: %#x, %v, %#x", c.err, code, ok, hresult.Of(c.err))
		}
	}
}
