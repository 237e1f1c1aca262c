package attest_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	goattest "github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
)

func quotes(t *testing.T, tpm *attest.TPM, aik *attest.Key, bank crypto.Hash) *attest.Quote {
	t.Helper()
	q, err := tpm.Quote(context.Background(), aik, []byte("nonce"), bank)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Verify(aik.Public(), []byte("nonce")); err != nil {
		t.Fatal(err)
	}
	return q
}

// goPCRs returns the PCRs of a quote as go-attestation has them.
func goPCRs(q *attest.Quote) []goattest.PCR {
	var pcrs []goattest.PCR
	for i, v := range q.PCRs {
		pcrs = append(pcrs, goattest.PCR{Index: i, Digest: v, DigestAlg: q.Bank})
	}
	return pcrs
}

// An event of a log: it extends a PCR with the digest of its data.
type event struct {
	pcr  uint32
	typ  uint32
	data string
}

var bootEvents = []event{
	{0, 0x08, "v\x001\x00"},            // EV_S_CRTM_VERSION
	{7, 0x80000001, "SecureBoot, off"}, // EV_EFI_VARIABLE_DRIVER_CONFIG
	{4, 0x04, "\x00\x00\x00\x00"},      // EV_SEPARATOR
	{8, 0x0D, "kernel command line"},   // EV_IPL
}

// eventLog returns a crypto-agile event log (TCG PC Client Platform Firmware
// Profile, 10) with SHA-1 and SHA-256 digests.
func eventLog(events []event) []byte {
	le := binary.LittleEndian
	spec := []byte("Spec ID Event03\x00")
	spec = append(spec, 0, 0, 0, 0, 0, 2, 0, 2) // platform class, 2.0 errata 0, uintn of 64 bits
	spec = le.AppendUint32(spec, 2)
	spec = append(spec, 4, 0, 20, 0, 0x0B, 0, 32, 0, 0)
	log := le.AppendUint32(make([]byte, 4), 3) // PCR 0, EV_NO_ACTION
	log = append(log, make([]byte, 20)...)
	log = append(le.AppendUint32(log, uint32(len(spec))), spec...)
	for _, e := range events {
		log = le.AppendUint32(le.AppendUint32(log, e.pcr), e.typ)
		log = le.AppendUint32(log, 2)
		log = append(le.AppendUint16(log, 4), e.digest(crypto.SHA1)...)
		log = append(le.AppendUint16(log, 0x0B), e.digest(crypto.SHA256)...)
		log = append(le.AppendUint32(log, uint32(len(e.data))), e.data...)
	}
	return log
}

func (e event) digest(h crypto.Hash) []byte {
	d := h.New()
	d.Write([]byte(e.data))
	return d.Sum(nil)
}

// measured measures bootEvents into the TPM and returns them. A machine has measured its
// own into most PCRs already, so its events are of the PCRs that the test can reset.
func measured(t *testing.T, tr transport.TPM) []event {
	t.Helper()
	events := slices.Clone(bootEvents)
	if strings.Contains(t.Name(), "/device/") {
		for i := range events {
			events[i].pcr = []uint32{16, 23}[i%2] // debug; applications
			pcr := tpm2.AuthHandle{Handle: tpm2.TPMHandle(events[i].pcr), Auth: tpm2.PasswordAuth(nil)}
			if _, err := (tpm2.PCRReset{PCRHandle: pcr}).Execute(tr); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range events {
		e.extend(t, tr)
	}
	return events
}

func (e event) extend(t *testing.T, tr transport.TPM) {
	t.Helper()
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(e.pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{
			{HashAlg: tpm2.TPMAlgSHA1, Digest: e.digest(crypto.SHA1)}, {HashAlg: tpm2.TPMAlgSHA256, Digest: e.digest(crypto.SHA256)},
		}},
	}.Execute(tr)
	if err != nil {
		t.Fatal(err)
	}
}

// go-attestation verifies our quotes, of both kinds of key and bank, and replays
// the event log against their PCRs.
func TestQuote(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		logged := measured(t, tr)
		log, err := goattest.ParseEventLog(eventLog(logged))
		if err != nil {
			t.Fatal(err)
		}
		tpm := &attest.TPM{Transport: tr}
		for _, tmpl := range []attest.Template{{Usage: attest.Attest}, {Algorithm: attest.P256, Usage: attest.Attest}, {Algorithm: attest.P384, Usage: attest.Attest, Hash: crypto.SHA384}} {
			aik := create(t, tpm, tmpl)
			pub, err := goattest.ParseAKPublic(aik.PublicArea())
			if err != nil {
				t.Fatal(err)
			}
			for _, bank := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
				q := quotes(t, tpm, aik, bank)
				err := pub.Verify(goattest.Quote{Quote: q.Attest, Signature: q.Signature}, goPCRs(q), []byte("nonce"))
				if err != nil {
					t.Errorf("go-attestation, %v: %v", bank, err)
				}
				events, err := log.Verify(goPCRs(q))
				if err != nil || len(events) < len(logged) {
					t.Errorf("%v: %d events, %v", bank, len(events), err)
				}
			}
		}
		// An event that was not logged.
		event{pcr: logged[3].pcr, typ: 0x0D, data: "another"}.extend(t, tr)
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		if _, err := log.Verify(goPCRs(quotes(t, tpm, aik, crypto.SHA256))); err == nil {
			t.Error("the log replays, though it lacks an event")
		}
		noneLoaded(t, tr)
	})
}

// PCRs that change between their reading and the quote are read again; if they
// never stand still, that is an error.
func TestQuoteRace(t *testing.T) {
	tr := emulator(t, "ready")
	p := &tap{TPM: tr}
	tpm := &attest.TPM{Transport: p}
	aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
	for times, ok := range map[int]bool{1: true, 100: false} {
		p.before = func(command []byte) []byte {
			if commandCode(command) == tpm2.TPMCCQuote && times > 0 {
				times--
				event{pcr: 8, data: "meanwhile"}.extend(t, tr)
			}
			return nil
		}
		q, err := tpm.Quote(context.Background(), aik, nil, crypto.SHA256)
		if (err == nil) != ok || ok && q.Verify(aik.Public(), nil) != nil {
			t.Errorf("changing: %v", err)
		}
	}
	p.before = nil
	for name, err := range map[string]error{
		"bank":  second(tpm.Quote(context.Background(), aik, nil, crypto.MD5)),
		"nonce": second(tpm.Quote(context.Background(), aik, make([]byte, 65), crypto.SHA256)),
		"key":   second(tpm.Quote(context.Background(), create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}), nil, crypto.SHA256)),
	} {
		if err == nil {
			t.Errorf("%s: quoted", name)
		}
	}
	noneLoaded(t, tr)
}

// A quote of some PCRs is about those and no others, and does not mind that the
// rest change.
func TestQuoteOfSome(t *testing.T) {
	forBackends(t, "ready", func(t *testing.T, tr transport.TPM) {
		p := &tap{TPM: tr}
		tpm := &attest.TPM{Transport: p}
		aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
		p.before = func(command []byte) []byte {
			if commandCode(command) == tpm2.TPMCCQuote {
				event{pcr: 10, data: "measured meanwhile"}.extend(t, tr)
			}
			return nil
		}
		if _, err := tpm.Quote(t.Context(), aik, nil, crypto.SHA256); err == nil {
			t.Error("all PCRs: quoted, though one changes")
		}
		bootEvents[1].extend(t, tr)
		q, err := tpm.Quote(t.Context(), aik, []byte("nonce"), crypto.SHA256, 0, 1, 2, 3, 4, 5, 6, 7, 7, 11, 23)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Verify(aik.Public(), []byte("nonce")); err != nil {
			t.Error(err)
		}
		if len(q.PCRs) != 24 || q.PCRs[10] != nil || q.PCRs[8] != nil || bytes.Equal(q.PCRs[7], make([]byte, 32)) || len(q.PCRs[23]) != 32 {
			t.Errorf("PCRs %x", q.PCRs)
		}
		pub, err := goattest.ParseAKPublic(aik.PublicArea())
		if err != nil {
			t.Fatal(err)
		}
		var pcrs []goattest.PCR
		for _, v := range goPCRs(q) {
			if v.Digest != nil {
				pcrs = append(pcrs, v)
			}
		}
		if err := pub.Verify(goattest.Quote{Quote: q.Attest, Signature: q.Signature}, pcrs, []byte("nonce")); err != nil {
			t.Errorf("go-attestation: %v", err)
		}
		for name, change := range map[string]func(c *attest.Quote){
			"one less":     func(c *attest.Quote) { c.PCRs[23] = nil },
			"one more":     func(c *attest.Quote) { c.PCRs[10] = make([]byte, 32) },
			"another":      func(c *attest.Quote) { c.PCRs[8], c.PCRs[7] = c.PCRs[7], nil },
			"other values": func(c *attest.Quote) { c.PCRs[0], c.PCRs[7] = c.PCRs[7], c.PCRs[0] },
			"none":         func(c *attest.Quote) { c.PCRs = make([][]byte, 24) },
		} {
			c := *q
			c.PCRs = append([][]byte(nil), q.PCRs...)
			change(&c)
			if err := c.Verify(aik.Public(), []byte("nonce")); !errors.Is(err, attest.ErrProof) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, i := range []int{-1, 24, 32} {
			if _, err := tpm.Quote(t.Context(), aik, nil, crypto.SHA256, 0, i); err == nil {
				t.Errorf("PCR %d: quoted", i)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// Changing any byte of a quote is noticed, and so are other PCRs.
func TestQuoteNoticesChanges(t *testing.T) {
	tpm := &attest.TPM{Transport: emulator(t, "ready")}
	for _, alg := range []attest.Algorithm{attest.RSA2048, attest.P256} {
		aik := create(t, tpm, attest.Template{Algorithm: alg, Usage: attest.Attest})
		q := quotes(t, tpm, aik, crypto.SHA256)
		refuse := func(what string, at int, c attest.Quote) {
			t.Helper()
			if err := c.Verify(aik.Public(), []byte("nonce")); !errors.Is(err, attest.ErrProof) {
				t.Fatalf("%s at %d: %v", what, at, err)
			}
		}
		flip := func(b []byte, at int) []byte {
			c := bytes.Clone(b)
			c[at] ^= 1
			return c
		}
		for i := range q.Attest {
			c := *q
			c.Attest = flip(q.Attest, i)
			refuse("statement", i, c)
			c.Attest = q.Attest[:i]
			refuse("statement cut", i, c)
		}
		for i := range q.Signature {
			c := *q
			c.Signature = flip(q.Signature, i)
			refuse("signature", i, c)
		}
		for i := range q.PCRs {
			c := *q
			c.PCRs = append([][]byte(nil), q.PCRs...)
			c.PCRs[i] = flip(q.PCRs[i], 3)
			refuse("PCR", i, c)
			c.PCRs[i] = q.PCRs[i][:31]
			refuse("PCR cut", i, c)
		}
		c := *q
		c.PCRs = q.PCRs[:23]
		refuse("a PCR less", 0, c)
		c = *q
		c.Bank = crypto.SHA384
		refuse("another bank", 0, c)
		for name, err := range map[string]error{
			"nonce":     q.Verify(aik.Public(), []byte("other")),
			"key":       q.Verify(create(t, tpm, attest.Template{Algorithm: alg, Usage: attest.Attest}).Public(), []byte("nonce")),
			"no key":    q.Verify(nil, []byte("nonce")),
			"no quote":  (*attest.Quote)(nil).Verify(aik.Public(), nil),
			"statement": (&attest.Statement{PublicArea: aik.PublicArea(), Attest: q.Attest, Signature: q.Signature}).Verify(aik.Public(), []byte("nonce")),
			"certify":   (&attest.Quote{Attest: aik.Creation().Attest, Signature: aik.Creation().Signature, Bank: q.Bank, PCRs: q.PCRs}).Verify(aik.Public(), nil),
		} {
			if !errors.Is(err, attest.ErrProof) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func FuzzQuote(f *testing.F) {
	ctx := context.Background()
	tpm := &attest.TPM{Transport: benchTPM(f)}
	var keys []*attest.Key
	var quoted [][]byte
	for _, alg := range []attest.Algorithm{attest.RSA2048, attest.P256} {
		k, err := tpm.CreateKey(ctx, attest.Template{Algorithm: alg, Usage: attest.Attest})
		if err != nil {
			f.Fatal(err)
		}
		q, err := tpm.Quote(ctx, k, []byte("nonce"), crypto.SHA256)
		if err != nil {
			f.Fatal(err)
		}
		keys, quoted = append(keys, k), append(quoted, q.Attest)
		f.Add(q.Attest, q.Signature, bytes.Join(q.PCRs, nil))
	}
	f.Fuzz(func(t *testing.T, att, sig, pcrs []byte) {
		q := &attest.Quote{Attest: att, Signature: sig, Bank: crypto.SHA256}
		for i := 0; i+32 <= len(pcrs) && i < 25*32; i += 32 {
			q.PCRs = append(q.PCRs, pcrs[i:i+32])
		}
		for _, k := range keys {
			if q.Verify(k.Public(), []byte("nonce")) == nil && !bytes.Equal(att, quoted[0]) && !bytes.Equal(att, quoted[1]) {
				t.Fatal("accepts what it did not sign")
			}
		}
	})
}
