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

// Info is the information in the signed attributes of a message (RFC 8894,
// section 3.2.1).
type Info struct {
	Type           Type
	TransactionID  string          // a PrintableString of 1 to 256 characters
	SenderNonce    []byte          // nil if absent
	RecipientNonce []byte          // nil if absent
	Status         int             // pkiStatus; None if absent
	FailInfo       int             // None if absent
	FailText       string          // failInfoText; empty if absent
	Code           uint32          // HRESULT in the error attribute of Windows; 0 if absent
	Other          []cms.Attribute // all other attributes except those of CMS
}

// A Message is a pkiMessage that was parsed. Its signature is not checked; see
// [cms.SignedData.Verify].
type Message struct {
	Info
	Signed *cms.SignedData
}

// Envelope returns the EnvelopedData in the message, or nil if it has none. A
// message without one may have no content or empty content.
func (m *Message) Envelope() []byte {
	if len(m.Signed.Content) == 0 {
		return nil
	}
	return m.Signed.Content
}

// Parse reads a pkiMessage in BER or DER. It demands messageType and
// transactionID; in a CertRep also pkiStatus and recipientNonce, in other messages
// senderNonce. The values of messageType, pkiStatus and failInfo may be undefined
// ones.
//
// The error wraps [cms.ErrMalformed], or [cms.ErrAlgorithm] if the digest of the
// signature is not supported.
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

// malformed returns an error that wraps cms.ErrMalformed.
func malformed(what string) error { return fmt.Errorf("pkimsg: %w: %s", cms.ErrMalformed, what) }

// read reads one attribute into m. Package cms has checked that no type occurs
// twice.
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
		// Its form is not published. An INTEGER is read as an HRESULT; any form
		// is kept in Other.
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

// Printable reports whether s may be a transactionID: a PrintableString of 1 to
// 256 characters.
func Printable(s string) bool {
	return s != "" && len(s) <= maxID && printable(s)
}

// printable reports whether s has only characters of a PrintableString.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
			!strings.ContainsRune(" '()+,-./:=?", r)
	})
}

// readPrintable reads a PrintableString of 1 to 256 characters.
func readPrintable(in cryptobyte.String) (string, error) {
	var s cryptobyte.String
	if !in.ReadASN1(&s, cbasn1.PrintableString) || !in.Empty() || !Printable(string(s)) {
		return "", fmt.Errorf("%w: not a PrintableString", cms.ErrMalformed)
	}
	return string(s), nil
}

// readNumber reads a PrintableString with a decimal number below 32768. It refuses
// signs and leading zeros.
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

// readNonce reads a nonce. Callers may demand NonceSize; some peers send others.
func readNonce(in cryptobyte.String) ([]byte, error) {
	var nonce cryptobyte.String
	if !in.ReadASN1(&nonce, cbasn1.OCTET_STRING) || !in.Empty() || len(nonce) == 0 || len(nonce) > maxNonce {
		return nil, fmt.Errorf("%w: not 1 to %d octets", cms.ErrMalformed, maxNonce)
	}
	return nonce, nil
}

// readText reads a UTF8String. Some peers send a PrintableString instead.
func readText(in cryptobyte.String) (string, error) {
	var s cryptobyte.String
	var tag cbasn1.Tag
	if !in.ReadAnyASN1(&s, &tag) || !in.Empty() || (tag != cbasn1.UTF8String && tag != cbasn1.PrintableString) ||
		len(s) > maxText || !utf8.Valid(s) {
		return "", fmt.Errorf("%w: not a UTF8String", cms.ErrMalformed)
	}
	return string(s), nil
}

// readCode reads an INTEGER with an HRESULT, which may be written as a negative
// number.
func readCode(in cryptobyte.String) (uint32, bool) {
	var n int64
	if !in.ReadASN1Integer(&n) || !in.Empty() || n < -1<<31 || n >= 1<<32 {
		return 0, false
	}
	return uint32(n), true
}

// Attributes returns the attributes of a message with this information. It does
// not write Code. The error wraps [cms.ErrMalformed] if TransactionID is not a
// PrintableString, or Other has an attribute that occurs twice.
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
			return nil, malformed(fmt.Sprintf("attribute %v occurs twice", a.Type))
		}
		out = append(out, a)
	}
	return out, failed
}

// Sign returns a pkiMessage in DER with the information i and the EnvelopedData
// envelope, signed with key, whose certificate is cert. If envelope is nil, the
// message has no content. The certificates in extra follow cert in the message.
// The errors are those of [Info.Attributes] and [cms.Sign].
func Sign(i *Info, envelope []byte, hash crypto.Hash, key crypto.Signer, cert *x509.Certificate, extra []*x509.Certificate) ([]byte, error) {
	attributes, err := i.Attributes()
	if err != nil {
		return nil, err
	}
	m := &cms.Message{Content: envelope, Attributes: attributes, Certificate: cert, Extra: extra, Hash: hash}
	return cms.Sign(m, key)
}
