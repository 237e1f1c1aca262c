package wcce

import (
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// A Challenge is the content of a SCEP reply with pkiStatus 11.
type Challenge struct {
	TACH    []byte // see [TACH]
	Context []byte // one element in DER that the client sends back unchanged
}

// Marshal returns a SET of the attribute OIDChallenge and the context, in this
// order. The error is that of the encoding.
func (c *Challenge) Marshal() ([]byte, error) {
	return pair("challenge", OctetAttribute(OIDChallenge, c.TACH), c.Context)
}

// ParseChallenge reads a challenge. The TACH is the member with OIDChallenge; if
// there is none, it is the first member. (The type that the real service writes is
// not published, and the one public client that talks to it does not check it.) The
// error wraps [ErrFormat].
func ParseChallenge(in []byte) (*Challenge, error) {
	const op = "challenge"
	members, err := unpair(op, in)
	if err != nil {
		return nil, err
	}
	first := 0
	if id, _, _ := member(members[1]); id.Equal(OIDChallenge) {
		first = 1
	}
	_, value, ok := member(members[first])
	var tach cryptobyte.String
	if !ok || !value.ReadASN1(&tach, der.OCTET_STRING) || !value.Empty() {
		return nil, malformed(op, "no TACH")
	}
	return &Challenge{TACH: tach, Context: members[1-first]}, nil
}

// An Answer is the content of a SCEP message with messageType 41.
type Answer struct {
	Secret  []byte // a ContentInfo in DER with the EnvelopedData of the decrypted secret
	Context []byte // the context of the challenge
}

// Marshal returns a SET of the attribute OIDChallengeAnswer and the context, in this
// order. The error is that of the encoding.
func (a *Answer) Marshal() ([]byte, error) {
	return pair("answer", Attribute{Type: OIDChallengeAnswer, Values: [][]byte{a.Secret}}, a.Context)
}

// ParseAnswer reads an answer. Its members may be in either order. The error wraps
// [ErrFormat].
func ParseAnswer(in []byte) (*Answer, error) {
	const op = "answer"
	members, err := unpair(op, in)
	if err != nil {
		return nil, err
	}
	for i, m := range members {
		id, value, ok := member(m)
		var info cryptobyte.String
		if ok && id.Equal(OIDChallengeAnswer) && value.ReadASN1Element(&info, der.SEQUENCE) && value.Empty() {
			return &Answer{Secret: info, Context: members[1-i]}, nil
		}
	}
	return nil, malformed(op, "no secret")
}

// MarshalContext returns a context as the test servers make it: the attribute
// OIDServerState with the OCTET STRING state. The error is that of the encoding.
func MarshalContext(state []byte) ([]byte, error) {
	var b cryptobyte.Builder
	addAttribute(&b, OctetAttribute(OIDServerState, state))
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("wcce: context: %w", err)
	}
	return out, nil
}

// ParseContext returns the state in a context that MarshalContext made. The error
// wraps [ErrFormat].
func ParseContext(in []byte) ([]byte, error) {
	id, value, ok := member(in)
	var state cryptobyte.String
	if len(in) > maxSize || !ok || !id.Equal(OIDServerState) ||
		!value.ReadASN1(&state, der.OCTET_STRING) || !value.Empty() {
		return nil, malformed("context", "no server state")
	}
	return state, nil
}

// pair returns the SET of an attribute and a context.
func pair(op string, a Attribute, context []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(der.SET, func(b *cryptobyte.Builder) {
		addAttribute(b, a)
		b.AddBytes(context)
	})
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("wcce: %s: %w", op, err)
	}
	return out, nil
}

// unpair returns the two members of a SET as whole elements.
func unpair(op string, in []byte) (members [2][]byte, err error) {
	var set cryptobyte.String
	s := cryptobyte.String(in)
	if len(in) > maxSize || !s.ReadASN1(&set, der.SET) || !s.Empty() {
		return members, malformed(op, "not a set")
	}
	for i := range members {
		var m cryptobyte.String
		var tag der.Tag
		if !set.ReadAnyASN1Element(&m, &tag) {
			return members, malformed(op, "not two members")
		}
		members[i] = m
	}
	if !set.Empty() {
		return members, malformed(op, "more than two members")
	}
	return members, nil
}

// member reads an attribute with one value. ok reports whether it could.
func member(in []byte) (id asn1.ObjectIdentifier, value cryptobyte.String, ok bool) {
	s := cryptobyte.String(in)
	a, ok := readAttribute(&s)
	if !ok || !s.Empty() || len(a.Values) != 1 {
		return nil, nil, false
	}
	return a.Type, a.Values[0], true
}
