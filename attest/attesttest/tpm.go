package attesttest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/softtpm"
)

// What the emulator says it is.
const (
	model    = "whiteglove soft TPM"
	firmware = 0x00010000 // 1.0
	revision = 159
)

// defaultSeed is the seed whose RSA primes are written down in package softtpm.
const defaultSeed = "SIM0 TPM number 1"

var identity = softtpm.Identity{
	Manufacturer: Vendor,
	Vendor:       [4]string{"whit", "eglo", "ve s", "oft"},
	Firmware:     [2]uint32{firmware, 0},
	Revision:     revision,
	Year:         2019, Day: 312, // of revision 1.59
}

// A Config describes the TPM that [New] returns. The zero value is a TPM as
// Windows leaves it, with keys that are the same in every process, which is
// forgotten when it is closed.
type Config struct {
	// Seed determines all primary keys: the same seed is the same TPM, in every
	// process. If it is empty, a default seed is used, whose RSA keys need no
	// search. With another one New and TPM2_CreatePrimary search for primes,
	// which takes tenths of a second for each RSA key, once in a process; see
	// FastKeys.
	Seed string

	// FastKeys takes RSA-2048 keys from a pool instead of searching for two
	// primes, so that a new TPM costs milliseconds. Each key of the pool has a
	// modulus that no other key has, in this process or another one. But many
	// share a prime, so that anybody can factor them. Seed then determines the
	// RSA primary keys within one process only, except those of the default
	// seed; a StateFile or State holds those that were made, for other
	// processes.
	FastKeys bool

	// StateFile is the path of a file that keeps what survives a reboot: the
	// seed, NV indexes, persistent keys and authorization values, as JSON that
	// is not encrypted. New restores the TPM from the file if it exists, and
	// then ignores the fields that say how a new TPM is made. Otherwise it
	// makes the file, with mode 0600. The TPM writes the file at each change.
	// If StateFile is empty, nothing is written.
	StateFile string

	// Fresh leaves out the persistent keys: the RSA EK at 0x81010001 and the
	// RSA storage root key (SRK) at 0x81000001, which Windows makes.
	Fresh bool

	// NoCertificate leaves out the certificates in NV memory, each in DER:
	// that of the RSA EK at 0x01C00002, that of the P-256 EK at 0x01C0000A, and
	// that of the issuing CA at 0x01C00100.
	NoCertificate bool

	// Maker signs the EK certificates. If nil, it is DefaultMaker.
	Maker *Maker

	// State is a state that Snapshot returned, which New restores the TPM
	// from as it does from a StateFile. If both exist, StateFile is used. The
	// slice is not used after New.
	State []byte

	// The following fields are oddities of real TPMs and of how they are set up.

	Padded         bool   // FF bytes follow each EK certificate, up to 1,600 bytes in all
	TCGHeader      bool   // each EK certificate follows a header of five bytes (TCG PC Client 1.2): 10 01 00 and its size, 16 bits big-endian
	ForeignEK      bool   // the EK certificates are for the keys of another TPM
	NoChain        bool   // there is no certificate of the issuing CA
	RSA3072Default bool   // the first EK is RSA-3072 (template H-6 of the TCG) with its certificate at 0x01C0001C, in place of RSA-2048
	EKNonce        []byte // the RSA EK has this nonce, of at most 256 bytes, in its template; it is at 0x01C00003
	EKTemplate     []byte // the RSA EK has this template, a TPMT_PUBLIC; it is at 0x01C00004

	// EndorsementAuth is the authorization value of the endorsement hierarchy;
	// nil is the empty one. Windows sets a random one.
	EndorsementAuth []byte

	// Recovery is the time that the TPM must be on until it forgets one wrong
	// authorization value, in whole seconds. After 32 wrong ones it is in
	// lockout. If 0, it is ten minutes, as Windows sets it.
	Recovery time.Duration

	// LongSalt has TPM2_Sign make RSASSA-PSS signatures with the longest salt
	// that fits, as TPMs do that do not follow FIPS 186-4, in place of one as
	// long as the hash.
	LongSalt bool

	// Retrying has the TPM answer each command with an authorization by
	// TPM_RC_RETRY, and run it when the same command comes again.
	Retrying bool

	// Delay returns how much longer a command takes. It is given the name of
	// the command, such as "TPM2_Create". If nil, commands take no longer.
	Delay func(command string) time.Duration

	// Chip, if not nil, has each command take as long as on a chip, besides Delay and
	// what the emulator itself takes. Persistent keys that this TPM object has not made count
	// as RSA keys.
	Chip *Chip

	// Fail returns the response code by which a command is answered without
	// being run, or 0 to run it. It is given the name of the command, such as
	// "TPM2_Create". If nil, every command is run.
	Fail func(command string) uint32
}

// A TPM is an emulated TPM 2.0. It is safe for concurrent use, and runs one
// command at a time. A process may have any number of them.
type TPM struct {
	cfg   Config
	mu    sync.Mutex
	core  *softtpm.TPM // nil when closed
	busy  []byte       // command answered with TPM_RC_RETRY
	bench bench        // of Config.Chip
}

// ErrClosed is returned by the methods of a [TPM] or [SWTPM] that was closed.
var ErrClosed = misuse.Errorf("attesttest: TPM is closed")

func (t *TPM) identity() softtpm.Identity {
	id := identity
	id.LongSalt, id.PooledKeys = t.cfg.LongSalt, t.cfg.FastKeys
	return id
}

// New returns a TPM that is started up, as TPM2_Startup(CLEAR) leaves it. The
// caller should close it.
//
// The error says which of these failed: reading or writing the StateFile, and
// then it wraps the error of the operating system; restoring the TPM from a
// StateFile or State, which have another form or are too large; making an EK from
// EKTemplate; or fitting the certificates into NV memory.
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

// open restores the TPM from the state file or State, or makes a new one.
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

// Send runs a command and returns the response, both in the form of TPM 2.0
// Library, Part 3, as transport.TPM of go-tpm wants it. Any bytes may be sent. The
// TPM does not keep command, and the caller owns the response.
//
// A command that fails has a response with its code and no error. The error is
// [ErrClosed], or says that the StateFile cannot be written and wraps the error
// of the operating system.
func (t *TPM) Send(command []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.core == nil {
		return nil, ErrClosed
	}
	if rc := t.interfere(command); rc != 0 {
		return refusal(rc), nil
	}
	rsp := t.core.Execute(bytes.Clone(command)) // objects keep parts of it
	t.sleep(command, rsp)
	if err := t.save(); err != nil {
		return nil, err
	}
	return rsp, nil
}

// Snapshot returns what survives a reboot, for Config.State: JSON that holds the
// seed and the keys in the clear. The error is [ErrClosed], or that of
// encoding/json.
func (t *TPM) Snapshot() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.core == nil {
		return nil, ErrClosed
	}
	return t.core.Snapshot()
}

// Close turns the TPM off and writes the StateFile, if there is one. What is not
// persistent is lost. Closing it again does nothing. The error says that the
// StateFile cannot be written and wraps the error of the operating system.
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
// The error is that of [TPM.Send].
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
// does: it has other endorsement keys, and keys that were made before cannot be
// loaded. The seed of the old TPM determines the new one. The error is that of
// [TPM.Send] or, if the new TPM cannot be made, that of [New].
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

// Loaded returns how many transient objects and sessions are loaded in the TPM.
// After a run of package attest or provision both are 0. They are 0 if the TPM is
// closed.
func (t *TPM) Loaded() (objects, sessions int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.core == nil {
		return 0, 0
	}
	return t.core.Loaded()
}
