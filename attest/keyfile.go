package attest

import (
	"bytes"
	"context"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

const (
	pemKey      = "TSS2 PRIVATE KEY"
	pemCreation = "TPM CREATION STATEMENT" // of this package
	pemParent   = "TPM PARENT NAME"        // of this package
)

// maxKeyText is above what the largest keys give.
const maxKeyText = 16 << 10

var oidLoadableKey = asn1.ObjectIdentifier{2, 23, 133, 10, 1, 3}

// A tssKey is the structure TPMKey of "ASN.1 Specification for TPM 2.0 Key Files".
type tssKey struct {
	Type        asn1.ObjectIdentifier
	EmptyAuth   asn1.RawValue `asn1:"optional,explicit,tag:0"` // holds a BOOLEAN
	Policy      asn1.RawValue `asn1:"optional,explicit,tag:1"`
	Secret      asn1.RawValue `asn1:"optional,explicit,tag:2"`
	AuthPolicy  asn1.RawValue `asn1:"optional,explicit,tag:3"`
	Description string        `asn1:"optional,explicit,tag:4,utf8"`
	RSAParent   bool          `asn1:"optional,explicit,tag:5"`
	Parent      int64
	PublicKey   []byte // TPM2B_PUBLIC
	PrivateKey  []byte // TPM2B_PRIVATE
}

// emptyAuth is [0] EXPLICIT TRUE, otherAuth the same with FALSE. That is the default,
// but openssl's provider asks for a password only if it is written.
var (
	emptyAuth = asn1.RawValue{FullBytes: []byte{0xA0, 3, 1, 1, 0xFF}}
	otherAuth = asn1.RawValue{FullBytes: []byte{0xA0, 3, 1, 1, 0}}
)

// hasEmptyAuth reports whether the key has no authorization value. openssl's
// provider writes TRUE as BER, not DER, with any value but zero.
func (f *tssKey) hasEmptyAuth() bool {
	b := f.EmptyAuth.Bytes
	return len(b) == 3 && b[0] == 1 && b[1] == 1 && b[2] != 0
}

// A creationBlock has the fields of a Statement except for the public area.
type creationBlock struct {
	Creation  []byte // TPMS_CREATION_DATA
	Attest    []byte // TPMS_ATTEST
	Signature []byte // TPMT_SIGNATURE
}

// MarshalText encodes the key, wrapped by its parent in the TPM, as the PEM block
// "TSS2 PRIVATE KEY" (ASN.1 Specification for TPM 2.0 Key Files), which openssl's
// TPM provider and other tools read. Two blocks that only this package knows may
// follow; other tools skip them. "TPM CREATION STATEMENT" has the creation
// statement of an [Attest] key, because the TPM cannot repeat it. "TPM PARENT
// NAME" has the TPM name of the parent, if that is known.
//
// The text is of use only with the TPM that made the key, but there to anyone who
// may use that TPM, unless the key has an authorization value. The text does not
// contain that value; see [Key.WithAuth]. The error is an [*Error].
func (k *Key) MarshalText() ([]byte, error) {
	if k == nil || k.tpm == nil {
		return nil, &Error{Op: "MarshalText", Err: errNoKey}
	}
	f := tssKey{
		Type:       oidLoadableKey,
		EmptyAuth:  otherAuth,
		Parent:     int64(k.parent),
		PublicKey:  appendSized(nil, k.area),
		PrivateKey: appendSized(nil, k.private),
	}
	if !k.locked && len(k.auth) == 0 {
		f.EmptyAuth = emptyAuth
	}
	der, err := asn1.Marshal(f)
	if err != nil {
		return nil, &Error{Op: "MarshalText", Err: err}
	}
	text := pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der})
	if c := k.creation; c != nil {
		der, err := asn1.Marshal(creationBlock{c.CreationData, c.Attest, c.Signature})
		if err != nil {
			return nil, &Error{Op: "MarshalText", Err: err}
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: pemCreation, Bytes: der})...)
	}
	if k.under != nil {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: pemParent, Bytes: k.under})...)
	}
	return text, nil
}

// LoadKey returns the key in a text of [Key.MarshalText] or of another tool that
// writes the PEM block "TSS2 PRIVATE KEY". The text must begin with that block and
// have at most 16 KiB. Keys with a policy are refused, and so are keys that may be used
// by their policy only (without the attribute userWithAuth), and keys whose parent is
// neither a persistent key nor the P-256 storage key of the owner hierarchy.
//
// The TPM loads the key once, to find out whether it can: it refuses a key of
// another TPM with TPM_RC_INTEGRITY. If the text has the name of the parent, the
// TPM's storage key must have that name, or the error is TPM_RC_INTEGRITY as well.
// So a storage key that somebody else put into the TPM later does not get to
// protect the sessions. To use a key that has an authorization value, see
// [Key.WithAuth].
//
// The error wraps an [*Error], and the error of ctx if that ended first. It wraps
// [ErrProof] if the text has a creation statement that does not hold.
func (t *TPM) LoadKey(ctx context.Context, text []byte) (*Key, error) {
	k, err := t.parseKey(text)
	switch {
	case errors.Is(err, ErrProof):
		return nil, &Error{Op: "LoadKey", Err: err}
	case err != nil:
		return nil, &Error{Op: "LoadKey", Err: fmt.Errorf("%w: %w", errKeyFile, err)}
	}
	err = t.do(ctx, func() error {
		_, err := t.load(ctx, k)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// parseKey reads a key file.
func (t *TPM) parseKey(text []byte) (*Key, error) {
	if len(text) > maxKeyText {
		return nil, fmt.Errorf("text has %d bytes, more than %d", len(text), maxKeyText)
	}
	block, rest := pem.Decode(text)
	if block == nil && bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN "+pemKey+"-----")) {
		return nil, fmt.Errorf("the PEM block %q is damaged or ends in the middle: take the whole file", pemKey)
	}
	if block == nil || block.Type != pemKey {
		return nil, fmt.Errorf("text does not begin with a PEM block %q", pemKey)
	}
	var f tssKey
	if left, err := asn1.Unmarshal(block.Bytes, &f); err != nil || len(left) != 0 {
		return nil, errors.New("malformed TPMKey")
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	area, ok := unsized(f.PublicKey)
	private, ok2 := unsized(f.PrivateKey)
	if !ok || !ok2 || len(private) == 0 {
		return nil, errors.New("malformed TPM2B in TPMKey")
	}
	k, err := t.newKey(bytes.Clone(area), bytes.Clone(private), uint32(f.Parent))
	if err != nil {
		return nil, err
	}
	if k.attrs&attrUserWithAuth == 0 {
		return nil, errors.New("the key may be used only by satisfying its policy (it lacks the attribute userWithAuth), which this package cannot do")
	}
	k.locked = !f.hasEmptyAuth()
	return k, k.readOurs(rest)
}

// check returns an error for a key that this package cannot use.
func (f *tssKey) check() error {
	switch {
	case !f.Type.Equal(oidLoadableKey):
		return fmt.Errorf("key is of type %v, not a loadable key", f.Type)
	case f.Policy.FullBytes != nil || f.AuthPolicy.FullBytes != nil || f.Secret.FullBytes != nil:
		return errors.New("the file asks for a policy to be satisfied for the key, which this package cannot do")
	case f.RSAParent:
		return errors.New("parent of the key is an RSA primary key")
	case f.Parent != int64(tpm2.TPMRHOwner) && (f.Parent < 0x81000000 || f.Parent > 0x81FFFFFF):
		return fmt.Errorf("parent 0x%08X is neither the owner hierarchy nor a persistent handle", f.Parent)
	}
	return nil
}

// readOurs reads the blocks of this package among those that follow the key.
func (k *Key) readOurs(rest []byte) error {
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return nil
		}
		switch block.Type {
		case pemCreation:
			if err := k.readCreation(block.Bytes); err != nil {
				return err
			}
		case pemParent:
			r := newReader(block.Bytes)
			if h := hashOf(r.u16()); h == 0 || len(r.b) != h.Size() {
				return errors.New("malformed name of the parent")
			}
			k.under = block.Bytes
		}
	}
}

// readCreation reads the creation statement and checks it.
func (k *Key) readCreation(der []byte) error {
	var c creationBlock
	if left, err := asn1.Unmarshal(der, &c); err != nil || len(left) != 0 {
		return errors.New("malformed creation statement")
	}
	s := &Statement{PublicArea: k.area, Attest: c.Attest, Signature: c.Signature, CreationData: c.Creation}
	if err := s.Verify(k.pub, nil); err != nil {
		return err
	}
	k.creation = s
	return nil
}
