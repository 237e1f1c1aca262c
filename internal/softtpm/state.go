package softtpm

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/internal/rsapool"
)

const stateVersion = 1

// persistent is what survives power off.
type persistent struct {
	Version                                 int
	Seed                                    []byte
	OwnerAuth, EndorsementAuth, LockoutAuth []byte `json:",omitempty"`
	NV                                      map[uint32]*nvIndex
	Objects                                 []savedObject
	Resets, Tries                           uint32
	Clock                                   uint64   // milliseconds
	TriedAt                                 uint64   `json:",omitempty"` // Clock from which the next recovery counts
	Lockout                                 *Lockout `json:",omitempty"` // nil for windowsLockout

	// Primes are the primes of RSA primaries that came from the pool, by the
	// key of their stream in hexadecimal.
	Primes map[string][2][]byte `json:",omitempty"`
}

// A savedObject is a persistent object.
type savedObject struct {
	Handle, Hierarchy        uint32
	Public, Sensitive, QName []byte
}

// ErrState is wrapped by errors about a state that cannot be used.
var ErrState = errors.New("softtpm: not a state of this emulator")

// Snapshot returns the persistent state as JSON: seeds, NV indexes and
// persistent objects, all in the clear.
func (t *TPM) Snapshot() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.snapshot()
}

func (t *TPM) snapshot() ([]byte, error) {
	st := t.st
	st.Clock = t.clock()
	st.Objects = nil
	for hd, o := range t.evicts {
		st.Objects = append(st.Objects, savedObject{hd, o.hierarchy, o.pub.marshal(), o.sens.marshal(), o.qname})
	}
	return json.MarshalIndent(&st, "", " ")
}

// Changed returns the persistent state if it changed since the last call, else
// nil.
func (t *TPM) Changed() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.dirty {
		return nil, nil
	}
	b, err := t.snapshot()
	if err == nil {
		t.dirty = false
	}
	return b, err
}

// Restore returns a TPM with the state of a snapshot, started up.
func Restore(id Identity, snapshot []byte) (*TPM, error) {
	t := &TPM{id: id, evicts: map[uint32]*object{}}
	if err := json.Unmarshal(snapshot, &t.st); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if t.st.Version != stateVersion || len(t.st.Seed) == 0 {
		return nil, fmt.Errorf("%w: version %d", ErrState, t.st.Version)
	}
	if t.st.NV == nil {
		t.st.NV = map[uint32]*nvIndex{}
	}
	for hd, x := range t.st.NV {
		if x == nil || !isNV(hd) || hashOf(x.NameAlg) == 0 || len(x.Data) > maxNVIndex {
			return nil, fmt.Errorf("%w: NV index %#x", ErrState, hd)
		}
	}
	for name, pq := range t.st.Primes {
		if 8*len(pq[0]) != rsapool.Bits/2 || 8*len(pq[1]) != rsapool.Bits/2 {
			return nil, fmt.Errorf("%w: primes of %.16q", ErrState, name)
		}
	}
	for _, s := range t.st.Objects {
		o, err := s.object()
		if err != nil {
			return nil, err
		}
		t.evicts[s.Handle] = o
	}
	t.st.Objects = nil
	t.start()
	return t, nil
}

// object makes the object again.
func (s *savedObject) object() (*object, error) {
	o := &object{handle: s.Handle, hierarchy: s.Hierarchy, qname: s.QName}
	r, q := reader{b: s.Public}, reader{b: s.Sensitive}
	o.pub, o.sens = r.public(false), q.sensitive()
	rc := max(r.end(), q.end())
	if rc == 0 {
		o.name = o.pub.name()
		rc = o.use(0, 0)
	}
	if rc != 0 || !isPersistent(s.Handle) {
		return nil, fmt.Errorf("%w: persistent object %#x (%#x)", ErrState, s.Handle, uint32(rc))
	}
	return o, nil
}

// Seed returns the seed.
func (t *TPM) Seed() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.st.Seed
}
