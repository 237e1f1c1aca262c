package device

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/internal/wide"
)

// ReadHash reads a hardware hash from a file, or from the standard input if that is
// called "-": in base64, or as the only row of a file of devices. Either may be
// UTF-16, as PowerShell 5.1 writes it.
func ReadHash(name string) (*autopilot.Hash, error) {
	text, err := command.ReadFile(name)
	if err != nil {
		return nil, err
	}
	h, hashErr := autopilot.ParseHash(plainText(text))
	if hashErr == nil {
		return h, nil
	}
	sheet, err := autopilot.ReadCSV(bytes.NewReader(text))
	switch {
	case strings.TrimSpace(plainText(text)) == "":
		return nil, fmt.Errorf("%s: the file is empty. %s", name, give)
	case err != nil && (strings.HasPrefix(plainText(text), "T0") || strings.HasPrefix(plainText(text), "VD")):
		return nil, command.Contents(name, hashErr) // it starts as a hash does, in base64 once or twice
	case err != nil:
		return nil, fmt.Errorf("%s: neither a hardware hash nor a file of them. %s", name, give)
	case len(sheet.Rows) != 1:
		return nil, fmt.Errorf("%s: the file has %d devices; name one with the device's own row only", name, len(sheet.Rows))
	case sheet.Rows[0].Hash == "":
		return nil, fmt.Errorf("%s: the device has no hardware hash", name)
	}
	h, err = autopilot.ParseHash(sheet.Rows[0].Hash)
	return h, command.Contents(name, err)
}

// give says what to read a hash from.
const give = "Give the base64 text (it begins with T0), or the CSV file that Get-WindowsAutopilotInfo wrote"

// plainText returns a text that may be UTF-16 with a byte order mark.
func plainText(text []byte) string {
	switch {
	case bytes.HasPrefix(text, []byte{0xFE, 0xFF}):
		text = wide.Decode(text[2:], binary.BigEndian)
	case bytes.HasPrefix(text, []byte{0xFF, 0xFE}):
		text = wide.Decode(text[2:], binary.LittleEndian)
	}
	return string(text)
}
