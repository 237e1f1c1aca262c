package attesttest

import (
	"encoding/binary"
	"time"
)

// A Chip says how long a TPM chip takes, see Config.Chip. The zero value takes no time.
type Chip struct {
	RSAKey     time.Duration // to make an RSA-2048 key
	RSAPrivate time.Duration // to sign or decrypt with one
	P256Key    time.Duration // to make a key on P-256
	P256Sign   time.Duration // to sign with one
	P256Agree  time.Duration // to agree on a secret with one (ECDH)
	Command    time.Duration // for any command, besides

	// Sleep, if set, is called in place of [time.Sleep], for tests that add up the times
	// instead of waiting.
	Sleep func(time.Duration)
}

// SLB9672 returns the times of an Infineon OPTIGA SLB9672 at 43 MHz, as wolfSSL publishes
// them (wolfTPM, docs/benchmarks.md), averages of some ten operations each. A command alone
// takes 3.1 ms, the time to read a persistent key's public area from another chip
// (google/go-tpm-tools, pull request 28), with which a key takes 2.3 to 3.0 s to make. How
// long a chip takes to load a key is not published; here that is a command alone.
func SLB9672() *Chip {
	const ms = time.Millisecond
	return &Chip{RSAKey: 1568 * ms, RSAPrivate: 77 * ms, P256Key: 136 * ms, P256Sign: 36 * ms, P256Agree: 66 * ms, Command: 3100 * time.Microsecond}
}

// A bench knows which keys of a TPM are on P-256, by their handles.
type bench struct{ p256 map[uint32]bool }

// Algorithms and handles (TCG TPM 2.0 Library Part 2).
const (
	algECC = 0x0023
	rhNull = 0x40000007
)

// keyAt has the commands that use a private key, and which of their handles is that key.
var keyAt = map[string]int{
	"TPM2_Sign": 0, "TPM2_Quote": 0, "TPM2_Certify": 1, "TPM2_CertifyCreation": 0, "TPM2_ActivateCredential": 1,
	"TPM2_RSA_Decrypt": 0, "TPM2_ECDH_ZGen": 0, "TPM2_StartAuthSession": 0,
}

// sleep sleeps as long as the chip takes for a command, and remembers the key that it has
// made or loaded. Without a chip it does neither.
func (t *TPM) sleep(command, response []byte) {
	c := t.cfg.Chip
	if c == nil {
		return
	}
	d := c.Command
	if len(response) >= 10 && binary.BigEndian.Uint32(response[6:]) == 0 {
		d += t.bench.time(c, command, response)
	}
	if c.Sleep != nil {
		c.Sleep(d)
	} else {
		time.Sleep(d)
	}
}

// time returns how long the chip computes for a command that succeeded.
func (b *bench) time(c *Chip, command, response []byte) time.Duration {
	name := commandName(command)
	switch name {
	case "TPM2_Create", "TPM2_CreatePrimary", "TPM2_CreateLoaded":
		p256 := keyType(command) == algECC
		if name != "TPM2_Create" {
			b.loaded(response, p256)
		}
		if p256 {
			return c.P256Key
		}
		return c.RSAKey
	case "TPM2_Load":
		b.loaded(response, keyType(command) == algECC)
		return 0
	}
	at, ok := keyAt[name]
	if !ok || len(command) < 14+4*at {
		return 0
	}
	key := binary.BigEndian.Uint32(command[10+4*at:])
	agrees := name == "TPM2_ActivateCredential" || name == "TPM2_ECDH_ZGen" || name == "TPM2_StartAuthSession"
	switch {
	case key == rhNull:
		return 0
	case !b.p256[key]:
		return c.RSAPrivate
	case agrees:
		return c.P256Agree
	}
	return c.P256Sign
}

// loaded remembers whether the key whose handle is in a response is on P-256.
func (b *bench) loaded(response []byte, p256 bool) {
	if len(response) < 14 {
		return
	}
	if b.p256 == nil {
		b.p256 = make(map[uint32]bool)
	}
	b.p256[binary.BigEndian.Uint32(response[10:])] = p256
}

// keyType returns the algorithm of the public area in a command that makes or loads a key,
// or 0. The command has one handle, authorizations, a structure with its size, and the
// public area with its size.
func keyType(command []byte) int {
	const tagSize = 10 + 4 // header and handle
	at := tagSize
	if len(command) < at+4 {
		return 0
	}
	at += 4 + int(binary.BigEndian.Uint32(command[at:])) // authorizations
	if at < tagSize || len(command) < at+2 {
		return 0
	}
	at += 2 + int(binary.BigEndian.Uint16(command[at:]))
	if len(command) < at+4 {
		return 0
	}
	return int(binary.BigEndian.Uint16(command[at+2:]))
}
