package verify_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/verify"
)

// FuzzDecode reads any text as each message. What can be read, is written and read
// again alike.
func FuzzDecode(f *testing.F) {
	for _, m := range messages(f) {
		var text bytes.Buffer
		check(f, verify.Encode(&text, m))
		f.Add(text.Bytes())
	}
	f.Add([]byte(`{"v":1,"type":"evidence","quote":{"bank":"sha1","pcrs":{"00":"00"}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, m := range []verify.Message{
			new(verify.Hello), new(verify.Challenge), new(verify.Answer), new(verify.Again), new(verify.Request), new(verify.Evidence), new(verify.Verdict), new(verify.Policy),
		} {
			if verify.Decode(bytes.NewReader(text), m) != nil {
				continue
			}
			var first, second bytes.Buffer
			again := empty(m)
			if err := errors.Join(verify.Encode(&first, m), verify.Decode(bytes.NewReader(first.Bytes()), again), verify.Encode(&second, again)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Fatalf("%s\n%s", &first, &second)
			}
		}
	})
}

// An echo is a Store whose challenges are never used up.
type echo struct{ verify.MemoryStore }

func (e *echo) Take(ctx context.Context, id string) ([]byte, error) {
	value, err := e.MemoryStore.Take(ctx, id)
	return value, errors.Join(err, e.Put(ctx, id, value, time.Now().Add(time.Hour)))
}

// FuzzCheck checks evidence with any quote and statement. It may pass only if they are
// unchanged.
func FuzzCheck(f *testing.F) {
	r := newRig(f)
	d := r.enroll(f)
	r.verifier.Challenges = new(echo)
	good := r.evidence(f, d, r.aik)
	good.EventLog = nil // FuzzLog has logs
	_, err := r.verifier.Check(f.Context(), d, good)
	check(f, err)
	f.Add(good.Quote.Attest, good.Quote.Signature, good.Keys[0].PublicArea, uint8(0), good.Quote.PCRs[0])
	f.Add([]byte{}, []byte{}, []byte{}, uint8(7), []byte{1})
	f.Fuzz(func(t *testing.T, attested, signature, area []byte, pcr uint8, value []byte) {
		for _, change := range []func(*verify.Evidence){
			func(e *verify.Evidence) { e.Quote.Attest = attested },
			func(e *verify.Evidence) { e.Quote.Signature = signature },
			func(e *verify.Evidence) { e.Keys[0].PublicArea = area },
			func(e *verify.Evidence) { e.Keys[0].Attest, e.Keys[0].Signature = attested, signature },
			func(e *verify.Evidence) { e.Quote.PCRs[pcr%24] = value },
		} {
			e, quote, key := *good, *good.Quote, *good.Keys[0]
			quote.PCRs = slices.Clone(quote.PCRs)
			e.Quote, e.Keys = &quote, []*attest.Statement{&key}
			change(&e)
			_, err := r.verifier.Check(t.Context(), d, &e)
			var own *verify.Error
			if err != nil && !errors.As(err, &own) {
				t.Fatal(err)
			}
			if err == nil && (!bytes.Equal(quote.Attest, good.Quote.Attest) || !bytes.Equal(key.PublicArea, good.Keys[0].PublicArea) ||
				!slices.EqualFunc(quote.PCRs, good.Quote.PCRs, bytes.Equal)) {
				t.Fatalf("accepted: %+v", e)
			}
		}
	})
}
