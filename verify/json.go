package verify

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/attest"
)

// version is that of the JSON form.
const version = 1

// Encode writes m as one line of JSON. The error is an [*Error]: that m is nil or
// has a bank without a name, or that of w.
func Encode(w io.Writer, m Message) error {
	if m == nil {
		return failed("encode", errors.New("no message"))
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(m.frame(head{version, m.name()})); err != nil {
		return failed("encode", err)
	}
	return nil
}

// Decode reads a message from r, up to its end, into m, which the caller has made, as
// in Decode(r, &hello). It is strict: r has one JSON object of at most 2 MiB, with the
// version and the name of the message, no unknown or repeated member, and no part over
// its limit. m is not changed if Decode fails.
//
// The error is an [*Error]. It wraps [ErrMalformed], or is that of r.
func Decode(r io.Reader, m Message) error {
	text, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
	switch {
	case err != nil:
	case m == nil:
		err = errors.New("no message")
	case len(text) > maxMessage:
		err = malformed("over %d bytes", maxMessage)
	default:
		err = m.read(form{text, m.name()})
	}
	if err != nil {
		return failed("decode", err)
	}
	return nil
}

// A head is the beginning of each message.
type head struct {
	V    int    `json:"v"`
	Type string `json:"type"`
}

// A form is the text of a message.
type form struct {
	text []byte
	name string
}

// into decodes the text into a pointer to a struct with a head.
func (f form) into(to any) error {
	var h head
	if err := json.Unmarshal(f.text, &h); err != nil {
		return malformed("%w", worded(f.text, err))
	}
	if h.Type == "" {
		return malformed("it has no \"type\": want %q", f.name)
	}
	if h.Type != f.name {
		return malformed("its \"type\" is %.20q, not %q", h.Type, f.name)
	}
	if h.V != version {
		return malformed("its version is %d: want \"v\": %d", h.V, version)
	}
	d := json.NewDecoder(bytes.NewReader(f.text))
	if err := members(d, nil, digits); err != nil {
		return malformed("%w", worded(f.text, err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed("something follows")
	}
	d = json.NewDecoder(bytes.NewReader(f.text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return malformed("%w", worded(f.text, err))
	}
	return nil
}

// members reads one JSON value, which is at path, and returns an error if it is nested
// too deeply, or if the name of a member is repeated or in another case, or is a number
// with a sign or zeros before it. It calls see with each token except ends; name tells
// whether it is the name of a member. An error of see ends it.
func members(d *json.Decoder, path []string, see func(path []string, t json.Token, name bool) error) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if err := see(path, t, false); err != nil {
		return err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if len(path) > 3 { // a policy has a member with a list of objects with an object
		return errors.New("nested too deeply")
	}
	seen := make(map[string]bool)
	for d.More() {
		name := ""
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			name, _ = t.(string)
			if err := named(name, seen); err != nil {
				return err
			}
			if err := see(append(path, name), t, true); err != nil {
				return err
			}
		}
		if err := members(d, append(path, name), see); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// named returns an error unless an object that has some names may have another.
func named(name string, seen map[string]bool) error {
	folded := strings.ToLower(name)
	n, err := strconv.Atoi(name)
	switch {
	case seen[folded]:
		return fmt.Errorf("the field %.20q is there twice", name)
	case name != folded && !camel[name]:
		return fmt.Errorf("there is no field %.20q", name)
	case err == nil && name != strconv.Itoa(n):
		return fmt.Errorf("the number %.20q has a sign or zeros before it", name)
	}
	seen[folded] = true
	return nil
}

// camel are the names of members that have letters in upper case. encoding/json would
// accept them in any case.
var camel = map[string]bool{
	"ekCertificate": true, "ekPublicArea": true, "aikCreation": true, "publicArea": true, "creationData": true,
	"encryptedSecret": true, "eventLog": true, "secureBoot": true, "sameBoot": true,
}

// banks are the names of banks.
var banks = map[crypto.Hash]string{crypto.SHA1: "sha1", crypto.SHA256: "sha256", crypto.SHA384: "sha384", crypto.SHA512: "sha512"}

func bankName(h crypto.Hash) string { return banks[h] }

// A bank is a bank by its name.
type bank crypto.Hash

func (b bank) MarshalText() ([]byte, error) {
	if name := bankName(crypto.Hash(b)); name != "" {
		return []byte(name), nil
	}
	return nil, fmt.Errorf("bank %v has no name", crypto.Hash(b))
}

func (b *bank) UnmarshalText(text []byte) error {
	for h, name := range banks {
		if name == string(text) {
			*b = bank(h)
			return nil
		}
	}
	return fmt.Errorf("bank %.20q: want sha1, sha256, sha384 or sha512", text)
}

// A statement is an attest.Statement in JSON.
type statement struct {
	PublicArea   []byte `json:"publicArea"`
	Attest       []byte `json:"attest"`
	Signature    []byte `json:"signature"`
	CreationData []byte `json:"creationData,omitempty"`
}

// A quote is an attest.Quote in JSON.
type quote struct {
	Attest    []byte         `json:"attest"`
	Signature []byte         `json:"signature"`
	Bank      bank           `json:"bank"`
	PCRs      map[int]Digest `json:"pcrs"`
}

func newQuote(q *attest.Quote) *quote {
	if q == nil {
		return nil
	}
	out := &quote{q.Attest, q.Signature, bank(q.Bank), make(map[int]Digest)}
	for i, value := range q.PCRs {
		if len(value) > 0 {
			out.PCRs[i] = value
		}
	}
	return out
}

func (q *quote) quote() (*attest.Quote, error) {
	if q == nil {
		return nil, malformed("no quote")
	}
	if bankName(crypto.Hash(q.Bank)) == "" {
		return nil, malformed("the quote has no bank")
	}
	out := &attest.Quote{Attest: q.Attest, Signature: q.Signature, Bank: crypto.Hash(q.Bank), PCRs: make([][]byte, 24)}
	for i, value := range q.PCRs {
		if i < 0 || i > 23 || len(value) == 0 || len(value) > 64 {
			return nil, malformed("PCR %d of %d bytes", i, len(value))
		}
		out.PCRs[i] = value
	}
	return out, nil
}
