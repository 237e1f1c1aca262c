package verify_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/verify"
)

// A policy is written by hand: each mistake is told with its place, in words for who
// makes it.
func TestPolicyMistakes(t *testing.T) {
	value := strings.Repeat("ab", 32)
	for members, want := range map[string]string{
		`"secureBoot":"yes"`:                            `"secureBoot" has to be true or false, not a string`,
		`"pcrs":7`:                                      `"pcrs" has to be a list, not a number`,
		`"pcrs":["7"]`:                                  `each value of "pcrs" has to be a whole number, not a string`,
		`"pcrs":[1.5]`:                                  `each value of "pcrs" has to be a whole number, not 1.5`,
		`"golden":[]`:                                   `"golden" has to be an object, not a list`,
		`"golden":{"4":"` + value + `"}`:                `golden, PCR 4 has to be a list, not a string`,
		`"golden":{"4":[4]}`:                            `each value of golden, PCR 4 has to be a string, not a number`,
		`"golden":{"four":[]}`:                          `a name in "golden" has to be a number, not "four"`,
		`"golden":{"4":["xb"]}`:                         `golden, PCR 4: 'x' is not a hexadecimal digit`,
		`"golden":{"4":["abc"]}`:                        `golden, PCR 4: the number of hexadecimal digits is odd`,
		`"golden":{"04":[]}`:                            `the number "04" has a sign or zeros before it`,
		`"golden":{"4":["` + value[2:] + `"]}`:          `golden, PCR 4: the value has 31 bytes; SHA-256 has 32`,
		`"loaders":["` + value + `","` + value + `00"]`: `loaders: the value has 33 bytes; SHA-256 has 32`,
		`"loaders":["q0"]`:                              `loaders: 'q' is not a hexadecimal digit`,
		`"firmware":[{"name":"1.2","pcrs":{"0":""}}]`:   `firmware "1.2", PCR 0: the value has 0 bytes; SHA-256 has 32`,
		`"firmware":[{"name":"1","pcrs":{"0":"x"}}]`:    `firmware, PCR 0: 'x' is not a hexadecimal digit`,
		`"pcrs":[0,1,99]`:                               `there is no PCR 99: want 0 to 23`,
		`"pcrs":[]`:                                     `no PCR is asked for`,
		`"bank":"sha257"`:                               `bank "sha257": want sha1, sha256, sha384 or sha512`,
		`"secureboots":true`:                            `there is no field "secureboots"`,
		`"SecureBoot":true`:                             `there is no field "SecureBoot"`,
		`"pcrs":[1],"pcrs":[2]`:                         `the field "pcrs" is there twice`,
		"\n \"pcrs\": [1,]":                             `it is not JSON, at line 2, column 13`,
		"\n\"pcrs\": [1":                                `it is not JSON, at line 2, column 11`,
		"\n\"pcrs\": \"":                                `the JSON ends in the middle, at line 2, column 11`,
	} {
		p := new(verify.Policy)
		err := verify.Decode(strings.NewReader(`{"v":1,"type":"policy",`+members+"}"), p)
		if e, ok := errors.AsType[*verify.Error](err); !ok || !errors.Is(err, verify.ErrMalformed) || e.HRESULT() == 0 || e.Remedy() != "Correct the policy." ||
			err.Error() != "verify: decode: policy is malformed: "+want {
			t.Errorf("%s:\n%v, want\n%s", members, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"v":"1"}`:                      `"v" has to be a whole number, not a string`,
		`[]`:                             `it has to be an object, not a list`,
		`{"type":"policy"}`:              `its version is 0: want "v": 1`,
		`{"v":1}`:                        `it has no "type": want "policy"`,
		`{"v":1,"type":"hello"}`:         `its "type" is "hello", not "policy"`,
		" ":                              `it is empty`,
		"{\"v\":1,\n\"type\":\"policy\"": `the JSON ends in the middle, at line 2, column 16`,
	} {
		if err := verify.Decode(strings.NewReader(text), new(verify.Policy)); err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("%s:\n%v, want\n%s", text, err, want)
		}
	}
}
