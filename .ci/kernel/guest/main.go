//go:build linux

// Guest is the only program of a machine that .ci/kernel boots: its /init. It tries
// the programs in /bin on the machine's TPM, reports each try in a line that begins
// with "@@", and turns the machine off.
package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: this is the init of a virtual machine; run .ci/kernel")
		os.Exit(2)
	}
	if err := setUp(); err != nil {
		fmt.Println("@@ FAIL set up:", err)
	} else {
		tryAll()
	}
	syscall.Sync()
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

// tryAll tries everything, or what the kernel's command line asks for.
func tryAll() {
	line, _ := os.ReadFile("/proc/cmdline")
	_, only, _ := strings.Cut(strings.TrimSpace(string(line)), "tpm_only=")
	chosen, err := regexp.Compile(only)
	if err != nil {
		fmt.Println("@@ FAIL", err)
		return
	}
	for _, t := range tries {
		if !strings.Contains(string(line), "tpm_device="+t.on) || !chosen.MatchString(t.name) {
			continue
		}
		fmt.Println("try:", t.name)
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
		err := t.do(ctx)
		cancel()
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			fmt.Printf("%v\n@@ FAIL %s: %s\n", err, t.name, first)
			continue
		}
		fmt.Printf("@@ ok   %s (%.1f s)\n", t.name, time.Since(start).Seconds())
	}
	fmt.Println("@@ all was tried")
}

// setUp mounts the kernel's file systems and turns on the loopback interface.
func setUp() error {
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"securityfs", "/sys/kernel/security"}} {
		if err := syscall.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	os.Setenv("PATH", "/bin")
	os.Setenv("TMPDIR", "/tmp")
	return loopback()
}

// loopback sets the flag IFF_UP of the interface lo.
func loopback() error {
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(s)
	var request struct { // struct ifreq
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(s), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("turn on lo: %w", errno)
	}
	return nil
}
