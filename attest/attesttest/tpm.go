package attesttest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/whiteglove/whiteglove/internal/softtpm"
)

// What the emulator says it is.
const (
	model    = "whiteglove soft TPM"
	firmware = 0x00010000 // 1.0
	revision = 159
)

// defaultSeed is the seed whose RSA primes are shipped.
const defaultSeed = "SIM0 TPM number 1"

var identity = softtpm.Identity{
	Manufacturer: Vendor,
	Vendor:       [4]string{"whit", "eglo", "ve s", "oft"},
	Firmware:     [2]uint32{firmware, 0},
	Revision:     revision,
	Year:         2019, Day: 312, // of revision 1.59
}

// Config says what TPM New returns. The zero value is a TPM as Windows leaves
// it, that is forgotten when the process ends.
type Config struct {
	// Seed is what all primary keys follow from: the same seed is the same
	// TPM, in every process. If empty, a default seed whose RSA keys need no
	// search; other seeds cost some tenths of a second a TPM, once a process.
	Seed string

	// StateFile keeps NV indices, persistent keys and authorization values
	// in a file, mode 0600, in the clear. If the file is there, New goes on
	// from it and the rest of Config does not matter; it is written at each
	// change. If empty, nothing is written.
	StateFile string

	// Fresh leaves out the persistent keys: the RSA EK at 0x81010001 and the
	// RSA SRK at 0x81000001, which are there otherwise.
	Fresh bool

	// NoCertificate leaves out the EK certificates in NV memory, which are
	// there otherwise: RSA at 0x01C00002, P-256 at 0x01C0000A, and the
	// issuing CA's at 0x01C00100.
	NoCertificate bool

	// Maker signs the EK certificates. If nil, DefaultMaker.
	Maker *Maker
}

// A TPM is an emulated TPM 2.0. Any number may be open at once, and one may be
// used concurrently.
type TPM struct {
	cfg  Config
	mu   sync.Mutex
	core *softtpm.TPM // nil when closed
}

// ErrClosed is wrapped by errors about a closed TPM.
var ErrClosed = errors.New("attesttest: TPM is closed")

// New returns a TPM, started up.
func New(cfg Config) (*TPM, error) {
	t := &TPM{cfg: cfg}
	core, err := t.open()
	if err != nil {
		return nil, err
	}
	t.core = core
	if err := t.save(); err != nil {
		return nil, err
	}
	return t, nil
}

// open restores the TPM of the state file or makes a new one.
func (t *TPM) open() (*softtpm.TPM, error) {
	if t.cfg.StateFile != "" {
		b, err := readState(t.cfg.StateFile)
		if err == nil {
			core, err := softtpm.Restore(identity, b)
			if err != nil {
				return nil, fmt.Errorf("attesttest: state file: %w", err)
			}
			return core, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("attesttest: state file: %w", err)
		}
	}
	seed := t.cfg.Seed
	if seed == "" {
		seed = defaultSeed
	}
	return t.manufacture([]byte(seed))
}

// Send runs a command buffer and returns the response buffer, as
// transport.TPM of go-tpm. It takes any bytes; the error is about a closed TPM
// or the state file only.
func (t *TPM) Send(command []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.core == nil {
		return nil, ErrClosed
	}
	rsp := t.core.Execute(command)
	if err := t.save(); err != nil {
		return nil, err
	}
	return rsp, nil
}

// Close turns the TPM off. What is not persistent is lost.
func (t *TPM) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.core == nil {
		return nil
	}
	err := t.saveNow()
	t.core = nil
	return err
}

// Reboot turns the TPM off and on: transient keys, sessions and PCRs are lost.
func (t *TPM) Reboot() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.core == nil {
		return ErrClosed
	}
	t.core.Reboot()
	return t.save()
}

// Replace puts another TPM of the same maker in its place, as a new main board
// does: other endorsement keys, no key made before is of use. Which one follows
// from the seed, too.
func (t *TPM) Replace() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.core == nil {
		return ErrClosed
	}
	next := sha256.Sum256(append([]byte("replacement of "), t.core.Seed()...))
	core, err := t.manufacture(next[:])
	if err != nil {
		return err
	}
	t.core = core
	return t.save()
}

// Loaded returns how many transient objects and sessions are loaded now.
func (t *TPM) Loaded() (objects, sessions int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.core == nil {
		return 0, 0
	}
	return t.core.Loaded()
}
