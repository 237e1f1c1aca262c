package verify

import (
	"crypto"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	ga "github.com/google/go-attestation/attest"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attestga"
)

// TestWindowsQuote checks a quote and the log of a virtual machine with Windows, which
// go-attestation's authors published.
func TestWindowsQuote(t *testing.T) {
	text, err := os.ReadFile("testdata/windows_gcp_shielded_vm.json")
	if err != nil {
		t.Fatal(err)
	}
	var dump struct {
		AK    ga.AttestationParameters
		Quote ga.Quote
		Log   struct {
			PCRs []ga.PCR
			Raw  []byte
		}
	}
	if err := json.Unmarshal(text, &dump); err != nil {
		t.Fatal(err)
	}
	q, err := attestga.FromQuote(dump.Quote, dump.Log.PCRs)
	if err != nil {
		t.Fatal(err)
	}
	aik, err := attest.PublicKey(dump.AK.Public)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]int, 24)
	for i := range all {
		all[i] = i
	}
	if err := checkQuote(q, aik, &pending{Bank: crypto.SHA1, PCRs: all}); err != nil {
		t.Fatal(err)
	}
	b, err := replay(dump.Log.Raw, q)
	if err != nil {
		t.Fatal(err)
	}
	if !b.SecureBoot || len(b.Loaders) != 1 || len(b.Authorities) != 1 || !strings.Contains(b.Authorities[0].Subject.String(), "Microsoft Root Certificate Authority 2010") {
		t.Errorf("%+v, %v", b, b.Authorities[0].Subject)
	}
	for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 17, 23} {
		if !slices.Contains(b.Explained, i) {
			t.Errorf("PCR %d is not explained", i)
		}
	}
}

// TestSince compares times of a TPM.
func TestSince(t *testing.T) {
	last := attest.ClockInfo{Clock: 1 << 30, Resets: 0xFFFFFFFF, Restarts: 7, Safe: true, Firmware: 1}
	with := func(f func(*attest.ClockInfo)) attest.ClockInfo { c := last; f(&c); return c }
	for name, tt := range map[string]struct {
		now  attest.ClockInfo
		want *Since // nil if it went back
	}{
		"the same":              {last, &Since{}},
		"later":                 {with(func(c *attest.ClockInfo) { c.Clock += 1500 }), &Since{On: 1500 * time.Millisecond}},
		"far later":             {with(func(c *attest.ClockInfo) { c.Clock = 1<<64 - 1 }), &Since{On: (1<<63 - 1) / time.Millisecond * time.Millisecond}},
		"firmware":              {with(func(c *attest.ClockInfo) { c.Firmware = 2 }), &Since{Firmware: true}},
		"resumed":               {with(func(c *attest.ClockInfo) { c.Restarts = 9 }), &Since{Resumed: true}},
		"started, overflow":     {with(func(c *attest.ClockInfo) { c.Resets = 1; c.Restarts = 0 }), &Since{Resets: 2, Resumed: true}},
		"power lost":            {with(func(c *attest.ClockInfo) { c.Resets++; c.Safe = false; c.Clock -= maxClockLoss }), &Since{Resets: 1, Resumed: true}},
		"more power lost":       {with(func(c *attest.ClockInfo) { c.Resets++; c.Safe = false; c.Clock -= maxClockLoss + 1 }), nil},
		"safe, but back":        {with(func(c *attest.ClockInfo) { c.Resets++; c.Clock-- }), nil},
		"not started, but back": {with(func(c *attest.ClockInfo) { c.Safe = false; c.Clock-- }), nil},
		"fewer resets":          {with(func(c *attest.ClockInfo) { c.Resets--; c.Clock++ }), nil},
		"half of all resets":    {with(func(c *attest.ClockInfo) { c.Resets += 1 << 31 }), nil},
		"half of all restarts":  {with(func(c *attest.ClockInfo) { c.Restarts += 1 << 31 }), nil},
		"just less":             {with(func(c *attest.ClockInfo) { c.Restarts += 1<<31 - 1 }), &Since{Resumed: true}},
		"fewer restarts":        {with(func(c *attest.ClockInfo) { c.Restarts--; c.Clock++ }), nil},
	} {
		got, err := since(last, tt.now)
		if tt.want == nil {
			if !errors.Is(err, ErrClock) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			continue
		}
		if err != nil || *got != *tt.want {
			t.Errorf("%s: %+v, want %+v, %v", name, got, tt.want, err)
		}
	}
}

// TestPolicy checks values against policies.
func TestPolicy(t *testing.T) {
	value := func(b byte) Digest { return Digest(strings.Repeat(string(rune(b)), 32)) }
	r := &Result{PCRs: make([][]byte, 24)}
	for i := range 8 {
		r.PCRs[i] = value(byte(i))
	}
	boot := &Boot{Explained: []int{4, 7}, SecureBoot: true, Loaders: []Digest{value(1), value(2)}}
	for name, tt := range map[string]struct {
		policy Policy
		boot   *Boot
		want   string // the points that are not met
	}{
		"zero":              {Policy{}, nil, ""},
		"golden":            {Policy{Golden: map[int][]Digest{0: {value(9), value(0)}, 7: {value(7)}}}, nil, ""},
		"not golden":        {Policy{Golden: map[int][]Digest{0: {value(9)}, 3: {}, 7: {value(7)}}}, nil, "PCRs 0 and 3 have other values"},
		"firmware":          {Policy{Firmware: []Firmware{{"1", map[int]Digest{0: value(0), 2: value(3)}}, {"2", map[int]Digest{0: value(0), 2: value(2)}}}}, nil, ""},
		"firmware mixed":    {Policy{Firmware: []Firmware{{"1", map[int]Digest{0: value(0), 2: value(3)}}, {"2", map[int]Digest{0: value(1), 2: value(2)}}}}, nil, "the PCRs are those of no known firmware"},
		"empty firmware":    {Policy{Firmware: []Firmware{{Name: "1"}}}, nil, "the PCRs are those of no known firmware"},
		"explained":         {Policy{Explained: []int{4, 7}}, boot, ""},
		"not all of 0 to 7": {Policy{}, &Boot{Explained: []int{0, 1, 2, 3, 4, 5, 7}}, "the event log does not explain PCR 6"},
		"secure boot":       {Policy{Explained: []int{}, SecureBoot: true}, boot, ""},
		"off":               {Policy{Explained: []int{}, SecureBoot: true}, &Boot{Explained: []int{7}}, "secure boot is off"},
		"unknown":           {Policy{Explained: []int{}, SecureBoot: true}, &Boot{Explained: []int{7}, Unknown: "why"}, "secure boot: why"},
		"loaders":           {Policy{Explained: []int{}, Loaders: []Digest{value(2), value(1), value(3)}}, boot, ""},
		"no loader":         {Policy{Explained: []int{}, Loaders: []Digest{value(2)}}, &Boot{Explained: []int{4}, Loaders: []Digest{}}, "no boot loader was measured"},
		"another loader":    {Policy{Explained: []int{}, Loaders: []Digest{value(2)}}, boot, "boot loader " + strings.Repeat("01", 32) + " is not accepted"},
	} {
		if err := tt.policy.valid(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		own := *r
		own.Boot = tt.boot
		err := tt.policy.check(&own)
		if tt.want == "" && err == nil {
			continue
		}
		if !errors.Is(err, ErrPolicy) || !strings.HasSuffix(err.Error(), ": "+tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	for name, first := range map[string]Digest{"1": value(0), "2": value(3)} {
		named := &Policy{Firmware: []Firmware{{"1", map[int]Digest{0: first}}, {"2", map[int]Digest{2: value(2)}}}}
		if err := named.check(r); err != nil || r.Firmware != name {
			t.Errorf("firmware %q, not %q, %v", r.Firmware, name, err)
		}
	}
	for name, p := range map[string]*Policy{
		"bank": {Bank: crypto.MD5}, "no PCRs": {PCRs: []int{}}, "PCR 24": {PCRs: []int{24}}, "PCR -1": {Explained: []int{-1}},
		"short": {Golden: map[int][]Digest{0: {{1}}}}, "other bank": {Bank: crypto.SHA384, Loaders: []Digest{value(1)}},
		"short firmware": {Firmware: []Firmware{{"1", map[int]Digest{0: nil}}}},
	} {
		if p.valid() == nil {
			t.Errorf("%s: valid", name)
		}
		v := &Verifier{Policy: p}
		if _, err := v.policy(); err == nil {
			t.Errorf("%s: the verifier takes it", name)
		}
	}
	p := &Policy{Golden: map[int][]Digest{9: nil}, Firmware: []Firmware{{"1", map[int]Digest{8: nil}}}, Explained: []int{5}, PCRs: []int{1, 5}, SecureBoot: true, Loaders: []Digest{{}}}
	if got := p.selection(); !slices.Equal(got, []int{1, 4, 5, 7, 8, 9}) {
		t.Errorf("selection %v", got)
	}
}

// TestLogLimits has logs that would cost much work.
func TestLogLimits(t *testing.T) {
	log, err := os.ReadFile("testdata/ubuntu.log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseLog(log); err != nil {
		t.Error(err)
	}
	log[32+24]++ // more banks than there are
	if _, err := parseLog(log); err == nil {
		t.Error("a bank is missing")
	}
	log[32+25] = 1
	if _, err := parseLog(log); err == nil || err.Error() != "too many banks" {
		t.Error(err)
	}
	if _, err := parseLog(make([]byte, maxLog+1)); err == nil {
		t.Error("the log is too large")
	}
	if _, err := parseLog(make([]byte, maxLog)); err == nil || strings.HasPrefix(err.Error(), "over") {
		t.Error(err)
	}
	short := make([]byte, 60)
	short[4] = 3
	for banks, many := range map[byte]bool{maxBanks: false, maxBanks + 1: true} {
		short[32+24] = banks
		if _, err := parseLog(short); err == nil || (err.Error() == "too many banks") != many {
			t.Errorf("%d banks: %v", banks, err)
		}
	}
	old := make([]byte, 32*(maxEvents+1)) // events of TPM 1.2 for PCR 0, without data
	if _, err := parseLog(old); err == nil || !strings.Contains(err.Error(), "events") {
		t.Error(err)
	}
	if _, err := parseLog(old[32:]); err != nil {
		t.Error(err)
	}
	if _, err := parseLog(nil); err == nil {
		t.Error("an empty log is none")
	}
}

// TestInitial has values after a reset.
func TestInitial(t *testing.T) {
	for i, fill := range map[int]byte{0: 0, 16: 0, 17: 0xFF, 22: 0xFF, 23: 0} {
		value := []byte(strings.Repeat("x", 32))
		for n := range value {
			value[n] = fill
		}
		if !initial(ga.PCR{Index: i, Digest: value}) {
			t.Errorf("PCR %d: not initial", i)
		}
		value[31] ^= 1
		if initial(ga.PCR{Index: i, Digest: value}) {
			t.Errorf("PCR %d: initial", i)
		}
	}
}

// FuzzLog replays any log against the PCRs to which it leads itself, and against those
// of another.
func FuzzLog(f *testing.F) {
	for _, name := range []string{"testdata/ubuntu.log", "verifytest/testdata/secureboot.log"} {
		log, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(log)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		other := &attest.Quote{Bank: crypto.SHA256, PCRs: make([][]byte, 24)}
		for i := range other.PCRs {
			other.PCRs[i] = []byte(strings.Repeat("x", 32))
		}
		log, err := parseLog(raw)
		b, err2 := replay(raw, other)
		if (err == nil) != (err2 == nil) || err2 != nil && !errors.Is(err2, ErrLog) {
			t.Fatal(err, err2)
		}
		if err != nil {
			return
		}
		if len(b.Explained) > 0 || b.SecureBoot {
			t.Fatalf("%+v", b)
		}
		for bank, alg := range map[crypto.Hash]ga.HashAlg{crypto.SHA1: ga.HashSHA1, crypto.SHA256: ga.HashSHA256} {
			own := &attest.Quote{Bank: bank, PCRs: make([][]byte, 24)}
			for i := range 24 {
				own.PCRs[i] = make([]byte, bank.Size())
			}
			for _, e := range log.Events(alg) {
				if e.Index >= 0 && e.Index < 24 && e.Type != 3 {
					h := bank.New()
					h.Write(own.PCRs[e.Index])
					h.Write(e.Digest)
					own.PCRs[e.Index] = h.Sum(nil)
				}
			}
			if _, err := replay(raw, own); err != nil {
				t.Fatal(err)
			}
		}
	})
}
