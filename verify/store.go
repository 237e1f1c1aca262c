package verify

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/misuse"
)

// A Store keeps challenges until they are answered or expire. It must be safe for
// concurrent use. Verifiers may share one.
type Store interface {
	// Put keeps value under a new random id of 22 characters (base64url) at least
	// until the given time. It must not keep the slice itself. Its error wraps
	// [ErrFull] if there is no room.
	Put(ctx context.Context, id string, value []byte, until time.Time) error

	// Take removes a value and returns it, or nil if there is none. It returns each
	// value at most once, also to concurrent callers. Its error is that of the medium,
	// such as a database; the message is then refused.
	Take(ctx context.Context, id string) ([]byte, error)
}

// A MemoryStore is a [Store] in memory. Its zero value is ready to use.
type MemoryStore struct {
	Limit int              // number of challenges that it holds; if 0, 4096
	Now   func() time.Time // the Verifier's Now; if nil, time.Now

	mu   sync.Mutex
	open map[string]stored
}

type stored struct {
	value []byte
	until time.Time
}

// Put implements [Store]. If the store is full, it drops what has expired; if nothing
// has, the error is [ErrFull].
func (m *MemoryStore) Put(_ context.Context, id string, value []byte, until time.Time) error {
	limit, now := m.Limit, time.Now
	if limit == 0 {
		limit = 4096
	}
	if m.Now != nil {
		now = m.Now
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.open) >= limit {
		at := now()
		for k, s := range m.open {
			if !at.Before(s.until) {
				delete(m.open, k)
			}
		}
	}
	if len(m.open) >= limit {
		return ErrFull
	}
	if m.open == nil {
		m.open = make(map[string]stored)
	}
	m.open[id] = stored{append([]byte(nil), value...), until}
	return nil
}

// Take implements [Store]. The error is always nil.
func (m *MemoryStore) Take(_ context.Context, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.open[id]
	delete(m.open, id)
	return s.value, nil
}

// What a challenge asks for.
const (
	ofActivation = "activation"
	ofQuote      = "quote"
)

// A pending is what a [Store] keeps of a challenge or request, as JSON.
type pending struct {
	Kind    string
	Device  string // [Device.ID]
	Expires time.Time

	// Of an activation. The secret itself is not kept, so that who reads the store
	// cannot answer.
	Secret []byte `json:",omitempty"` // its SHA-256
	AIK    []byte `json:",omitempty"` // TPMT_PUBLIC
	EK     []byte `json:",omitempty"` // certificate, DER

	// Of a quote.
	Nonce []byte      `json:",omitempty"`
	Bank  crypto.Hash `json:",omitempty"`
	PCRs  []int       `json:",omitempty"`
}

// keep keeps p under the id that it returns, and sets its expiry.
func (v *Verifier) keep(ctx context.Context, p *pending) (id string, err error) {
	life := v.Life
	if life == 0 {
		life = 5 * time.Minute
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	p.Expires = v.now().Add(life).UTC().Truncate(time.Second)
	value, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	id = base64.RawURLEncoding.EncodeToString(random(16))
	return id, misuse.Of("Store.Put", v.store().Put(ctx, id, value, p.Expires))
}

// take removes the challenge with an id, which is then used, and returns it if it is
// of this kind and has not expired.
func (v *Verifier) take(ctx context.Context, id, kind string) (*pending, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	value, err := v.store().Take(ctx, id)
	if err != nil {
		return nil, misuse.Of("Store.Take", err)
	}
	if value == nil {
		return nil, ErrChallenge
	}
	var p pending
	if err := json.Unmarshal(value, &p); err != nil {
		return nil, misuse.Returned("Store.Take", "another value than Put was given")
	}
	if p.Kind != kind || !v.now().Before(p.Expires) {
		return nil, ErrChallenge
	}
	return &p, nil
}

func (v *Verifier) store() Store {
	if v.Challenges != nil {
		return v.Challenges
	}
	return &v.own
}
