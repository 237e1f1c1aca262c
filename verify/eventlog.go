package verify

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	ga "github.com/google/go-attestation/attest"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attestga"
	"github.com/whiteglove/whiteglove/internal/plain"
)

// A Boot is what an event log says about the start of a machine, as far as the quote
// confirms it: the log's digests lead to the quoted PCRs.
//
// The log says of each event what it was (its type and data), and a digest that went
// into a PCR. Only the digest is in the PCR. So what is here follows from digests, and
// from data whose digest it is: whoever writes the log can give an event another type.
type Boot struct {
	// Explained are the quoted PCRs to whose values the log leads. Among them are
	// those that are in their initial state and about which the log has no event.
	Explained []int

	// SecureBoot reports whether the firmware checked what it started. It is false if
	// that is unknown.
	SecureBoot bool

	// Unknown says why the state of secure boot is not known; else it is empty.
	Unknown string

	// Authorities are the certificates by which the firmware, with secure boot on,
	// accepted what it started after its own drivers.
	Authorities []*x509.Certificate

	// Loaders are the digests that went into PCR 4, in their order, without those of
	// the firmware's own announcements: the Authenticode digests of the boot loaders
	// and other programs that the firmware started. Loaders is nil if PCR 4 is not
	// explained. What somebody extends into PCR 4 later is among them.
	Loaders []Digest
}

// Limits of event logs. Real ones have up to some hundred kilobytes and events.
const (
	maxLog    = 1 << 20 // bytes
	maxEvents = 8192
	maxBanks  = 16
)

// replay compares an event log with the values in q, whose signature was checked.
func replay(raw []byte, q *attest.Quote) (*Boot, error) {
	log, err := parseLog(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLog, err)
	}
	b := &Boot{Unknown: "the log has no events that lead to PCR 7"}
	_, pcrs := attestga.ToQuote(q)
	for _, pcr := range pcrs {
		// One at a time: an operating system may have extended others later.
		events, err := log.Verify([]ga.PCR{pcr})
		if err != nil || len(events) == 0 && !initial(pcr) {
			continue
		}
		b.Explained = append(b.Explained, pcr.Index)
		switch {
		case pcr.Index == 4:
			b.Loaders = loaders(events, q.Bank)
		case pcr.Index == 7 && len(events) > 0:
			b.secureBoot(events)
		}
	}
	return b, nil
}

// unparsed says why a log cannot be parsed, in place of the parser's words.
func unparsed(raw []byte, err error) string {
	const header = 32
	switch {
	case len(raw) == 0:
		return "it is empty"
	case len(raw) < header || !bytes.HasPrefix(raw[header:], []byte("Spec ID Event03\x00")):
		return "it does not begin as the log of a TPM 2.0 does"
	case strings.Contains(err.Error(), "unknown algorithm"):
		return "it has digests of a kind that is not supported"
	}
	return "it is damaged or cut off"
}

// parseLog parses a log after checks of what would cost go-attestation much work.
func parseLog(raw []byte) (*ga.EventLog, error) {
	// The first event is in the form of TPM 1.2: PCR, type, SHA-1 digest, size, data.
	// For TPM 2.0, its type is EV_NO_ACTION and its data a TCG_EfiSpecIDEvent (TCG PC
	// Client Platform Firmware Profile, 10.4.5.1), with the number of banks at offset 24.
	const noAction, header = 3, 32
	le := binary.LittleEndian
	switch {
	case len(raw) > maxLog:
		return nil, fmt.Errorf("over %d bytes", maxLog)
	case len(raw) >= header+28 && le.Uint32(raw[4:]) == noAction && le.Uint32(raw[header+24:]) > maxBanks:
		return nil, errors.New("too many banks")
	}
	log, err := ga.ParseEventLog(raw)
	if err != nil {
		return nil, plain.Because(err, "%s", unparsed(raw, err))
	}
	if n := len(log.Events(ga.HashSHA256)); n > maxEvents {
		return nil, fmt.Errorf("%d events", n)
	}
	return log, nil
}

// initial reports whether a PCR has its value after a reset (TCG PC Client Platform
// TPM Profile, 4.6.2).
func initial(pcr ga.PCR) bool {
	fill := byte(0)
	if pcr.Index >= 17 && pcr.Index <= 22 {
		fill = 0xFF
	}
	return bytes.Count(pcr.Digest, []byte{fill}) == len(pcr.Digest)
}

// secureBoot sets the state of secure boot by the events of PCR 7.
func (b *Boot) secureBoot(events []ga.Event) {
	state, err := ga.ParseSecurebootState(events)
	if err != nil {
		b.Unknown = err.Error()
		return
	}
	b.Unknown, b.SecureBoot = "", state.Enabled
	for i := range state.PostSeparatorAuthority {
		b.Authorities = append(b.Authorities, &state.PostSeparatorAuthority[i])
	}
}

// announcements are the data of events that firmware puts into PCR 4 besides programs:
// separators, and strings of EV_EFI_ACTION (TCG PC Client Platform Firmware Profile,
// 10.4.1 and 10.4.4).
var announcements = []string{
	"\x00\x00\x00\x00", "\xff\xff\xff\xff", "Calling EFI Application from Boot Option",
	"Returning from EFI Application from Boot Option", "BOOT ATTEMPTS OMITTED",
}

// loaders returns the digests of events of PCR 4 that are not those of announcements.
func loaders(events []ga.Event, bank crypto.Hash) []Digest {
	known := make([]Digest, len(announcements))
	for i, text := range announcements {
		h := bank.New()
		h.Write([]byte(text))
		known[i] = h.Sum(nil)
	}
	found := []Digest{}
	for _, e := range events {
		if !contains(known, e.Digest) {
			found = append(found, e.Digest)
		}
	}
	return found
}
