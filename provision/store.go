package provision

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxState is how large a stored state may be.
const maxState = 4 << 20

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
// synced and renamed into place. A SHA-256 in it tells if it was edited, or
// damaged; it keeps no one out who can compute that. It is a Locker by a file of
// the same name with ".lock" behind it, whose lock ends with the process.
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

// A stateFile is what a FileStore writes.
type stateFile struct {
	State  json.RawMessage `json:"state"`
	SHA256 []byte          `json:"sha256"` // of State without white space
}

// digest returns the SHA-256 of JSON without its white space.
func digest(text []byte) ([]byte, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(compact.Bytes())
	return sum[:], nil
}

// parseState reads a state as Save writes it.
func parseState(text []byte) (*State, error) {
	if len(text) > maxState {
		return nil, fmt.Errorf("%w: over %d bytes", ErrState, maxState)
	}
	var file stateFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	sum, err := digest(file.State)
	if err != nil {
		return nil, fmt.Errorf("%w: it holds no state", ErrState)
	}
	if !bytes.Equal(sum, file.SHA256) {
		return nil, fmt.Errorf("%w: it was edited or damaged", ErrState)
	}
	s := new(State)
	if err := json.Unmarshal(file.State, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return s, nil
}

// formatState writes a state for parseState.
func formatState(s *State) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	sum, err := digest(text)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(stateFile{text, sum}, "", "\t")
}

// Save implements Store.
func (f FileStore) Save(_ context.Context, s *State) (err error) {
	text, err := formatState(s)
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
	if err := os.Rename(tmp.Name(), string(f)); err != nil {
		return err
	}
	return syncDir(filepath.Dir(string(f)))
}
