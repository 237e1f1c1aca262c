package attest

import (
	"fmt"
	"io"
	"os"
)

// eventLogFile is where Linux has the log.
var eventLogFile = "/sys/kernel/security/tpm0/binary_bios_measurements"

func eventLog() ([]byte, error) {
	f, err := os.Open(eventLogFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	log, err := io.ReadAll(io.LimitReader(f, maxEventLog+1))
	if err == nil && len(log) > maxEventLog {
		err = fmt.Errorf("%s: over %d bytes", eventLogFile, maxEventLog)
	}
	return log, err
}
