package softtpm

import (
	"sync"
	"time"
)

// A TPM is one TPM, started up. Its methods may be called concurrently: one
// command runs at a time.
type TPM struct {
	mu       sync.Mutex
	id       Identity
	st       persistent
	evicts   map[uint32]*object // persistent objects
	objects  [objectSlots]*object
	borrowed [objectSlots]bool // slots that persistent objects take during a command
	sessions map[uint32]*session
	pcr      map[uint16][][]byte // by bank
	pcrCount uint32
	null     hierarchy // seed and proof of the null hierarchy, new at each start
	platform hierarchy
	started  time.Time
	dirty    bool
}

// An Identity has the fixed properties, which the maker sets.
type Identity struct {
	Manufacturer string    // four characters
	Vendor       [4]string // vendor strings, of four characters each
	Firmware     [2]uint32
	Revision     uint32 // of the specification, times 100
	Year, Day    uint32 // of the specification
	LongSalt     bool   // TPM2_Sign makes PSS signatures with the longest salt that fits, not one as long as the hash
	PooledKeys   bool   // RSA-2048 keys are put together from a pool of primes, see pool.go
}

// A hierarchy has a seed for its primaries, a proof for its tickets, and an
// authorization value.
type hierarchy struct{ seed, proof, auth []byte }

// New returns a new TPM without persistent objects. seed determines its primary keys,
// so the same seed is the same TPM.
func New(id Identity, seed []byte) *TPM {
	t := &TPM{id: id, st: persistent{Version: stateVersion, Seed: seed}, evicts: map[uint32]*object{}}
	t.st.NV = map[uint32]*nvIndex{}
	t.start()
	return t
}

// start is power on and TPM2_Startup(CLEAR), as a machine's firmware does; the
// firmware also sets a platform authorization that nobody knows.
func (t *TPM) start() {
	t.objects = [objectSlots]*object{}
	t.sessions = map[uint32]*session{}
	t.null = hierarchy{seed: randomBytes(32), proof: randomBytes(32)}
	t.platform = t.derive("platform", randomBytes(32))
	t.started = time.Now()
	t.resetPCRs()
	for _, x := range t.st.NV {
		x.restart()
	}
	t.st.Resets++
	t.dirty = true
}

// derive returns the hierarchy with the given name.
func (t *TPM) derive(name string, auth []byte) hierarchy {
	return hierarchy{
		seed:  newStream(t.st.Seed, []byte("seed"), []byte(name)).bytes(32),
		proof: newStream(t.st.Seed, []byte("proof"), []byte(name)).bytes(32),
		auth:  auth,
	}
}

// hierarchy returns the hierarchy of a handle.
func (t *TPM) hierarchy(h uint32) hierarchy {
	switch h {
	case rhOwner:
		return t.derive("owner", t.st.OwnerAuth)
	case rhEndorsement:
		return t.derive("endorsement", t.st.EndorsementAuth)
	case rhLockout:
		return hierarchy{auth: t.st.LockoutAuth}
	case rhPlatform:
		return t.platform
	}
	return t.null
}

// Reboot turns the TPM off and on: transient objects, sessions, PCRs and the
// null hierarchy are lost.
func (t *TPM) Reboot() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.st.Clock = t.clock()
	t.start()
}

// Loaded returns how many transient objects and sessions are loaded.
func (t *TPM) Loaded() (objects, sessions int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return objectSlots - t.free(), len(t.sessions)
}

// clock returns the milliseconds that the TPM has been on.
func (t *TPM) clock() uint64 { return t.st.Clock + uint64(time.Since(t.started).Milliseconds()) }

// free returns how many object slots are free.
func (t *TPM) free() int {
	n := 0
	for i := range t.objects {
		if t.objects[i] == nil && !t.borrowed[i] {
			n++
		}
	}
	return n
}

// slot returns the first free object slot, or -1.
func (t *TPM) slot() int {
	for i := range t.objects {
		if t.objects[i] == nil && !t.borrowed[i] {
			return i
		}
	}
	return -1
}

// place puts o in a slot and sets its handle.
func (t *TPM) place(o *object) code {
	i := t.slot()
	if i < 0 {
		return rcObjectMemory
	}
	o.handle = htTransient<<24 | uint32(i)
	t.objects[i] = o
	return 0
}
