package attesttest

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"sync"

	"github.com/google/go-tpm/tpm2/transport"
	"github.com/whiteglove/whiteglove/internal/softtpm"
)

// A Recorder is a transport.TPM of go-tpm that counts the commands that pass
// through it to a TPM. It is safe for concurrent use if that TPM is. [Counter]
// returns one.
type Recorder struct {
	tpm transport.TPM

	mu       sync.Mutex
	counts   map[string]int
	order    []string
	to, from int
}

// maxOrder bounds the list of names that a Recorder keeps.
const maxOrder = 10000

// Counter returns a Recorder in front of a TPM, any transport.TPM.
func Counter(tr transport.TPM) *Recorder {
	return &Recorder{tpm: tr, counts: map[string]int{}}
}

// Send passes a command on and returns the response. It counts commands that
// fail, too. The error is that of the TPM.
func (r *Recorder) Send(command []byte) ([]byte, error) {
	rsp, err := r.tpm.Send(command)
	name := commandName(command)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[name]++
	if len(r.order) < maxOrder {
		r.order = append(r.order, name)
	}
	r.to += len(command)
	r.from += len(rsp)
	return rsp, err
}

// Close closes the TPM if it is an [io.Closer]. The error is that of the TPM.
func (r *Recorder) Close() error {
	if c, ok := r.tpm.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Counts returns how often each command was sent, by its name, such as
// "TPM2_Create". A command that the emulator does not know is named by its code,
// such as "0x000001FF", and one of less than ten bytes is "short". The caller owns the
// map.
func (r *Recorder) Counts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// Count returns how often the command with a name was sent, see
// [Recorder.Counts].
func (r *Recorder) Count(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[name]
}

// Total returns how many commands were sent.
func (r *Recorder) Total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, c := range r.counts {
		n += c
	}
	return n
}

// Commands returns the names of the first 10,000 commands in their order, see
// [Recorder.Counts]. The caller owns the slice.
func (r *Recorder) Commands() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.order...)
}

// Bytes returns how many bytes were sent to the TPM in all, and how many came
// from it.
func (r *Recorder) Bytes() (to, from int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.to, r.from
}

// Reset sets all counts to 0.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.counts)
	r.order, r.to, r.from = nil, 0, 0
}

// commandName names a command buffer.
func commandName(command []byte) string {
	if len(command) < 10 {
		return "short"
	}
	cc := binary.BigEndian.Uint32(command[6:])
	if name := softtpm.CommandName(cc); name != "" {
		return name
	}
	return fmt.Sprintf("0x%08X", cc)
}
