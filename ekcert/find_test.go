package ekcert_test

import (
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
)

// nobody is a map of services that asks none.
var nobody = map[string]ekcert.Fetcher{}

func TestFind(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	mine := m.issue(t, ek, intel).Raw
	foreign := m.issue(t, newECKey(t, elliptic.P256()).Public(), intel).Raw
	p256, p384 := newECKey(t, elliptic.P256()).Public(), newECKey(t, elliptic.P384()).Public()
	broken := errors.New("bus is down")

	for name, tt := range map[string]struct {
		nv     map[uint32][]byte
		fail   map[uint32]error
		ek     any
		origin string
		want   error
		reads  int
	}{
		"low range":  {nv: map[uint32][]byte{0x01C00002: mine}, origin: "nv:0x01C00002", reads: 1},
		"high range": {nv: map[uint32][]byte{0x01C00012: mine}, origin: "nv:0x01C00012", reads: 2},
		"low range's foreign": {
			nv:     map[uint32][]byte{0x01C00002: foreign, 0x01C00012: mine},
			origin: "nv:0x01C00012", reads: 2,
		},
		"padded":       {nv: map[uint32][]byte{0x01C00002: join(mine, make([]byte, 300))}, origin: "nv:0x01C00002", reads: 1},
		"with header":  {nv: map[uint32][]byte{0x01C00002: join(header(len(mine)), mine)}, origin: "nv:0x01C00002", reads: 1},
		"P-256":        {ek: p256, nv: map[uint32][]byte{0x01C0000A: m.issue(t, p256, intel).Raw}, origin: "nv:0x01C0000A", reads: 1},
		"P-384":        {ek: p384, nv: map[uint32][]byte{0x01C00016: m.issue(t, p384, intel).Raw}, origin: "nv:0x01C00016", reads: 1},
		"none":         {want: ekcert.ErrNotFound, reads: 2},
		"no such kind": {ek: newECKey(t, elliptic.P224()).Public(), want: ekcert.ErrNotFound},
		"of another":   {nv: map[uint32][]byte{0x01C00002: foreign}, want: ekcert.ErrMismatch, reads: 2},
		"damaged":      {nv: map[uint32][]byte{0x01C00002: mine[:99]}, want: ekcert.ErrMalformed, reads: 2},
		"TPM fails":    {fail: map[uint32]error{0x01C00002: broken}, want: broken, reads: 1},
	} {
		key := tt.ek
		if key == nil {
			key = ek
		}
		nv := &nvMemory{content: tt.nv, fail: tt.fail}
		c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Intermediates: pool(m.ca), Services: nobody}
		cert, err := c.Find(t.Context(), nv, "INTC", key)
		if !errors.Is(err, tt.want) || len(nv.reads) != tt.reads {
			t.Errorf("%s: %v after reading %#x", name, err, nv.reads)
			continue
		}
		if err == nil && (cert.Origin != tt.origin || len(cert.Issuers) != 0) {
			t.Errorf("%s: from %s with %d issuers", name, cert.Origin, len(cert.Issuers))
		}
	}
}

// A coded is an error with an HRESULT, like those of package attest.
type coded uint32

func (e coded) Error() string   { return "TPM error" }
func (e coded) HRESULT() uint32 { return uint32(e) }

// TestFindGoesOn uses a TPM that refuses to read indices, with and without another
// source that has the certificate.
func TestFindGoesOn(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	der := m.issue(t, ek, intel).Raw
	const unavailable, blocked, denied, stopped = coded(0x8028012F), coded(0x80280400), coded(0x80284012), coded(0x80284008)
	for name, tt := range map[string]struct {
		code   coded
		high   bool // the certificate is at the index of the high range
		system bool // the certificate is in the system's store
		origin string
		want   error
	}{
		"next index":           {code: unavailable, high: true, origin: "nv:0x01C00012"},
		"next source":          {code: unavailable, system: true, origin: "system"},
		"blocked by TBS":       {code: blocked, system: true, origin: "system"},
		"denied by TBS":        {code: denied, system: true, origin: "system"},
		"nowhere else":         {code: unavailable, want: unavailable},
		"no answer of the TPM": {code: stopped, high: true, system: true, want: stopped},
	} {
		nv := &nvMemory{content: map[uint32][]byte{}, fail: map[uint32]error{0x01C00002: tt.code, 0x01C00100: tt.code}}
		if tt.high {
			nv.content[0x01C00012] = der
		}
		c := &ekcert.Client{Services: nobody, SystemStore: func(context.Context) ([][]byte, error) {
			if tt.system {
				return [][]byte{der}, nil
			}
			return nil, nil
		}}
		cert, err := c.Find(t.Context(), nv, "INTC", ek)
		if !errors.Is(err, tt.want) || err == nil && cert.Origin != tt.origin {
			t.Errorf("%s: %+v, %v", name, cert, err)
		}
		var e *ekcert.Error
		if err != nil && (!errors.As(err, &e) || e.Origin != "nv:0x01C00002" || e.HRESULT() != uint32(tt.code)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFindWithLockedChain uses a chain in two NV indices; the TPM refuses to read the
// second. The search knows no root, so it wants both.
func TestFindWithLockedChain(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	nv := &nvMemory{
		content: map[uint32][]byte{0x01C00002: m.issue(t, ek, intel).Raw, 0x01C00100: m.ca.Raw},
		fail:    map[uint32]error{0x01C00101: coded(0x80280148)}, // TPM_20_E_NV_LOCKED
	}
	c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}, Services: nobody}
	cert, err := (&ekcert.Client{Services: nobody}).Find(t.Context(), nv, "INTC", ek)
	if err == nil {
		_, err = c.Verify(t.Context(), cert, ek)
	}
	if err != nil {
		t.Error(err)
	}
	if !slices.Contains(nv.reads, 0x01C00101) {
		t.Error("the second index was not read")
	}
}

// TestFindStopsAtRoot reads no index of NV memory behind the one with which the chain
// leads to a root.
func TestFindStopsAtRoot(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	leaf, ca := m.issue(t, ek, intel).Raw, m.ca.Raw
	const first = 0x01C00100
	other := newMaker(t, "Other").ca.Raw
	late := func(n uint32, ca []byte) map[uint32][]byte {
		chain := map[uint32][]byte{first + n: ca}
		for i := range n {
			chain[first+i] = other
		}
		return chain
	}
	for name, tt := range map[string]struct {
		chain map[uint32][]byte
		want  []uint32
	}{
		"one index":            {map[uint32][]byte{first: ca, first + 1: m.root.Raw}, []uint32{0x01C00002, first}},
		"two indices":          {map[uint32][]byte{first: ca[:100], first + 1: ca[100:], first + 2: m.root.Raw}, []uint32{0x01C00002, first, first + 1}},
		"the fourth index":     {late(3, ca), []uint32{0x01C00002, first, first + 1, first + 2, first + 3}},
		"too late to be asked": {late(4, ca), []uint32{0x01C00002, first, first + 1, first + 2, first + 3, first + 4, first + 5}},
		"another CA before it": {map[uint32][]byte{first: other, first + 1: ca, first + 2: m.root.Raw}, []uint32{0x01C00002, first, first + 1}},
	} {
		nv := &nvMemory{content: map[uint32][]byte{0x01C00002: leaf}}
		for k, v := range tt.chain {
			nv.content[k] = v
		}
		c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}}
		cert, err := c.Find(t.Context(), nv, "INTC", ek)
		if err == nil {
			_, err = c.Verify(t.Context(), cert, ek)
		}
		if err != nil || !slices.Equal(nv.reads, tt.want) {
			t.Errorf("%s: %#x were read, %v", name, nv.reads, err)
		}
	}
}

func TestFindTakesTPMCodes(t *testing.T) {
	for code, want := range map[coded]bool{0x8028008B: true, 0x8028014A: true, 0x80280101: false} {
		nv := &nvMemory{fail: map[uint32]error{0x01C00002: code, 0x01C00012: code}}
		_, err := (&ekcert.Client{Services: nobody}).Find(t.Context(), nv, "id:414D4400", ekKey(t).Public())
		if errors.Is(err, ekcert.ErrNotFound) != want || errors.Is(err, code) == want {
			t.Errorf("%#x: %v", uint32(code), err)
		}
	}
}

func TestFindChain(t *testing.T) {
	m := newMaker(t, "Intel")
	ek := ekKey(t).Public()
	leaf := m.issue(t, ek, intel)
	chain := join(m.ca.Raw, []byte{0, 0, 0}, m.root.Raw)
	odd := []byte{0x30, 0x03, 0x02, 0x01, 0x05} // DER, but not a certificate
	const first = 0x01C00100
	for name, tt := range map[string]struct {
		nv   map[uint32][]byte
		want int
	}{
		"in one index":       {map[uint32][]byte{first: chain}, 2},
		"across three":       {map[uint32][]byte{first: chain[:200], first + 1: chain[200:700], first + 2: chain[700:]}, 2},
		"filled":             {map[uint32][]byte{first: join(m.ca.Raw, []byte{0xFF, 0xFF}), first + 1: m.root.Raw}, 2},
		"behind a hole":      {map[uint32][]byte{first: m.ca.Raw, first + 2: m.root.Raw}, 1},
		"with what is none":  {map[uint32][]byte{first: join(odd, chain)}, 2},
		"then another thing": {map[uint32][]byte{first: join(m.ca.Raw, []byte{0x02, 0x01, 0x00}, m.root.Raw)}, 1},
		"DICE, not X.509":    {map[uint32][]byte{first: {0x44, 0x43, 0x01, 0x30}}, 0},
		"cut":                {map[uint32][]byte{first: chain[:len(chain)-9]}, 1},
		"none":               {nil, 0},
	} {
		nv := &nvMemory{content: map[uint32][]byte{0x01C00002: leaf.Raw}}
		for k, v := range tt.nv {
			nv.content[k] = v
		}
		c := &ekcert.Client{Roots: ekcert.Roots{"INTC": m.roots()}}
		cert, err := new(ekcert.Client).Find(t.Context(), nv, "INTC", ek) // without roots it reads the whole chain
		if err != nil || len(cert.Issuers) != tt.want {
			t.Errorf("%s: %v, %v", name, cert, err)
			continue
		}
		if tt.want == 0 {
			continue
		}
		if !slices.ContainsFunc(cert.Issuers, m.ca.Equal) {
			t.Errorf("%s: the CA is not among the issuers", name)
		}
		if report, err := c.Verify(t.Context(), cert, ek); err != nil || len(report.Chain) != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFindChainFails(t *testing.T) {
	m := newMaker(t, "Intel")
	broken := errors.New("bus is down")
	nv := &nvMemory{
		content: map[uint32][]byte{0x01C00002: m.issue(t, ekKey(t).Public(), intel).Raw},
		fail:    map[uint32]error{0x01C00100: broken},
	}
	if _, err := new(ekcert.Client).Find(t.Context(), nv, "", ekKey(t).Public()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// TestFindWithOAEPKey uses a kind of key from the time of TPM 1.2, for which
// crypto/x509 has no public key.
func TestFindWithOAEPKey(t *testing.T) {
	cert := newMaker(t, "STM").issue(t, ekKey(t).Public(), "id:53544D20")
	rsaEncryption := []byte{0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01}
	der := slices.Clone(cert.Raw)
	for i := range len(der) - len(rsaEncryption) {
		if slices.Equal(der[i:i+len(rsaEncryption)], rsaEncryption) {
			der[i+len(rsaEncryption)-1] = 0x07
		}
	}
	if x, err := x509.ParseCertificate(der); err != nil || x.PublicKey != nil {
		t.Fatalf("the certificate is not as intended: %v", err)
	}
	nv := &nvMemory{content: map[uint32][]byte{0x01C00002: der}}
	_, err := new(ekcert.Client).Find(t.Context(), nv, "STM", ekKey(t).Public())
	if !errors.Is(err, ekcert.ErrMalformed) {
		t.Errorf("got %v", err)
	}
}
