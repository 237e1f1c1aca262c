package attest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The log is the whole file, and what cannot be read has advice that fits.
func TestEventLog(t *testing.T) {
	own := eventLogFile
	t.Cleanup(func() { eventLogFile = own })
	dir := t.TempDir()
	eventLogFile = filepath.Join(dir, "log")
	_, err := EventLog()
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(e.Remedy(), "securityfs") || e.HRESULT() != 0x80070490 {
		t.Errorf("no log: %v, %q", err, e.Remedy())
	}
	if e := (&Error{Op: "EventLog", Err: errLogDenied}); !strings.Contains(e.Remedy(), "root") || e.HRESULT() != 0x80070005 {
		t.Errorf("not permitted: %q", e.Remedy())
	}
	want := bytes.Repeat([]byte("event"), 1000)
	for _, tt := range []struct {
		text []byte
		ok   bool
	}{{nil, true}, {want, true}, {make([]byte, maxEventLog), true}, {make([]byte, maxEventLog+1), false}} {
		if err := os.WriteFile(eventLogFile, tt.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := EventLog(); (err == nil) != tt.ok || tt.ok && !bytes.Equal(got, tt.text) || errors.Is(err, errNoLog) {
			t.Errorf("%d bytes: %d bytes, %v", len(tt.text), len(got), err)
		}
	}
}
