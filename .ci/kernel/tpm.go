package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// startTPM makes a TPM whose state is in the new folder dir, as attesttest makes them,
// and starts swtpm with it, for one client at the socket that it returns. stop ends it.
func startTPM(ctx context.Context, dir string) (socket string, stop func(), err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", nil, err
	}
	tpm, err := attesttest.StartSWTPM(dir)
	if err != nil {
		return "", nil, err
	}
	if err := tpm.Close(); err != nil {
		return "", nil, err
	}
	socket = filepath.Join(dir, "ctrl")
	cmd := exec.CommandContext(ctx, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--ctrl", "type=unixio,path="+socket, "--terminate")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	for range 200 {
		if _, err := os.Stat(socket); err == nil {
			return socket, stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return "", nil, fmt.Errorf("swtpm makes no socket %s", socket)
}
