package attest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func find() []Device { return findBelow("") }

// findBelow is Find below the folder root.
func findBelow(root string) (found []Device) {
	for _, n := range numbers(root) {
		major, _ := os.ReadFile(fmt.Sprintf("%s/sys/class/tpm/tpm%d/tpm_version_major", root, n))
		paths := []string{fmt.Sprintf("%s/dev/tpmrm%d", root, n), fmt.Sprintf("%s/dev/tpm%d", root, n)}
		if strings.TrimSpace(string(major)) == "1" {
			found = append(found, Device{paths[1], &Error{Op: "Open", Err: fmt.Errorf("%s: %w", paths[1], errTPM12)}})
			continue
		}
		for _, path := range paths {
			found = append(found, Device{path, usable(root, path)})
		}
	}
	return found
}

// numbers returns the numbers of the TPMs that the kernel or the folder of devices has.
func numbers(root string) (all []int) {
	known, _ := filepath.Glob(root + "/sys/class/tpm/tpm*")
	files, _ := filepath.Glob(root + "/dev/tpm*")
	for _, path := range append(known, files...) {
		name := strings.TrimPrefix(strings.TrimPrefix(filepath.Base(path), "tpm"), "rm")
		if n, err := strconv.ParseUint(name, 10, 16); err == nil && !slices.Contains(all, int(n)) {
			all = append(all, int(n))
		}
	}
	slices.Sort(all)
	return all
}

// usable returns why a device of the folder root cannot be opened, or nil.
func usable(root, path string) error {
	tpm, err := openBelow(root, path)
	if err != nil {
		return err
	}
	return tpm.Close()
}
