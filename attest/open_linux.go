package attest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"golang.org/x/sys/unix"
)

// devices are tried in this order. At the first, the kernel keeps programs apart,
// and flushes what a program has left loaded when it closes the file.
var devices = []string{"/dev/tpmrm0", "/dev/tpm0"}

// Open opens a TPM. path is a device file, such as "/dev/tpmrm0", or "" for the
// system's own TPM: on Linux /dev/tpmrm0, or /dev/tpm0 if that cannot be opened;
// on Windows the TPM of TBS, the only one, so that path must be "" there. On other
// systems there is no TPM. Open sends no command, so it does not notice if the
// device does not answer. The caller closes the TPM with [TPM.Close].
//
// The error is an [*Error]. It wraps [ErrNoTPM] if there is no TPM or it cannot be
// opened, and the error of the operating system as well, such as [fs.ErrPermission] or
// [syscall.EBUSY]. Of a device that another program has open, it names the program; of
// a file that is no device, or that is one of something else, it says so.
func Open(path string) (*TPM, error) { return openBelow("", path) }

// openBelow is Open with the folders /sys and /proc of the folder root.
func openBelow(root, path string) (*TPM, error) {
	paths := devices
	if path != "" {
		paths = []string{path}
	}
	var tried []string
	cause := ErrNoTPM
	for _, p := range paths {
		err := checkDevice(root+"/sys", p)
		var tr transport.TPMCloser
		if err == nil {
			tr, err = linuxtpm.Open(p)
		}
		if err == nil {
			return &TPM{Transport: tr}, nil
		}
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		// That the system's own TPM is not there is no mistake in a name.
		if path != "" || !errors.Is(err, fs.ErrNotExist) {
			cause = fmt.Errorf("%w: %w", ErrNoTPM, err)
		}
		text := err.Error()
		if errors.Is(err, syscall.EBUSY) {
			text += openBy(holders(root+"/proc", p))
		}
		tried = append(tried, p+": "+text)
	}
	return nil, &Error{Op: "Open", Err: &unopened{cause, strings.Join(tried, "; ")}}
}

// checkDevice returns an error if path is surely not the device of a TPM, so that no
// command is written to a disk, say. sys is the folder /sys, in which the kernel says of
// which class a device is. What is not known there may be a TPM.
func checkDevice(sys, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeCharDevice == 0 {
		return errNotDevice
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	class, err := os.Readlink(fmt.Sprintf("%s/dev/char/%d:%d/subsystem", sys, unix.Major(stat.Rdev), unix.Minor(stat.Rdev)))
	if err != nil {
		return nil //nolint:nilerr // it is not known
	}
	switch class = filepath.Base(class); {
	case strings.HasPrefix(class, "tpm"), strings.HasPrefix(class, "vtpm"), class == "misc", class == "cuse":
		return nil
	}
	return fmt.Errorf("%w: the kernel has it in class %s", errNotTPM, class)
}

// An unopened error says why each device could not be opened.
type unopened struct {
	cause error
	tried string
}

func (u *unopened) Error() string { return ErrNoTPM.Error() + " (" + u.tried + ")" }
func (u *unopened) Unwrap() error { return u.cause }

// openBy returns in words which programs have a device open, as far as that is known.
func openBy(programs []string) string {
	if len(programs) == 0 {
		return " by a program that this user may not see"
	}
	return ": it is open in " + strings.Join(programs, ", ")
}

// holders returns which processes have the file with the path open, such as
// "tpm2-abrmd (process 712)". proc is the folder /proc. A user sees only the processes
// that belong to the same user; root sees all.
func holders(proc, path string) []string {
	var found []string
	links, _ := filepath.Glob(proc + "/[0-9]*/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != path {
			continue
		}
		process := filepath.Dir(filepath.Dir(link))
		name, _ := os.ReadFile(process + "/comm")
		who := fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), filepath.Base(process))
		if !slices.Contains(found, who) {
			found = append(found, who)
		}
	}
	return found
}
