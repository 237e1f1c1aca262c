// Kernel tries the examples and the tests of package attest on a Linux kernel's own
// TPM driver: it boots that kernel in QEMU, without KVM, with a TPM that is swtpm, and
// runs the programs on /dev/tpmrm0 and /dev/tpm0.
//
//	go run ./.ci/kernel -kernel /boot/vmlinuz-… [-tpm tpm-tis,tpm-crb] [-run regexp] [-all] [-v]
//
// The kernel needs TCG_TIS, TCG_CRB and a serial console built in, as Debian's cloud
// kernels have. QEMU (qemu-system-x86_64) and swtpm must be installed. What the guest
// tries is in the folder guest. A failure shows the console's last lines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	kernel  = flag.String("kernel", "", "the kernel's `FILE` (vmlinuz)")
	devices = flag.String("tpm", "tpm-tis,tpm-crb", "QEMU's TPM `DEVICES`, one boot each")
	only    = flag.String("run", "", "try only what matches this regular `EXPRESSION`")
	all     = flag.Bool("all", false, "run the tests of package attest that take long and show little of the driver, too")
	verbose = flag.Bool("v", false, "show the console")
	timeout = flag.Duration("timeout", 10*time.Minute, "of each boot")
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("kernel: ")
	flag.Parse()
	dir, err := os.MkdirTemp("", "kernel")
	if err != nil {
		log.Fatal(err)
	}
	failed := tryAll(dir)
	os.RemoveAll(dir)
	if failed {
		os.Exit(1)
	}
}

// tryAll boots once for each TPM device, all at the same time, with files in dir, and
// reports whether anything failed.
func tryAll(dir string) (failed bool) {
	image := filepath.Join(dir, "initramfs")
	if err := buildImage(image, dir); err != nil {
		log.Print(err)
		return true
	}
	var machines sync.WaitGroup
	var tried, wrong atomic.Int32
	for device := range strings.SplitSeq(*devices, ",") {
		machines.Go(func() {
			start := time.Now()
			n, err := try(device, image, filepath.Join(dir, device))
			tried.Add(int32(n))
			if err != nil {
				log.Printf("%s: %v", device, err)
				wrong.Add(1)
			}
			fmt.Printf("   %s: tried %d in %.0f s\n", device, n, time.Since(start).Seconds())
		})
	}
	machines.Wait()
	if tried.Load() == 0 {
		log.Print("nothing was tried")
		return true
	}
	return wrong.Load() > 0
}

// try boots the image with a new TPM whose state is in dir, and returns how much was
// tried.
func try(device, image, dir string) (tried int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	socket, stop, err := startTPM(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer stop()
	// Without "tcg", QEMU takes KVM where /dev/kvm is, which need not work.
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-machine", "q35", "-m", "1024", "-smp", "2", "-accel", "tcg,thread=multi", "-cpu", "max",
		"-nographic", "-no-reboot", "-net", "none", "-kernel", *kernel, "-initrd", image,
		"-append", "console=ttyS0 quiet loglevel=4 panic=-1 no_console_suspend tpm_device="+device+" tpm_only="+*only,
		"-qmp", "unix:"+filepath.Join(dir, "qmp")+",server=on,wait=off",
		"-chardev", "socket,id=c,path="+socket, "-tpmdev", "emulator,id=t,chardev=c", "-device", device+",tpmdev=t")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go wake(filepath.Join(dir, "qmp"))
	c := &console{device: device}
	c.follow(out)
	ended := ctx.Err()
	cancel() // the guest may have turned the machine off, but not after it has slept
	err = errors.Join(ended, cmd.Wait())
	switch {
	case !c.done:
		c.show()
		return c.tried, fmt.Errorf("the machine ended before all was tried: %w", err)
	case c.failed:
		return c.tried, errors.New("something failed")
	}
	return c.tried, nil
}
