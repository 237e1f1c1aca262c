package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// unopened returns an error that says what can be done, as package attest knows it.
func unopened(spec string, err error) error {
	return &attest.Error{Op: "Open", Err: fmt.Errorf("%s: %w", spec, err)}
}

// A mistake is an error of a spec that names something else than a TPM.
type mistake struct {
	spec, what, remedy string
	err                error // the cause, or nil
}

func (m *mistake) Error() string   { return "tpm: " + m.spec + ": " + m.what }
func (m *mistake) Unwrap() error   { return m.err }
func (m *mistake) HRESULT() uint32 { return 0x8028400F } // TBS_E_TPM_NOT_FOUND
func (m *mistake) Remedy() string  { return m.remedy }

// An inUse is the error of an emulator's state that another program uses.
type inUse struct {
	text string
	err  error
}

func (u *inUse) Error() string   { return "tpm: " + u.text }
func (u *inUse) Unwrap() error   { return u.err }
func (u *inUse) HRESULT() uint32 { return 0x800700AA } // ERROR_BUSY
func (u *inUse) Remedy() string  { return "Wait until it has ended, or name another." }

// A child is a swtpm that this program started.
type child struct{ *attesttest.SWTPM }

// Send sends a command. If the swtpm has ended, the error says so.
func (c child) Send(command []byte) ([]byte, error) {
	rsp, err := c.SWTPM.Send(command)
	for _, is := range []error{syscall.EPIPE, syscall.ECONNRESET, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, is) {
			return nil, &advised{plain.Because(err, "the swtpm that this program started has ended"), "Run again."}
		}
	}
	return rsp, err
}

// An advised is an error with a remedy of its own.
type advised struct {
	error
	remedy string
}

// Unwrap returns the error.
func (a *advised) Unwrap() error { return a.error }

// Remedy returns the remedy.
func (a *advised) Remedy() string { return a.remedy }

// closer is a transport that something else closes.
type closer struct {
	transport.TPM
	io.Closer
}

// emulate opens the emulator in this process, with its state in a file unless that has no
// name.
func emulate(file string) (*Device, error) {
	if file == "" {
		tpm, err := attesttest.New(attesttest.Config{})
		if err != nil {
			return nil, unopened("soft", err)
		}
		return &Device{TPMCloser: tpm, Name: "emulated TPM in this process"}, nil
	}
	spec := "soft:" + file
	name := "emulated TPM in this process, state in " + file
	if err := needFolder(spec, file); err != nil {
		return nil, err
	}
	switch info, err := os.Stat(file); {
	case err == nil && !info.Mode().IsRegular():
		return nil, &mistake{spec, file + " is no file", "Name a file for the TPM's state, or a new one.", nil}
	case err == nil && info.Size() > 0:
	case err == nil || errors.Is(err, fs.ErrNotExist):
		name += ", which is new"
	}
	tpm, err := attesttest.New(attesttest.Config{StateFile: file})
	var refused *fs.PathError
	switch {
	case err == nil:
		return &Device{TPMCloser: tpm, Name: name}, nil
	case errors.As(err, &refused):
		return nil, unwritten(spec, file, refused)
	}
	return nil, &mistake{spec, "the file has no state of this emulator, or is damaged", "Name the file that an earlier run with soft:STATEFILE wrote, or a new one.", err}
}

// needFolder returns an error if the folder of a file or a folder does not exist.
func needFolder(spec, name string) error {
	parent := filepath.Dir(name)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		return &mistake{spec, "the folder " + parent + " does not exist", "Make it, or name another.", err}
	}
	return nil
}

// unwritten returns the error of a state that cannot be read or written.
func unwritten(spec, name string, err error) error {
	text := err.Error()
	var refused *fs.PathError
	if errors.As(err, &refused) {
		text = refused.Err.Error()
	}
	switch _, gone := os.Stat(name); {
	case errors.Is(err, fs.ErrPermission) && gone != nil:
		return &mistake{spec, fmt.Sprintf("the folder %s takes no new file: %s", filepath.Dir(name), text), "Let this user write there, or name another folder.", err}
	case errors.Is(err, fs.ErrPermission):
		return &mistake{spec, fmt.Sprintf("%s cannot be read and written: %s", name, text), "Let this user read and write it, or name another.", err}
	}
	return &mistake{spec, text, "Name another file or folder for the TPM's state.", err}
}

// start starts swtpm with its state in dir, which it makes if that does not exist. ctx
// limits the time until swtpm has answered.
func start(ctx context.Context, dir string) (*Device, error) {
	spec := "swtpm:" + dir
	name := "swtpm child, state in " + dir
	made := false
	switch files, err := os.ReadDir(dir); {
	case err == nil && len(files) > 0:
	case err == nil:
		name += ", a new TPM"
	case errors.Is(err, fs.ErrNotExist):
		if err := needFolder(spec, filepath.Clean(dir)); err != nil {
			return nil, err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, unwritten(spec, filepath.Clean(dir), err)
		}
		name, made = name+", a new TPM", true
	case errors.Is(err, fs.ErrPermission):
		return nil, &mistake{spec, dir + " cannot be read", "Let this user read and write the folder of the TPM's state.", err}
	default:
		return nil, &mistake{spec, dir + " is no folder", "Name the folder with the TPM's state, as in swtpm:STATEDIR. For an emulator at a socket, write unix:SOCKET.", err}
	}
	tpm, err := startSWTPM(ctx, dir)
	switch {
	case err == nil:
		return &Device{TPMCloser: child{tpm}, Name: name}, nil
	case made:
		_ = os.Remove(dir) // if it is empty
	}
	if errors.Is(err, syscall.EBUSY) {
		return nil, &inUse{spec + ": another program has this swtpm's folder in use", err}
	}
	if errors.Is(err, attesttest.ErrNoSWTPM) {
		return nil, fmt.Errorf("tpm: %s: %w; or use -tpm soft", spec, err)
	}
	return nil, unopened(spec, err)
}

// startSWTPM starts swtpm. It does not wait longer than ctx: what starts later is ended.
func startSWTPM(ctx context.Context, dir string) (*attesttest.SWTPM, error) {
	type result struct {
		tpm *attesttest.SWTPM
		err error
	}
	done := make(chan result, 1)
	go func() {
		tpm, err := attesttest.StartSWTPM(dir)
		done <- result{tpm, err}
	}()
	select {
	case r := <-done:
		return r.tpm, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				_ = r.tpm.Close()
			}
		}()
		return nil, fmt.Errorf("%w: swtpm: %w", attest.ErrNoAnswer, ctx.Err())
	}
}
