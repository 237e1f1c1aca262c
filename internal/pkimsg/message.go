package pkimsg

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// Limits on attributes, in bytes.
const (
	maxID    = 256
	maxText  = 4096
	maxNonce = 64
)

// Info is what the signed attributes of a message say.
type Info struct {
	Type           Type
	TransactionID  string
	SenderNonce    []byte // nil if absent
	RecipientNonce []byte // nil if absent
	Status         int    // pkiStatus; None if absent
	FailInfo       int    // None if absent
	FailText       string // failInfoText
	Code           uint32 // Windows's error attribute; 0 if absent
	Other          []cms.Attribute
}

// A Message is a pkiMessage that was read. It is not proven: see
// [cms.SignedData.Verify].
type Message struct {
	Info
	Signed *cms.SignedData
}

// Envelope returns the EnvelopedData, or nil if there is none. Senders leave
// it out in two ways: no content, and empty content.
func (m *Message) Envelope() []byte {
	if len(m.Signed.Content) == 0 {
		return nil
	}
	return m.Signed.Content
}

// Parse reads a pkiMessage, in BER or DER.
func Parse(ber []byte) (*Message, error) {
	s, err := cms.ParseSigned(ber)
	if err != nil {
		return nil, err
	}
	m := &Message{Signed: s, Info: Info{Status: None, FailInfo: None}}
	for _, a := range s.Attributes {
		if err := m.read(a); err != nil {
			return nil, fmt.Errorf("pkimsg: attribute %v: %w", a.Type, err)
		}
	}
	switch {
	case m.Type == 0:
		return nil, malformed("no messageType")
	case m.TransactionID == "":
		return nil, malformed("no transactionID")
	case m.Type == CertRep && m.Status == None:
		return nil, malformed("a CertRep without pkiStatus")
	case m.Type == CertRep && m.RecipientNonce == nil:
		return nil, malformed("a CertRep without recipientNonce")
	case m.Type != CertRep && m.SenderNonce == nil:
		return nil, malformed("a request without senderNonce")
	}
	return m, nil
}

func malformed(what string) error { return fmt.Errorf("pkimsg: %w: %s", cms.ErrMalformed, what) }

// read takes one attribute. That each comes once is known.
func (m *Message) read(a cms.Attribute) error {
	in := cryptobyte.String(a.Value)
	var err error
	switch {
	case a.Type.Equal(oidMessageType):
		var n int
		n, err = readNumber(in)
		m.Type = Type(n)
	case a.Type.Equal(oidStatus):
		m.Status, err = readNumber(in)
	case a.Type.Equal(oidFailInfo):
		m.FailInfo, err = readNumber(in)
	case a.Type.Equal(oidSenderNonce):
		m.SenderNonce, err = readNonce(in)
	case a.Type.Equal(oidRecipientNonce):
		m.RecipientNonce, err = readNonce(in)
	case a.Type.Equal(oidTransactionID):
		m.TransactionID, err = readPrintable(in)
	case a.Type.Equal(oidFailInfoText):
		m.FailText, err = readText(in)
	case a.Type.Equal(oidError):
		// Its form is not published; an INTEGER is taken, others are passed on.
		if code, ok := readCode(in); ok {
			m.Code = code
		}
		m.Other = append(m.Other, a)
	case a.Type.Equal(oidContentType), a.Type.Equal(oidMessageDigest), a.Type.Equal(oidSigningTime):
	default:
		m.Other = append(m.Other, a)
	}
	return err
}

// Printable reports whether s may be a transactionID: a PrintableString that
// is not empty.
func Printable(s string) bool {
	return s != "" && len(s) <= maxID && printable(s)
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
			!strings.ContainsRune(" '()+,-./:=?", r)
	})
}

func readPrintable(in cryptobyte.String) (string, error) {
	var s cryptobyte.String
	if !in.ReadASN1(&s, cbasn1.PrintableString) || !in.Empty() || !Printable(string(s)) {
		return "", fmt.Errorf("%w: not a PrintableString", cms.ErrMalformed)
	}
	return string(s), nil
}

// readNumber reads a number in decimal. Signs and leading zeros are refused.
func readNumber(in cryptobyte.String) (int, error) {
	s, err := readPrintable(in)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 10, 15)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%w: %q is not a number", cms.ErrMalformed, s)
	}
	return int(n), nil
}

// readNonce leaves it to the caller to insist on NonceSize.
func readNonce(in cryptobyte.String) ([]byte, error) {
	var nonce cryptobyte.String
	if !in.ReadASN1(&nonce, cbasn1.OCTET_STRING) || !in.Empty() || len(nonce) == 0 || len(nonce) > maxNonce {
		return nil, fmt.Errorf("%w: not 1 to %d octets", cms.ErrMalformed, maxNonce)
	}
	return nonce, nil
}

// readText reads what should be a UTF8String and from some peers is a
// PrintableString.
func readText(in cryptobyte.String) (string, error) {
	var s cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&s, &tag) || !in.Empty() || (tag != cbasn1.UTF8String && tag != cbasn1.PrintableString) ||
		len(s) > maxText || !utf8.Valid(s) {
		return "", fmt.Errorf("%w: not a UTF8String", cms.ErrMalformed)
	}
	return string(s), nil
}

// readCode reads an HRESULT, which some write as a negative number.
func readCode(in cryptobyte.String) (uint32, bool) {
	var n int64
	if !in.ReadASN1Integer(&n) || !in.Empty() || n < -1<<31 || n >= 1<<32 {
		return 0, false
	}
	return uint32(n), true
}

// Attributes returns what Info says as attributes, but for Code.
func (i *Info) Attributes() ([]cms.Attribute, error) {
	if !Printable(i.TransactionID) {
		return nil, malformed("transactionID is not a PrintableString")
	}
	var out []cms.Attribute
	var failed error
	add := func(id asn1.ObjectIdentifier, tag cbasn1.Tag, value []byte) {
		b := cryptobyte.NewBuilder(nil)
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(value) })
		der, err := b.Bytes()
		failed = errors.Join(failed, err)
		out = append(out, cms.Attribute{Type: id, Value: der})
	}
	add(oidMessageType, cbasn1.PrintableString, strconv.AppendInt(nil, int64(i.Type), 10))
	add(oidTransactionID, cbasn1.PrintableString, []byte(i.TransactionID))
	if i.Status != None {
		add(oidStatus, cbasn1.PrintableString, strconv.AppendInt(nil, int64(i.Status), 10))
	}
	if i.FailInfo != None {
		add(oidFailInfo, cbasn1.PrintableString, strconv.AppendInt(nil, int64(i.FailInfo), 10))
	}
	if i.SenderNonce != nil {
		add(oidSenderNonce, cbasn1.OCTET_STRING, i.SenderNonce)
	}
	if i.RecipientNonce != nil {
		add(oidRecipientNonce, cbasn1.OCTET_STRING, i.RecipientNonce)
	}
	if i.FailText != "" {
		text := i.FailText[:min(len(i.FailText), maxText)]
		add(oidFailInfoText, cbasn1.UTF8String, []byte(strings.ToValidUTF8(text, "")))
	}
	for _, a := range i.Other {
		if slices.ContainsFunc(out, func(b cms.Attribute) bool { return b.Type.Equal(a.Type) }) {
			return nil, malformed(fmt.Sprintf("attribute %v is given twice", a.Type))
		}
		out = append(out, a)
	}
	return out, failed
}

// Sign writes a pkiMessage. If envelope is nil, it has no content.
func Sign(i *Info, envelope []byte, hash crypto.Hash, key crypto.Signer, cert *x509.Certificate, extra []*x509.Certificate) ([]byte, error) {
	attributes, err := i.Attributes()
	if err != nil {
		return nil, err
	}
	m := &cms.Message{Content: envelope, Attributes: attributes, Certificate: cert, Extra: extra, Hash: hash}
	return cms.Sign(m, key)
}
