package attesttest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/google/go-tpm/tpm2"
)

// ErrNoSWTPM is wrapped by the error of [StartSWTPM] if swtpm is not installed or
// cannot be run, does not exist for the operating system, or does not answer with
// a new state. A test should then be skipped.
var ErrNoSWTPM = errors.New("attesttest: no swtpm that works (Debian: apt-get install swtpm; macOS: brew install swtpm)")

// A SWTPM is a swtpm child process, which [StartSWTPM] starts. It is safe for
// concurrent use, and runs one command at a time.
type SWTPM struct {
	dir  string
	temp bool // dir is ours

	turn  sync.Mutex // held while a command runs
	mu    sync.Mutex // guards child
	child *child     // nil when closed
}

// StartSWTPM starts the program swtpm with its state in dir, which must exist; if
// dir is empty, in a directory of its own, which Close removes. In a new state it
// sets up what the TPMs of [New] have: EK certificates by [DefaultMaker] in NV
// memory, the RSA EK at 0x81010001 and the RSA SRK at 0x81000001. The
// authorization value of the platform hierarchy is empty. The caller must close
// the SWTPM.
//
// The error wraps [ErrNoSWTPM] if no swtpm can be used here. Otherwise it wraps
// that of the operating system, which is syscall.EBUSY if another swtpm uses dir, or a
// response code of type tpm2.TPMRC.
func StartSWTPM(dir string) (*SWTPM, error) {
	s := &SWTPM{dir: dir}
	if dir == "" {
		d, err := tempDir()
		if err != nil {
			return nil, fmt.Errorf("attesttest: swtpm: %w", err)
		}
		s.dir, s.temp = d, true
	}
	files, err := os.ReadDir(s.dir)
	empty := err == nil && len(files) == 0
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.provision(empty); err != nil {
		return nil, errors.Join(fmt.Errorf("attesttest: provision swtpm: %w", err), s.Close())
	}
	return s, nil
}

func (s *SWTPM) start() error {
	c, err := startChild(s.dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child = c
	return nil
}

// Send runs a command and returns the response, as [TPM.Send] does. The error is
// [ErrClosed], or says that the child did not answer within a minute or sent what
// is no response, and then the SWTPM should be closed.
func (s *SWTPM) Send(command []byte) ([]byte, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	c := s.current()
	if c == nil {
		return nil, ErrClosed
	}
	rsp, err := exchange(c, command)
	if err != nil {
		return nil, fmt.Errorf("attesttest: swtpm: %w", err)
	}
	return rsp, nil
}

// current returns the child, or nil when s is closed.
func (s *SWTPM) current() *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child
}

// take returns the child, or nil when s is closed. It closes s.
func (s *SWTPM) take() *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.child
	s.child = nil
	return c
}

// exchange writes a command and reads a response by the size in its header.
func exchange(rw io.ReadWriter, command []byte) ([]byte, error) {
	if _, err := rw.Write(command); err != nil {
		return nil, err
	}
	head := make([]byte, 10)
	if _, err := io.ReadFull(rw, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[2:])
	if size < 10 || size > 1<<16 {
		return nil, fmt.Errorf("response of %d bytes", size)
	}
	rsp := append(head, make([]byte, size-10)...)
	_, err := io.ReadFull(rw, rsp[10:])
	return rsp, err
}

// Close ends the child, and removes the directory if StartSWTPM made it. It does not
// wait for a command that is running: Send fails then. A child that does not end within
// five seconds is killed. The
// error says how the child ended if it did not end well, with its messages, or is
// that of removing the directory.
func (s *SWTPM) Close() error {
	var err error
	if c := s.take(); c != nil {
		err = c.stop()
	}
	if s.temp {
		err = errors.Join(err, removeDir(s.dir))
	}
	return err
}

// Reboot turns the TPM off and on: transient keys, sessions and PCRs are lost.
// The error is [ErrClosed], or says how the old child ended or why no new one
// starts; the SWTPM is closed then.
func (s *SWTPM) Reboot() error {
	s.turn.Lock()
	defer s.turn.Unlock()
	c := s.take()
	if c == nil {
		return ErrClosed
	}
	if err := c.stop(); err != nil {
		return err
	}
	return s.start()
}

// provision does to a new state what a maker and Windows do. If there was no
// state, a swtpm that does not answer cannot work at all.
func (s *SWTPM) provision(empty bool) error {
	_, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(nvRSACertificate)}.Execute(s)
	if err == nil {
		return nil // not new
	}
	if rc := tpm2.TPMRC(0); empty && !errors.As(err, &rc) {
		return fmt.Errorf("%w: %w", ErrNoSWTPM, err)
	}
	if !errors.Is(err, tpm2.TPMRCHandle) {
		return err
	}
	if err := s.primary(tpm2.TPMRHEndorsement, tpm2.RSAEKTemplate, handleEK, nvRSACertificate); err != nil {
		return err
	}
	if err := s.primary(tpm2.TPMRHEndorsement, tpm2.ECCEKTemplate, 0, nvECCCertificate); err != nil {
		return err
	}
	if err := s.primary(tpm2.TPMRHOwner, tpm2.RSASRKTemplate, handleSRK, 0); err != nil {
		return err
	}
	return s.write(nvChain, DefaultMaker().issuing.Raw)
}

// primary makes a primary key, keeps it at a handle and its certificate in an
// NV index, unless these are 0.
func (s *SWTPM) primary(root tpm2.TPMHandle, template tpm2.TPMTPublic, handle tpm2.TPMHandle, index uint32) (err error) {
	key, err := tpm2.CreatePrimary{PrimaryHandle: root, InPublic: tpm2.New2B(template)}.Execute(s)
	if err != nil {
		return err
	}
	defer func() {
		_, e := tpm2.FlushContext{FlushHandle: key.ObjectHandle}.Execute(s)
		err = errors.Join(err, e)
	}()
	if handle != 0 {
		o := &tpm2.NamedHandle{Handle: key.ObjectHandle, Name: key.Name}
		if _, err := (tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: o, PersistentHandle: handle}).Execute(s); err != nil {
			return err
		}
	}
	if index == 0 {
		return nil
	}
	cert, err := certificateOf(DefaultMaker(), key.OutPublic.Bytes())
	if err != nil {
		return err
	}
	return s.write(index, cert)
}

// write defines an NV index as the platform and writes it.
func (s *SWTPM) write(index uint32, data []byte) error {
	pub := tpm2.TPMSNVPublic{
		NVIndex: tpm2.TPMHandle(index),
		NameAlg: tpm2.TPMAlgSHA256,
		Attributes: tpm2.TPMANV{
			PPWrite: true, WriteDefine: true, PPRead: true, OwnerRead: true, AuthRead: true, NoDA: true, PlatformCreate: true,
		},
		DataSize: uint16(len(data)),
	}
	if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHPlatform, PublicInfo: tpm2.New2B(pub)}).Execute(s); err != nil {
		return err
	}
	for off := 0; off < len(data); off += 512 {
		read, err := tpm2.NVReadPublic{NVIndex: pub.NVIndex}.Execute(s)
		if err != nil {
			return err
		}
		part := data[off:min(off+512, len(data))]
		cmd := tpm2.NVWrite{
			AuthHandle: tpm2.TPMRHPlatform,
			NVIndex:    tpm2.NamedHandle{Handle: pub.NVIndex, Name: read.NVName},
			Data:       tpm2.TPM2BMaxNVBuffer{Buffer: part},
			Offset:     uint16(off),
		}
		if _, err := cmd.Execute(s); err != nil {
			return err
		}
	}
	return nil
}
