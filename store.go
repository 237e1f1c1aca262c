package whiteglove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stateVersion is the version of State that this package writes and reads.
const stateVersion = 1

// maxState is how large a stored state may be.
const maxState = 1 << 20

// State is what a run has reached. It holds no secret: its keys are wrapped by
// the TPM that made them and of use to no other, and tokens are left out.
// Certificates are in DER, the subject's first, then issuers as far as known.
// Keys are PEM, as attest.Key encodes them. What is empty was not reached.
type State struct {
	Version int    `json:"version"`
	Tenant  string `json:"tenant"`

	EKSHA256       []byte   `json:"ekSha256,omitempty"` // of the EK's SubjectPublicKeyInfo
	EKCertificates [][]byte `json:"ekCertificates,omitempty"`

	AIK             string   `json:"aik,omitempty"`
	AIKName         []byte   `json:"aikName,omitempty"` // TPM name: nameAlg and digest
	AIKCertificates [][]byte `json:"aikCertificates,omitempty"`

	DeviceKey         string `json:"deviceKey,omitempty"`
	TransportKey      string `json:"transportKey,omitempty"`
	ZTDID             string `json:"ztdId,omitempty"` // of the registration for pre-provisioning
	DeviceID          string `json:"deviceId,omitempty"`
	TenantID          string `json:"tenantId,omitempty"`
	DeviceCertificate []byte `json:"deviceCertificate,omitempty"`

	ManagementKey          string   `json:"managementKey,omitempty"`
	ManagementCertificates [][]byte `json:"managementCertificates,omitempty"`
	ManagementServer       string   `json:"managementServer,omitempty"` // the session's URL

	Sealed time.Time `json:"sealed,omitzero"` // when the device left the tenant
}

// check reports whether a stored state can be continued for tenant.
func (s *State) check(tenant string) error {
	if s.Version != stateVersion {
		return fmt.Errorf("%w: it has version %d, not %d", ErrState, s.Version, stateVersion)
	}
	if s.Tenant != tenant {
		return fmt.Errorf("%w: it is of tenant %q, not %q", ErrState, s.Tenant, tenant)
	}
	return nil
}

// ErrNoState is returned by a [Store] that holds no state.
var ErrNoState = errors.New("no stored state")

// ErrState is wrapped when a stored state cannot be used: it is damaged, or of
// another TPM, tenant or version. Nothing was changed; remove it to start over.
var ErrState = errors.New("stored state cannot be continued")

// A Store keeps the state of a run across a reboot.
type Store interface {
	// Load returns the stored state, or ErrNoState.
	Load(ctx context.Context) (*State, error)
	// Save replaces the stored state as a whole, or leaves it as it was.
	Save(ctx context.Context, s *State) error
}

// A Locker is a Store that only one run at a time may use. Run locks it.
type Locker interface {
	Store
	// Lock returns ErrLocked at once if another holds the lock.
	Lock(ctx context.Context) (unlock func() error, err error)
}

// ErrLocked is wrapped when another run uses the same Store.
var ErrLocked = errors.New("another run is using the stored state")

// FileStore is a Store in the named file: JSON, mode 0600, written beside it,
// synced and renamed into place. It is a Locker by a file of the same name with
// ".lock" behind it, whose lock ends with the process.
type FileStore string

// Lock implements Locker.
func (f FileStore) Lock(context.Context) (unlock func() error, err error) {
	file, err := lockFile(string(f) + ".lock")
	if err != nil {
		return nil, err
	}
	return file.Close, nil
}

// Load implements Store.
func (f FileStore) Load(context.Context) (*State, error) {
	file, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoState
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxState+1))
	if err != nil {
		return nil, err
	}
	return parseState(text)
}

// parseState reads a state as Save writes it.
func parseState(text []byte) (*State, error) {
	if len(text) > maxState {
		return nil, fmt.Errorf("%w: over %d bytes", ErrState, maxState)
	}
	s := new(State)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return s, nil
}

// Save implements Store.
func (f FileStore) Save(_ context.Context, s *State) (err error) {
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(string(f)), filepath.Base(string(f))+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(append(text, '\n'))
	if serr := tmp.Sync(); err == nil {
		err = serr
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), string(f))
}
