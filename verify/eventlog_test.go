package verify_test

import (
	"encoding/binary"
	"os"
	"slices"
	"testing"
)

var le = binary.LittleEndian

// A span is an event of a log for TPM 2.0.
type span struct {
	start, end int
	pcr        int
	sha256     []byte
}

// events returns the events of a log after its header. It is a reader of its own, so
// that the tests do not rely on that of go-attestation.
func events(t testing.TB, log []byte) (all []span) {
	t.Helper()
	sizes := map[uint16]int{4: 20, 0xB: 32, 0xC: 48}
	at := 32 + int(le.Uint32(log[28:]))
	for at < len(log) {
		s := span{start: at, pcr: int(le.Uint32(log[at:]))}
		n := int(le.Uint32(log[at+8:]))
		at += 12
		for range n {
			alg := le.Uint16(log[at:])
			if alg == 0xB {
				s.sha256 = log[at+2:][:32]
			}
			at += 2 + sizes[alg]
		}
		at += 4 + int(le.Uint32(log[at:]))
		s.end = at
		all = append(all, s)
	}
	if at != len(log) || len(all) < 10 {
		t.Fatalf("%d events end at %d of %d", len(all), at, len(log))
	}
	return all
}

// event returns an event with a SHA-256 digest.
func event(pcr, typ uint32, digest, data []byte) []byte {
	b := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, pcr), typ), 1)
	b = append(le.AppendUint16(b, 0xB), digest...)
	return append(le.AppendUint32(b, uint32(len(data))), data...)
}

// without returns a log without the events of a PCR.
func without(log []byte, all []span, pcr int) []byte {
	out := slices.Clone(log[:all[0].start])
	for _, s := range all {
		if s.pcr != pcr {
			out = append(out, log[s.start:s.end]...)
		}
	}
	return out
}

// retyped returns a log in which the events of a PCR have another type.
func retyped(log []byte, all []span, pcr int, typ uint32) []byte {
	out := slices.Clone(log)
	for _, s := range all {
		if s.pcr == pcr {
			le.PutUint32(out[s.start+4:], typ)
		}
	}
	return out
}

// ubuntu returns the log of another machine, which was started without secure boot.
func ubuntu(t testing.TB) []byte {
	t.Helper()
	log, err := os.ReadFile("testdata/ubuntu.log")
	check(t, err)
	return log
}
