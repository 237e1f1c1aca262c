package verify

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Policy is what a quote has to show. The zero value asks for PCRs 0 to 7 of the
// bank SHA-256, whatever their values. It must not be changed while it is used.
//
// A PCR is named by its number, 0 to 23. Values are as long as a digest of the bank.
type Policy struct {
	// Bank is the bank of the PCRs: SHA-1, SHA-256, SHA-384 or SHA-512. If 0, it is
	// SHA-256. Secure boot can be judged in the banks SHA-1 and SHA-256 only.
	Bank crypto.Hash `json:"-"`

	// PCRs are quoted besides those that the other fields need. If it is nil, these
	// are 0 to 7.
	PCRs []int `json:"pcrs,omitzero"`

	// Golden has the accepted values of PCRs. A PCR that is not named may have any
	// value.
	Golden map[int][]Digest `json:"golden,omitempty"`

	// Firmware has values that belong together, such as those of one version of a
	// machine's firmware. If it is not empty, all values of one entry have to fit.
	Firmware []Firmware `json:"firmware,omitempty"`

	// Explained are the PCRs whose values the event log has to explain: its events
	// lead to them. If it is nil and there is a log, these are the quoted ones of 0
	// to 7, which the firmware extends. The others may be extended by an operating
	// system that does not write to this log. If it is not empty, there has to be
	// a log.
	Explained []int `json:"explained,omitzero"`

	// SecureBoot asks for a log that shows that secure boot was on. PCR 7 is quoted
	// and has to be explained.
	SecureBoot bool `json:"secureBoot,omitempty"`

	// Loaders, if not empty, are the accepted values of [Boot.Loaders], which must have
	// at least one. PCR 4 is quoted and has to be explained.
	Loaders []Digest `json:"loaders,omitempty"`

	// SameBoot refuses a device that was started since its last quote.
	SameBoot bool `json:"sameBoot,omitempty"`
}

// A Firmware is a set of PCR values that belong together.
type Firmware struct {
	Name string         `json:"name"` // for [Result.Firmware]
	PCRs map[int]Digest `json:"pcrs"`
}

// A Digest is the value of a PCR or the digest of an event. Its text is lower-case
// hexadecimal.
type Digest []byte

// MarshalText returns d in hexadecimal. The error is always nil.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d), nil }

// UnmarshalText sets d to what text has in hexadecimal. The error is that of package
// encoding/hex.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = hex.AppendDecode(nil, text)
	return err
}

// firmwarePCRs are those that the firmware extends, in 0 to 7.
func firmwarePCRs() []int { return []int{0, 1, 2, 3, 4, 5, 6, 7} }

// policy returns the policy if it is valid.
func (v *Verifier) policy() (*Policy, error) {
	p := v.Policy
	if p == nil {
		p = new(Policy)
	}
	if err := p.valid(); err != nil {
		return p, fmt.Errorf("policy: %w", err)
	}
	return p, nil
}

func (p *Policy) bank() crypto.Hash {
	if p.Bank == 0 {
		return crypto.SHA256
	}
	return p.Bank
}

// selection returns the PCRs that have to be quoted, in order.
func (p *Policy) selection() []int {
	pcrs := slices.Clone(p.PCRs)
	if p.PCRs == nil {
		pcrs = firmwarePCRs()
	}
	pcrs = slices.AppendSeq(pcrs, maps.Keys(p.Golden))
	for _, f := range p.Firmware {
		pcrs = slices.AppendSeq(pcrs, maps.Keys(f.PCRs))
	}
	pcrs = append(pcrs, p.Explained...)
	if p.SecureBoot {
		pcrs = append(pcrs, 7)
	}
	if len(p.Loaders) > 0 {
		pcrs = append(pcrs, 4)
	}
	slices.Sort(pcrs)
	return slices.Compact(pcrs)
}

// valid returns an error for a policy that no quote can meet.
func (p *Policy) valid() error {
	if bankName(p.bank()) == "" {
		return fmt.Errorf("there is no bank %d: want SHA-1, SHA-256, SHA-384 or SHA-512", p.Bank)
	}
	pcrs := p.selection()
	if len(pcrs) == 0 {
		return errors.New("no PCR is asked for")
	}
	for _, i := range pcrs {
		if i < 0 || i > 23 {
			return fmt.Errorf("there is no PCR %d: want 0 to 23", i)
		}
	}
	for where, d := range p.values() {
		if len(d) != p.bank().Size() {
			return fmt.Errorf("%s: the value has %d bytes; %v has %d", where, len(d), p.bank(), p.bank().Size())
		}
	}
	return nil
}

// values returns each accepted value, in order, with where it stands.
func (p *Policy) values() iter.Seq2[string, Digest] {
	return func(yield func(string, Digest) bool) {
		for _, i := range slices.Sorted(maps.Keys(p.Golden)) {
			for _, d := range p.Golden[i] {
				if !yield(fmt.Sprintf("golden, PCR %d", i), d) {
					return
				}
			}
		}
		for _, f := range p.Firmware {
			for _, i := range slices.Sorted(maps.Keys(f.PCRs)) {
				if !yield(fmt.Sprintf("firmware %.40q, PCR %d", f.Name, i), f.PCRs[i]) {
					return
				}
			}
		}
		for _, d := range p.Loaders {
			if !yield("loaders", d) {
				return
			}
		}
	}
}

// check returns an error that names each point that r does not meet.
func (p *Policy) check(r *Result) error {
	var missed []string
	miss := func(format string, args ...any) { missed = append(missed, fmt.Sprintf(format, args...)) }
	var others []string
	for _, i := range slices.Sorted(maps.Keys(p.Golden)) {
		if !contains(p.Golden[i], r.PCRs[i]) {
			others = append(others, strconv.Itoa(i))
		}
	}
	switch n := len(others) - 1; {
	case n == 0:
		miss("PCR %s has another value", others[0])
	case n > 0:
		miss("PCRs %s and %s have other values", strings.Join(others[:n], ", "), others[n])
	}
	if len(p.Firmware) > 0 {
		n := slices.IndexFunc(p.Firmware, func(f Firmware) bool { return f.fits(r.PCRs) })
		if n < 0 {
			miss("the PCRs are those of no known firmware")
		} else {
			r.Firmware = p.Firmware[n].Name
		}
	}
	p.checkBoot(r, miss)
	if p.SameBoot && r.Since != nil && r.Since.Resets != 0 {
		miss("the machine was started since its last quote")
	}
	if missed != nil {
		return fmt.Errorf("%w: %s", ErrPolicy, strings.Join(missed, "; "))
	}
	return nil
}

// checkBoot checks what only an event log can show.
func (p *Policy) checkBoot(r *Result, miss func(format string, args ...any)) {
	explained := slices.Clone(p.Explained)
	if p.SecureBoot {
		explained = append(explained, 7)
	}
	if len(p.Loaders) > 0 {
		explained = append(explained, 4)
	}
	if r.Boot == nil {
		if len(explained) > 0 {
			miss("there is no event log")
		}
		return
	}
	if p.Explained == nil {
		explained = append(explained, firmwarePCRs()...)
	}
	slices.Sort(explained)
	for _, i := range slices.Compact(explained) {
		if r.PCRs[i] != nil && !slices.Contains(r.Boot.Explained, i) {
			miss("the event log does not explain PCR %d", i)
		}
	}
	if p.SecureBoot && r.Boot.Unknown != "" {
		miss("secure boot: %s", r.Boot.Unknown)
	} else if p.SecureBoot && !r.Boot.SecureBoot {
		miss("secure boot is off")
	}
	if len(p.Loaders) == 0 {
		return
	}
	if r.Boot.Loaders != nil && len(r.Boot.Loaders) == 0 {
		miss("no boot loader was measured")
	}
	for _, d := range r.Boot.Loaders {
		if !contains(p.Loaders, d) {
			miss("boot loader %x is not accepted", []byte(d))
		}
	}
}

func (f Firmware) fits(pcrs [][]byte) bool {
	for i, want := range f.PCRs {
		if !bytes.Equal(pcrs[i], want) {
			return false
		}
	}
	return len(f.PCRs) > 0
}

func contains(accepted []Digest, d []byte) bool {
	return slices.ContainsFunc(accepted, func(a Digest) bool { return bytes.Equal(a, d) })
}

// Policy returns the strictest policy that r meets: each PCR has the value that it has
// here and, if there is a log, what that shows of secure boot, of boot loaders and of
// PCRs is asked for. A fleet needs less: take what differs from machine to machine out of
// Golden. The policy shares the values with r.
func (r *Result) Policy() *Policy {
	p := &Policy{Bank: r.Bank, Golden: make(map[int][]Digest)}
	for i, value := range r.PCRs {
		if value != nil {
			p.PCRs = append(p.PCRs, i)
			p.Golden[i] = []Digest{value}
		}
	}
	if r.Boot != nil {
		p.SecureBoot, p.Loaders, p.Explained = r.Boot.SecureBoot, r.Boot.Loaders, r.Boot.Explained
	}
	return p
}
