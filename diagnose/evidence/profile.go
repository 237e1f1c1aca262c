package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/internal/wide"
)

const (
	maxJSON    = 1 << 20
	maxDevices = 64 << 20 // bytes of a device list
)

// readProfile reads a downloaded profile, or the error that came in its place, as
// values with the names of the JSON.
func (c *Case) readProfile(s *Source, r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(wide.UTF8(r), maxJSON+1))
	switch {
	case err != nil && err != io.ErrUnexpectedEOF:
		return err
	case len(b) > maxJSON:
		return errors.New("the JSON is too large")
	}
	n := c.jsonValues(fact{ref: Ref{File: s.Name}}, b)
	s.Records = n
	if n == 0 {
		return errors.New("not a JSON object")
	}
	return nil
}

// jsonValues adds the members of a JSON object as values like f, those of objects and
// texts within it, too. It returns how many there are.
func (c *Case) jsonValues(f fact, b []byte) (n int) {
	return c.jsonObject(f, b, 0)
}

func (c *Case) jsonObject(f fact, b []byte, depth int) (n int) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var object map[string]any
	if d.Decode(&object) != nil || depth > 4 {
		return 0
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		v, value := object[name], ""
		switch v := v.(type) {
		case string:
			value = v
			if len(v) > 1 && v[0] == '{' {
				n += c.jsonObject(f, []byte(v), depth+1)
			}
		case json.Number:
			value = v.String()
		case bool:
			value = strconv.FormatBool(v)
		case map[string]any:
			inner, _ := json.Marshal(v)
			n += c.jsonObject(f, inner, depth+1)
			continue
		default:
			continue
		}
		n++
		c.private.value(name, value)
		f.name, f.value = name, value
		f.text = name + ": " + value
		f.codes = valueCodes(nil, value)
		f.lower = strings.ToLower(clip(value, maxSearch))
		c.add(f)
	}
	return n
}

// readDevices reads a list of devices with their hardware hashes.
func (c *Case) readDevices(s *Source, r io.Reader) error {
	sheet, err := autopilot.ReadCSV(io.LimitReader(r, maxDevices))
	if err != nil {
		return err
	}
	s.Records = len(sheet.Rows)
	for _, row := range sheet.Rows {
		c.private.value("serial", row.Serial)
		c.private.value("user", row.User)
		c.hash(Ref{File: s.Name, Line: row.Line}, row.Hash)
	}
	return nil
}

// A hashFact is a hardware hash, to be compared with others.
type hashFact struct {
	ref  Ref
	hash *autopilot.Hash
}

// maxHashes is how many hashes of a case are compared.
const maxHashes = 20

// hash keeps a hash and what its own contents say.
func (c *Case) hash(ref Ref, text string) {
	h, err := autopilot.ParseHash(text)
	if err != nil {
		c.add(fact{ref: ref, name: "hardware hash", value: "damaged", text: "the hardware hash cannot be read"})
		return
	}
	w := h.Hardware()
	c.private.value("serial", w.Serial)
	c.private.value("serial", w.UUID)
	if h.EK() == nil {
		c.add(fact{ref: ref, name: "hash endorsement key", value: "none", text: "the hardware hash has no endorsement key: the TPM was off or not ready when it was taken"})
	}
	if len(c.hashes) < maxHashes {
		c.hashes = append(c.hashes, hashFact{ref, h})
	}
}

// compareHashes returns a fact for each pair of hashes of one computer that has
// another TPM in each. Hashes of different computers may stand in one list.
func (c *Case) compareHashes() (facts []fact) {
	for i, a := range c.hashes {
		for _, b := range c.hashes[:i] {
			one, other := a.hash.Hardware(), b.hash.Hardware()
			if one.Serial != other.Serial || one.Serial == "" || a.hash.EK() == nil || b.hash.EK() == nil || a.hash.EK().Equal(b.hash.EK()) {
				continue
			}
			facts = append(facts, fact{
				ref: a.ref, name: "hashes", value: "other TPM",
				text: fmt.Sprintf("two hardware hashes with one serial number have different endorsement keys; the other is in %s", b.ref),
			})
		}
	}
	return facts
}
