package verify_test

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/verify"
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

// TestAtLimits has messages whose parts are as large as they may be.
func TestAtLimits(t *testing.T) {
	part := bytes.Repeat([]byte{1}, 2048)
	s := &attest.Statement{PublicArea: part, Attest: part, Signature: part, CreationData: part}
	pcrs := make([][]byte, 24)
	pcrs[23] = part[:64]
	text := strings.Repeat("a", 256)
	issuers := make([][]byte, 16)
	for i := range issuers {
		issuers[i] = bytes.Repeat(part, 8)
	}
	for _, m := range []verify.Message{
		&verify.Hello{EKCertificate: bytes.Repeat(part, 8), Issuers: issuers, EKPublicArea: part, AIKCreation: s},
		&verify.Challenge{ID: text, Blob: part, EncryptedSecret: part},
		&verify.Answer{ID: text, Secret: part[:256]},
		&verify.Again{Device: text},
		&verify.Request{ID: text, Device: text, Nonce: part[:256], Bank: crypto.SHA512, PCRs: []int{0, 23}},
		&verify.Evidence{
			ID: text, Device: text, Quote: &attest.Quote{Attest: part, Signature: part, Bank: crypto.SHA512, PCRs: pcrs},
			EventLog: make([]byte, 1<<20), Keys: slices.Repeat([]*attest.Statement{s}, 16),
		},
		&verify.Verdict{Reason: strings.Repeat("a", 4096)},
		&verify.Policy{PCRs: []int{0, 23}},
	} {
		var b bytes.Buffer
		check(t, verify.Encode(&b, m))
		if err := verify.Decode(&b, empty(m)); err != nil {
			t.Errorf("%T: %v", m, err)
		}
	}
}
