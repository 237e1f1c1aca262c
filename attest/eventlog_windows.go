package attest

import (
	"fmt"

	"github.com/google/go-tpm/tpmutil/tbs"
)

func eventLog() (log []byte, err error) {
	c, err := tbs.CreateContext(tbs.TPMVersion20, tbs.IncludeTPM12|tbs.IncludeTPM20)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	n, err := c.GetTCGLog(nil)
	if err != nil {
		return nil, err
	}
	if n == 0 || n > maxEventLog {
		return nil, fmt.Errorf("event log of %d bytes", n)
	}
	log = make([]byte, n)
	n, err = c.GetTCGLog(log)
	return log[:min(int(n), len(log))], err
}
