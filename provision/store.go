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
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/plain"
	"github.com/whiteglove/whiteglove/internal/rename"
)

// maxState is the largest size of a stored state in bytes. Most of it can be the
// management tree, which holds 8 MiB of values and names: at most twice that in
// JSON, and a third more in base64, as the state has it.
const maxState = 32 << 20

// ErrNoState is returned by Load of a [Store] that holds no state.
var ErrNoState = errors.New("no stored state")

// ErrState is wrapped by the error of Run and of FileStore.Load if a stored state
// cannot be used: it is damaged, has another version, or belongs to another TPM,
// tenant or user. The state was not changed. Remove it to start over.
var ErrState = errors.New("stored state cannot be continued")

// An advisedError has a remedy of its own, such as for why a state cannot be used.
type advisedError struct {
	err    error
	remedy string
}

// unusable returns an error that wraps ErrState and says why, as fmt.Errorf does.
func unusable(remedy, format string, args ...any) error {
	return &advisedError{fmt.Errorf("%w: %w", ErrState, fmt.Errorf(format, args...)), remedy}
}

// Error returns the text of the error.
func (e *advisedError) Error() string { return e.err.Error() }

// Unwrap returns the error without its remedy.
func (e *advisedError) Unwrap() error { return e.err }

// Remedy returns what helps.
func (e *advisedError) Remedy() string { return e.remedy }

// What helps if a stored state cannot be used, by why.
const (
	remedyDamaged  = "Give the right file (in the programs: -state), or a whole copy. If there is none, remove it: the run then begins again, with new keys."
	remedyOtherTPM = "Give the state of this device (in the programs: -state), and keep this one for the device that it belongs to. If the TPM of this device was cleared, its keys are lost: begin with a new state."
	remedyOtherEK  = "Let the run use that endorsement key (in the programs: leave out -ek), or begin with a new state (-state)."
	remedyTenant   = "Give the tenant that the state belongs to (in the programs: -tenant), or another state (-state)."
	remedyUser     = "Give the user whom the device belongs to (in the programs: -user), or the state of another device (-state)."
	remedyVersion  = "Another version of the program wrote it. Continue with that one."
)

// A Store keeps the state of a run across a reboot.
//
// A Store that only one run at a time may use also has a method
//
//	Lock(ctx context.Context) (unlock func() error, err error)
//
// Run calls it first, and unlock at its end. Lock returns [ErrLocked] at once if
// another run holds the lock.
type Store interface {
	// Load returns the stored state, which the caller owns. It returns
	// ErrNoState if there is none, and an error that wraps ErrState if there is
	// one that cannot be read.
	Load(ctx context.Context) (*State, error)

	// Save replaces the stored state. If it fails, or the machine stops, the
	// store holds the old state or the new one, never a part. It does not keep
	// s. The error is the store's own; Run wraps it in an [*Error].
	Save(ctx context.Context, s *State) error
}

// ErrLocked is returned by Lock of a [Store], and wrapped by the error of Run, if
// another run uses the same Store.
var ErrLocked = hresult.NewError(codeSharing, "another run is using the stored state")

const codeSharing = 0x80070020 // ERROR_SHARING_VIOLATION

// A FileStore is a [Store] in the file of that name. The file is JSON with mode
// 0600. Save writes a new file beside it, syncs it and renames it into place; on Windows
// it waits up to two seconds for programs that have the old file open. The
// SHA-256 in the file detects damage and careless edits, not tampering: whoever
// can write the file can compute it.
type FileStore string

// Lock locks the file of the store's name with ".lock" appended. The lock ends
// with unlock or with the process; the file stays. The error is [ErrLocked] if
// another process or another FileStore holds the lock, [errors.ErrUnsupported] on
// systems without such locks, or that of the operating system.
func (f FileStore) Lock(context.Context) (unlock func() error, err error) {
	file, err := lockFile(string(f) + ".lock")
	if dir := filepath.Dir(string(f)); errors.Is(err, fs.ErrNotExist) {
		return nil, &advisedError{plain.Because(err, "the folder %q does not exist", dir), "Make it, or name a file in a folder that exists."}
	}
	if err != nil {
		return nil, err
	}
	f.removeLeftovers()
	return file.Close, nil
}

// removeLeftovers removes what a Save left behind whose process or machine
// stopped. The caller holds the lock, so no other Save is under way.
func (f FileStore) removeLeftovers() {
	files, err := os.ReadDir(filepath.Dir(string(f)))
	if err != nil {
		return
	}
	for _, file := range files {
		if strings.HasPrefix(file.Name(), filepath.Base(string(f))+".") && strings.HasSuffix(file.Name(), tmpSuffix) {
			os.Remove(filepath.Join(filepath.Dir(string(f)), file.Name()))
		}
	}
}

// tmpSuffix ends the names of files that Save has not renamed yet.
const tmpSuffix = ".state-tmp"

// Load implements [Store]. The error is [ErrNoState] if there is no file, wraps
// [ErrState] if the file is not a regular file, larger than 32 MiB, damaged or
// edited, or is that of the operating system.
func (f FileStore) Load(context.Context) (*State, error) {
	file, err := openFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoState
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(unusable(remedyDamaged, "%s is a folder or another thing that is not a file", f), err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxState+1))
	if err != nil {
		return nil, err
	}
	return parseState(string(f), text)
}

// A stateFile is what a FileStore writes.
type stateFile struct {
	State  json.RawMessage `json:"state"`
	SHA256 []byte          `json:"sha256"` // of State without its white space
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

// parseState reads a state that formatState wrote from the file of a name. The error
// wraps ErrState and says what the file is.
func parseState(name string, text []byte) (*State, error) {
	s, err := decodeState(text)
	if err != nil {
		return nil, unusable(remedyDamaged, "%s %w", name, err)
	}
	return s, nil
}

// decodeState reads a state. The error is to follow the name of the file.
func decodeState(text []byte) (*State, error) {
	if len(text) > maxState {
		return nil, fmt.Errorf("is larger than %d bytes", maxState)
	}
	var file stateFile
	if err := json.Unmarshal(text, &file); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && syntax.Offset == int64(len(text)) && len(bytes.TrimSpace(text)) > 0 {
			return nil, plain.Because(err, "ends in the middle")
		}
		return nil, plain.Because(err, "is not a state file")
	}
	sum, err := digest(file.State)
	if err != nil || len(file.SHA256) == 0 {
		return nil, errors.New("is not a state file")
	}
	if !bytes.Equal(sum, file.SHA256) {
		return nil, errors.New("was edited or damaged")
	}
	s := new(State)
	if err := json.Unmarshal(file.State, s); err != nil {
		return nil, fmt.Errorf("has a state of another form: %w", err)
	}
	return s, nil
}

// formatState returns a state as a FileStore writes it.
func formatState(s *State) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	sum, err := digest(text)
	if err != nil {
		return nil, err
	}
	if text, err = json.MarshalIndent(stateFile{text, sum}, "", "\t"); err != nil {
		return nil, err
	}
	if len(text) >= maxState { // Save adds a line feed
		return nil, fmt.Errorf("the state has %d bytes, and Load would refuse more than %d", len(text), maxState)
	}
	return text, nil
}

// Save implements [Store]. It refuses a state that Load would refuse for its size;
// every other error is that of the operating system.
func (f FileStore) Save(_ context.Context, s *State) (err error) {
	text, err := formatState(s)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(string(f)), filepath.Base(string(f))+".*"+tmpSuffix) // mode 0600
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
	if err := rename.File(tmp.Name(), string(f)); err != nil {
		return err
	}
	return syncDir(filepath.Dir(string(f)))
}
