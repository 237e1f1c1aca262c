package attesttest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

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

	// FastKeys puts RSA-2048 keys together from a pool of primes instead of
	// searching for primes, so that a device costs milliseconds where it cost
	// tenths of a second. Each key is another one: no two keys made with
	// FastKeys have the same modulus, in one process or in two. But a key
	// shares a prime with others, so that anybody can factor it. RSA primaries
	// other than those of the default seed then follow from Seed only within
	// one process; a state that goes on in another process has them along.
	FastKeys bool

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

	// State is a state that Snapshot returned, to go on from; Seed and what
	// comes between it and here do not matter then. A StateFile that is there
	// goes first.
	State []byte

	// What follows are oddities of real TPMs and of their state.

	Padded         bool   // the EK certificates are followed by FF up to 1,600 bytes, or as far as there is space
	TCGHeader      bool   // they follow the five-byte header of TCG PC Client 1.2: 10 01 00, 16-bit size
	ForeignEK      bool   // they are for the keys of another TPM
	NoChain        bool   // 0x01C00100 is not there
	RSA3072Default bool   // the EK at 0x81010001, or made if Fresh, is RSA 3072 (template H-6), its certificate at 0x01C0001C
	EKNonce        []byte // at 0x01C00003, for the RSA EK, of at most 256 bytes
	EKTemplate     []byte // TPMT_PUBLIC at 0x01C00004, for the RSA EK

	// EndorsementAuth is the authorization value of the endorsement
	// hierarchy. Windows sets a random one.
	EndorsementAuth []byte

	// Recovery is how long the TPM must be on to forget a wrong
	// authorization value, in whole seconds; 32 of them lock it. If 0, ten
	// minutes, as Windows sets it.
	Recovery time.Duration

	// LongSalt makes PSS signatures with the longest salt that fits, as TPMs
	// do that do not follow FIPS 186-4, instead of one as long as the hash.
	LongSalt bool

	// Retrying answers each command that is authorized with TPM_RC_RETRY, and
	// runs it when it comes again.
	Retrying bool

	// Delay returns how long a command takes besides its own time, by name,
	// such as TPM2_Create. If nil, no time.
	Delay func(command string) time.Duration

	// Fail returns a response code with which a command is answered instead
	// of being run, by name, or 0 to run it. If nil, all are run.
	Fail func(command string) uint32
}

// A TPM is an emulated TPM 2.0. Any number may be open at once, and one may be
// used concurrently.
type TPM struct {
	cfg  Config
	mu   sync.Mutex
	core *softtpm.TPM // nil when closed
	busy []byte       // command answered with TPM_RC_RETRY
}

// ErrClosed is wrapped by errors about a closed TPM.
var ErrClosed = errors.New("attesttest: TPM is closed")

func (t *TPM) identity() softtpm.Identity {
	id := identity
	id.LongSalt, id.PooledKeys = t.cfg.LongSalt, t.cfg.FastKeys
	return id
}

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
			core, err := softtpm.Restore(t.identity(), b)
			if err != nil {
				return nil, fmt.Errorf("attesttest: state file: %w", err)
			}
			return core, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("attesttest: state file: %w", err)
		}
	}
	if t.cfg.State != nil {
		core, err := softtpm.Restore(t.identity(), t.cfg.State)
		if err != nil {
			return nil, fmt.Errorf("attesttest: state: %w", err)
		}
		return core, nil
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
	if rc := t.interfere(command); rc != 0 {
		return refusal(rc), nil
	}
	rsp := t.core.Execute(command)
	if err := t.save(); err != nil {
		return nil, err
	}
	return rsp, nil
}

// Snapshot returns what Close would leave in a state file, for Config.State.
func (t *TPM) Snapshot() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.core == nil {
		return nil, ErrClosed
	}
	return t.core.Snapshot()
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
