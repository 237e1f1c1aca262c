package verify_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/verify"
	"github.com/whiteglove/whiteglove/verify/verifytest"
)

// messages returns one of each message, with all members.
func messages(t testing.TB) map[string]verify.Message {
	t.Helper()
	r := newRig(t)
	d := r.enroll(t)
	e := r.evidence(t, d, r.aik)
	digest := verify.Digest(bytes.Repeat([]byte{0xAB}, 32))
	at := time.Date(2026, 11, 28, 17, 0, 0, 0, time.UTC)
	return map[string]verify.Message{
		"hello":     &r.hello,
		"challenge": &verify.Challenge{ID: "id", Blob: []byte{1}, EncryptedSecret: []byte{2}, Expires: at},
		"answer":    &verify.Answer{ID: "id", Secret: []byte{1}},
		"again":     &verify.Again{Device: "000b"},
		"request":   &verify.Request{ID: "id", Device: "000b", Nonce: []byte{1}, Bank: crypto.SHA384, PCRs: []int{0, 7, 23}, Expires: at},
		"evidence":  e,
		"verdict":   &verify.Verdict{Reason: "why", Retryable: true},
		"policy": &verify.Policy{
			Bank: crypto.SHA256, PCRs: []int{}, Golden: map[int][]verify.Digest{0: {digest}, 14: {}}, Firmware: []verify.Firmware{{"1", map[int]verify.Digest{2: digest}}},
			Explained: []int{7}, SecureBoot: true, Loaders: []verify.Digest{digest}, SameBoot: true,
		},
	}
}

// empty returns a new value of the type of m.
func empty(m verify.Message) verify.Message {
	return reflect.New(reflect.TypeOf(m).Elem()).Interface().(verify.Message)
}

// TestJSON writes and reads each message.
func TestJSON(t *testing.T) {
	for name, m := range messages(t) {
		var text bytes.Buffer
		check(t, verify.Encode(&text, m))
		if !strings.HasPrefix(text.String(), `{"v":1,"type":"`+name+`",`) || strings.Count(text.String(), "\n") != 1 {
			t.Errorf("%s: %.60s", name, &text)
		}
		got := empty(m)
		check(t, verify.Decode(bytes.NewReader(text.Bytes()), got))
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%s: %+v, want %+v", name, got, m)
		}
		for other, m := range messages(t) {
			if err := verify.Decode(bytes.NewReader(text.Bytes()), empty(m)); (err == nil) != (other == name) {
				t.Errorf("%s as %s: %v", name, other, err)
			}
		}
		var fields map[string]any
		check(t, json.Unmarshal(text.Bytes(), &fields))
		for member, value := range fields {
			for what, changed := range map[string]func(map[string]any){
				"upper case": func(f map[string]any) { delete(f, member); f[strings.ToUpper(member)] = value },
				"unknown":    func(f map[string]any) { f[member+"x"] = value },
			} {
				f := make(map[string]any)
				check(t, json.Unmarshal(text.Bytes(), &f))
				changed(f)
				bad, err := json.Marshal(f)
				check(t, err)
				if strings.ToUpper(member) == member {
					continue
				}
				if err := verify.Decode(bytes.NewReader(bad), empty(m)); !errors.Is(err, verify.ErrMalformed) {
					t.Errorf("%s, %s %s: %v", name, what, member, err)
				}
			}
			one, err := json.Marshal(map[string]any{member: value})
			check(t, err)
			twice := strings.Replace(text.String(), "{", string(one[:len(one)-1])+",", 1)
			if err := verify.Decode(strings.NewReader(twice), empty(m)); !errors.Is(err, verify.ErrMalformed) {
				t.Errorf("%s, %s twice: %v", name, member, err)
			}
		}
	}
}

// TestJSONForm pins the form of a request and of a policy, as the documentation has it.
func TestJSONForm(t *testing.T) {
	all := messages(t)
	for name, want := range map[string]string{
		"request": `{"v":1,"type":"request","id":"id","device":"000b","nonce":"AQ==","pcrs":[0,7,23],"expires":"2026-11-28T17:00:00Z","bank":"sha384"}`,
		"policy": `{"v":1,"type":"policy","pcrs":[],"golden":{"0":["D"],"14":[]},"firmware":[{"name":"1","pcrs":{"2":"D"}}],` +
			`"explained":[7],"secureBoot":true,"loaders":["D"],"sameBoot":true,"bank":"sha256"}`,
		"verdict": `{"v":1,"type":"verdict","trusted":false,"reason":"why","retryable":true}`,
	} {
		var text bytes.Buffer
		check(t, verify.Encode(&text, all[name]))
		if got := strings.ReplaceAll(strings.TrimSpace(text.String()), strings.Repeat("ab", 32), "D"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestDecodeRefuses has texts that are no messages, or are over a limit.
func TestDecodeRefuses(t *testing.T) {
	long := strings.Repeat("A", 1<<12)
	for text, m := range map[string]verify.Message{
		``:     new(verify.Answer),
		`null`: new(verify.Answer),
		`[]`:   new(verify.Answer),
		`{"v":1,"type":"answer","id":"a","secret":"AA=="}{}`:                                                  new(verify.Answer),
		`{"v":1,"type":"answer","id":"a","secret":"AA==","id":"b"}`:                                           new(verify.Answer),
		`{"v":1,"type":"answer","id":"a","Id":"b"}`:                                                           new(verify.Answer),
		`{"v":1,"type":"answer","id":7}`:                                                                      new(verify.Answer),
		`{"v":1,"type":"answer","id":"a","secret":"A"}`:                                                       new(verify.Answer),
		`{"v":2,"type":"answer","id":"a"}`:                                                                    new(verify.Answer),
		`{"type":"answer","id":"a"}`:                                                                          new(verify.Answer),
		`{"v":1,"type":"answer","id":"` + long + `"}`:                                                         new(verify.Answer),
		`{"v":1,"type":"again","device":"` + long + `"}`:                                                      new(verify.Again),
		`{"v":1,"type":"challenge","blob":"` + long + `"}`:                                                    new(verify.Challenge),
		`{"v":1,"type":"verdict","reason":"` + long + `x"}`:                                                   new(verify.Verdict),
		`{"v":1,"type":"request","bank":"sha256","pcrs":[0,0]}`:                                               new(verify.Request),
		`{"v":1,"type":"request","bank":"sha256","pcrs":[-1]}`:                                                new(verify.Request),
		`{"v":1,"type":"request","bank":"sha256","pcrs":[7,0]}`:                                               new(verify.Request),
		`{"v":1,"type":"request","bank":"sha256","pcrs":[24]}`:                                                new(verify.Request),
		`{"v":1,"type":"request","bank":"SHA256","pcrs":[0]}`:                                                 new(verify.Request),
		`{"v":1,"type":"request","bank":"md5","pcrs":[0]}`:                                                    new(verify.Request),
		`{"v":1,"type":"hello"}`:                                                                              new(verify.Hello),
		`{"v":1,"type":"hello","aikCreation":{"publicArea":"` + long + `"}}`:                                  new(verify.Hello),
		`{"v":1,"type":"hello","aikCreation":{"publicArea":"AA==","publicArea":"AA=="}}`:                      new(verify.Hello),
		`{"v":1,"type":"evidence"}`:                                                                           new(verify.Evidence),
		`{"v":1,"type":"evidence","quote":null}`:                                                              new(verify.Evidence),
		`{"v":1,"type":"evidence","quote":{"bank":"sha256","pcrs":{"24":"00"}}}`:                              new(verify.Evidence),
		`{"v":1,"type":"evidence","quote":{"bank":"sha256","pcrs":{"0":""}}}`:                                 new(verify.Evidence),
		`{"v":1,"type":"evidence","quote":{"bank":"sha256","pcrs":{"0":"` + strings.Repeat("00", 65) + `"}}}`: new(verify.Evidence),
		`{"v":1,"type":"evidence","quote":{"bank":"sha256","pcrs":{"0":"00","0":"00"}}}`:                      new(verify.Evidence),
		`{"v":1,"type":"evidence","quote":{"bank":"sha256","pcrs":{"0":"00"}},"keys":[null]}`:                 new(verify.Evidence),
		`{"v":1,"type":"evidence","quote":{"bank":"sha256","pcrs":{"0":"00"}},"keys":[[[[[[[]]]]]]]}`:         new(verify.Evidence),
		`{"v":1,"type":"policy","bank":"sha256","golden":{"0":["00"]}}`:                                       new(verify.Policy),
		`{"v":1,"type":"policy","bank":"sha256","golden":{"x":[]}}`:                                           new(verify.Policy),
		`{"v":1,"type":"request","pcrs":[0]}`:                                                                 new(verify.Request),
		`{"v":1,"type":"evidence","quote":{"pcrs":{"0":"00"}}}`:                                               new(verify.Evidence),
		`{"v":1,"type":"evidence","quote":{"bank":"sha256","pcrs":{"00":"00"}}}`:                              new(verify.Evidence),
		`{"v":1,"type":"evidence","quote":{"bank":"sha256","pcrs":{"+1":"00"}}}`:                              new(verify.Evidence),
		strings.Repeat(" ", 2<<20) + `{"v":1,"type":"again","device":""}`:                                     new(verify.Again),
		`{"v":1,"type":"again","device":"` + strings.Repeat("[", 1<<20):                                       new(verify.Again),
	} {
		if err := verify.Decode(strings.NewReader(text), m); !errors.Is(err, verify.ErrMalformed) {
			t.Errorf("%.80s: %v", text, err)
		}
		if !reflect.ValueOf(m).Elem().IsZero() {
			t.Errorf("%.80s: changed to %+v", text, m)
		}
	}
}

// TestLargest reads a text of 2 MiB, and none that is longer.
func TestLargest(t *testing.T) {
	text := `{"v":1,"type":"again","device":"a"}`
	text += strings.Repeat(" ", 2<<20-len(text))
	check(t, verify.Decode(strings.NewReader(text), new(verify.Again)))
	if err := verify.Decode(strings.NewReader(text+" "), new(verify.Again)); !errors.Is(err, verify.ErrMalformed) {
		t.Error(err)
	}
}

// A failing reader or writer fails.
type failing struct{}

func (failing) Read([]byte) (int, error)  { return 0, io.ErrUnexpectedEOF }
func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestNil calls every function and method with nothing.
func TestNil(t *testing.T) {
	ctx := t.Context()
	second := func(_ any, err error) error { return err }
	r := newRig(t)
	d := r.enroll(t)
	var none *verify.Verifier
	q, err := r.verifier.Request(ctx, d)
	check(t, err)
	for name, err := range map[string]error{
		"Challenge":            second(none.Challenge(ctx, &r.hello)),
		"Challenge, no client": second(new(verify.Verifier).Challenge(ctx, &r.hello)),
		"Challenge, none":      second(r.verifier.Challenge(ctx, nil)),
		"Accept":               second(none.Accept(ctx, &verify.Answer{})),
		"Accept, none":         second(r.verifier.Accept(ctx, nil)),
		"Request":              second(none.Request(ctx, d)),
		"Request, none":        second(r.verifier.Request(ctx, nil)),
		"Request, empty":       second(r.verifier.Request(ctx, &verify.Device{})),
		"Check":                second(none.Check(ctx, d, &verify.Evidence{})),
		"Check, no device":     second(r.verifier.Check(ctx, nil, &verify.Evidence{})),
		"Check, none":          second(r.verifier.Check(ctx, d, nil)),
		"Encode":               verify.Encode(io.Discard, nil),
		"Encode, no bank":      verify.Encode(io.Discard, &verify.Request{}),
		"Encode, no quote":     verify.Encode(failing{}, &verify.Evidence{}),
		"Decode":               verify.Decode(strings.NewReader("{}"), nil),
		"Decode, read":         verify.Decode(failing{}, new(verify.Again)),
		"Evidence":             second((*verify.Request)(nil).Evidence(ctx, r.tpm, r.aik)),
		"Evidence, no PCRs":    second(new(verify.Request).Evidence(ctx, r.tpm, r.aik)),
	} {
		var e *verify.Error
		if !errors.As(err, &e) || e.Op == "" || e.Operation() != e.Op {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"Evidence, no TPM": second(q.Evidence(ctx, nil, r.aik)),
		"Evidence, no AIK": second(q.Evidence(ctx, r.tpm, nil)),
		"Evidence, no key": second(q.Evidence(ctx, r.tpm, r.aik, nil)),
	} {
		var e *attest.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verifytest.Boot(nil, nil) == nil {
		t.Error("an empty log")
	}
}

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
