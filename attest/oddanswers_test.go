package attest

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

// Texts of a TPM are printable ASCII or not taken.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"SW  \x00": "SW", "a b": "a b", "\x1f": "", "a\x1fb": "", "~": "~", "\x7f": "", "a!~b": "a!~b", "\xe4": "", "": "",
	} {
		if got := printable([]byte(text)); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
}

// pages is a TPM that answers TPM2_GetCapability with lists of handles.
type pages struct {
	lists [][]uint32
	more  []bool
	asked int
}

func (p *pages) Send([]byte) ([]byte, error) {
	if p.asked == len(p.lists) {
		return nil, errors.New("asked too often")
	}
	list, more := p.lists[p.asked], byte(0)
	if p.more[p.asked] {
		more = 1
	}
	p.asked++
	b := binary.BigEndian.AppendUint32([]byte{more, 0, 0, 0, 1}, uint32(len(list)))
	for _, h := range list {
		b = binary.BigEndian.AppendUint32(b, h)
	}
	return append([]byte{0x80, 1, 0, 0, 0, byte(10 + len(b)), 0, 0, 0, 0}, b...), nil
}

// A list of handles ends where the TPM says so, or where it goes on without end.
func TestHandlePages(t *testing.T) {
	const first, last = 0x81010000, 0x81010003
	for name, tt := range map[string]struct {
		pages pages
		want  int // handles
	}{
		"one page":        {pages{[][]uint32{{first}}, []bool{false}, 0}, 1},
		"two pages":       {pages{[][]uint32{{first}, {first + 1}}, []bool{true, false}, 0}, 2},
		"to the last":     {pages{[][]uint32{{first, last}}, []bool{true}, 0}, 2},
		"before the last": {pages{[][]uint32{{first, last - 1}, {}}, []bool{true, false}, 0}, 2},
		"more of nothing": {pages{[][]uint32{{}}, []bool{true}, 0}, 0},
		"beyond the last": {pages{[][]uint32{{first, last + 1}}, []bool{true}, 0}, 1},
	} {
		got, err := (&TPM{Transport: &tt.pages}).handles(t.Context(), first, last)
		if err != nil || len(got) != tt.want || tt.pages.asked != len(tt.pages.lists) {
			t.Errorf("%s: %x, %v after %d questions", name, got, err, tt.pages.asked)
		}
	}
}

// The key of the null hierarchy is made once.
func TestNullKey(t *testing.T) {
	soft, err := attesttest.New(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer soft.Close()
	tpm := &TPM{Transport: soft}
	one, err := tpm.nullKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if two, err := tpm.nullKey(t.Context()); err != nil || two != one || one.keyFile != uint32(tpm2.TPMRHNull) {
		t.Errorf("%v, %v", two, err)
	}
	tpm = &TPM{Transport: &pages{}}
	if o, err := tpm.nullKey(t.Context()); err == nil || o != nil {
		t.Errorf("%v, %v", o, err)
	}
}

// A session is salted to a storage key that is known, or to that of the null hierarchy.
func TestSaltKey(t *testing.T) {
	null, storage, other := &object{keyFile: uint32(tpm2.TPMRHNull)}, &object{role: roleParent}, &object{role: roleAIK}
	for name, tt := range map[string]struct {
		parents, loaded []*object
		want            *object
	}{
		"a parent":           {[]*object{storage}, []*object{other, null}, storage},
		"the null hierarchy": {nil, []*object{other, null}, null},
		"neither":            {nil, []*object{other}, nil},
	} {
		got, err := (&TPM{Transport: &pages{}, parents: tt.parents, loaded: tt.loaded}).saltKey(t.Context())
		if got != tt.want || (err == nil) != (tt.want != nil) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// A join of one error is that error, and no other error is changed.
func TestSimplify(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	for name, err := range map[string]error{"two": errors.Join(one, two), "one": one} {
		if got := simplify(err); !errors.Is(got, err) || got.Error() != err.Error() {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := simplify(errors.Join(nil, one)); got != one { //nolint:errorlint // it is that error itself
		t.Errorf("%#v", got)
	}
	if simplify(nil) != nil {
		t.Error("an error of nothing")
	}
}

// Commands that make something are waited for longer, so that it can be flushed.
func TestGrace(t *testing.T) {
	for name, want := range map[string]time.Duration{
		"TPM2_Create": keyTime, "TPM2_CreateLoaded": keyTime, "TPM2_StartAuthSession": keyTime, "TPM2_Sign": commandTime, "TPM2_FlushContext": commandTime,
	} {
		if got := grace(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
