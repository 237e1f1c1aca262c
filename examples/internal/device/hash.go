package device

import (
	"bytes"
	"fmt"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/examples/internal/command"
)

// ReadHash reads a hardware hash from a file, or from the standard input if that is
// called "-": in base64, or as the first row of a file of devices.
func ReadHash(name string) (*autopilot.Hash, error) {
	text, err := command.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if h, err := autopilot.ParseHash(string(text)); err == nil {
		return h, nil
	}
	sheet, err := autopilot.ReadCSV(bytes.NewReader(text))
	if err != nil || len(sheet.Rows) == 0 {
		return nil, fmt.Errorf("%s: neither a hardware hash nor a file of them", name)
	}
	return autopilot.ParseHash(sheet.Rows[0].Hash)
}
