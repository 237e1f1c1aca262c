package omadm

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/syncml"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/mdm"
)

// ErrPending means that a CA has not decided yet. The function given to
// [Tree.HandleSCEP] returns it, or an error that wraps it. The order then stays
// pending, and the server may execute it again.
var ErrPending = errors.New("omadm: the CA has not decided yet")

// Key protections of a [SCEPOrder] ([MS-MDE2] section 2.2.9.2).
const (
	KeyInTPM      = 1 // the key must be in a TPM
	KeyTPMIfThere = 2 // in a TPM if the device has one, else in software
	KeyInSoftware = 3 // in software
	KeyInPassport = 4 // in a container of Windows Hello for Business
)

// Values of an order's node Status.
const (
	orderDone    = 1
	orderPending = 2
	orderFailed  = 16
)

// A SCEPOrder is a server's order to enroll a certificate over SCEP ([MS-MDE2]
// section 2.2.9.2): the values of its nodes when the server executes it. Texts
// are trimmed of white space.
type SCEPOrder struct {
	// ID is the name of the order's node, and URI its LocURI, complete and
	// escaped, such as
	// "./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/wifi".
	ID  string
	URI string

	// User reports whether the certificate is for the user and not for the
	// device.
	User bool

	// URLs are the URLs of the SCEP server, https or http, in order of
	// preference. There is at least one, and at most 16.
	URLs []string

	// Challenge is the challenge password of the certificate request. It may be
	// empty.
	Challenge mdm.Token

	// Subject is the subject's X.500 name as text, such as
	// "CN=unit-7,O=Contoso".
	Subject string

	// AlternativeNames are subject alternative names in the form
	// "type+name;type+name", as sent. It may be empty.
	AlternativeNames string

	// EKUs are the extended key usages as dotted object identifiers. It may be
	// empty.
	EKUs []string

	// KeyUsage has the bit 0x80 for digital signature, or 0x20 for key
	// encipherment, or both.
	KeyUsage int

	// KeyProtection tells where the key must be, from KeyInTPM to
	// KeyInPassport. It is KeyInSoftware if the server does not say.
	KeyProtection int

	// KeyLength is the length of the RSA key in bits, from 1024 to 4096. It is
	// 2048 if the server does not say.
	KeyLength int

	// Hashes are the families of hashes that may be used, such as "SHA-2". It
	// is empty if the server does not say.
	Hashes []string

	// CAThumbprint names the CA's root, see [SCEPOrder.IsRoot]. It may be
	// empty.
	CAThumbprint string

	// RetryDelay is the time between two polls while the CA has not decided, 5
	// minutes if the server does not say. RetryCount is how many polls there
	// are, at most 30, and 3 if the server does not say.
	RetryDelay time.Duration
	RetryCount int

	// Template names a certificate template, and ValidUnits times ValidPeriod
	// ("Days", "Months" or "Years") is a validity. They are hints to the CA,
	// and empty or 0 if the server does not say.
	Template    string
	ValidPeriod string
	ValidUnits  int
}

// IsRoot reports whether root is the CA's root that the order names by the
// SHA-1 of its DER in hexadecimal, or whether the order names none. A client
// must not enroll with a CA that has another root.
func (o *SCEPOrder) IsRoot(root *x509.Certificate) bool {
	sum := sha1.Sum(root.Raw)
	return o.CAThumbprint == "" || strings.EqualFold(strings.ReplaceAll(o.CAThumbprint, " ", ""), hex.EncodeToString(sum[:]))
}

// scepRoots are the LocURIs of orders, in both scopes.
var scepRoots = []string{
	"./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/*",
	"./Device/Vendor/MSFT/CertificateStore/My/SCEP/*",
	"./User/Vendor/MSFT/ClientCertificateInstall/SCEP/*",
	"./User/Vendor/MSFT/CertificateStore/My/SCEP/*",
}

// HandleSCEP makes enroll carry out the server's SCEP orders, during the
// session in which the server executes them. The function keeps the certificate
// and its key; the server learns the certificate's thumbprint. If it returns
// [ErrPending], the order stays pending. With any other error, or without a
// certificate, the order fails, and the server learns the code of the error if
// that has a method HRESULT() uint32.
//
// As Windows does, the tree deletes the challenge before it calls enroll. An
// order that makes no sense fails without a call. If enroll is nil, HandleSCEP
// does nothing, and orders are not carried out.
func (t *Tree) HandleSCEP(enroll func(ctx context.Context, o *SCEPOrder) (*x509.Certificate, error)) {
	if enroll == nil {
		return
	}
	for _, root := range scepRoots {
		t.Handle(root+"/Install/Enroll", func(ctx context.Context, op *Operation) int {
			if op.Command != syncml.Exec {
				return 0
			}
			return t.order(ctx, strings.TrimSuffix(op.URI, "/Install/Enroll"), enroll)
		})
		for _, leaf := range []string{"Status", "ErrorCode", "CertThumbprint", "RespondentServerUrl"} {
			t.Handle(root+"/"+leaf, ReadOnly)
		}
	}
}

// order carries out the order at uri and returns the status of its command.
func (t *Tree) order(ctx context.Context, uri string, enroll func(context.Context, *SCEPOrder) (*x509.Certificate, error)) int {
	o, err := t.readOrder(uri)
	if err != nil {
		t.setOrder(uri, orderFailed, codeOrder, "")
		return syncml.StatusBadRequest
	}
	t.Delete(uri + "/Install/Challenge")
	t.setOrder(uri, orderPending, 0, "")
	cert, err := enroll(ctx, o)
	switch {
	case errors.Is(err, ErrPending):
		t.Set(uri+"/Install/Challenge", Value{Data: string(o.Challenge)}) // for the next try
		return syncml.StatusAccepted
	case err != nil || cert == nil:
		t.setOrder(uri, orderFailed, hresult.Of(err), "")
		return syncml.StatusFailed
	}
	t.setOrder(uri, orderDone, 0, fmt.Sprintf("%X", sha1.Sum(cert.Raw)))
	return syncml.StatusOK
}

// maxServers is how many servers an order may name.
const maxServers = 16

// codeOrder is E_INVALIDARG, for an order that makes no sense.
const codeOrder uint32 = 0x80070057

// setOrder sets the nodes in which the server reads an order's outcome.
func (t *Tree) setOrder(uri string, status int, code uint32, thumbprint string) {
	t.Set(uri+"/Status", Value{Format: "int", Data: strconv.Itoa(status)})
	t.Set(uri+"/ErrorCode", Value{Format: "int", Data: strconv.Itoa(int(int32(code)))})
	t.Set(uri+"/CertThumbprint", Value{Data: thumbprint})
}

// readOrder returns the order in the nodes at uri.
func (t *Tree) readOrder(uri string) (*SCEPOrder, error) {
	r := orderReader{t: t, uri: uri}
	names, _ := splitPath(uri)
	o := &SCEPOrder{
		ID: names[len(names)-1], URI: uri, User: names[0] == rootUser,
		URLs: split(r.text("ServerURL"), ";"), Challenge: mdm.Token(r.text("Challenge")),
		Subject: r.text("SubjectName"), AlternativeNames: r.text("SubjectAlternativeNames"),
		EKUs: split(r.text("EKUMapping"), "+"), KeyUsage: r.number("KeyUsage", 0, 0xFFFF, 0),
		KeyProtection: r.number("KeyProtection", KeyInTPM, KeyInPassport, KeyInSoftware),
		KeyLength:     r.number("KeyLength", 1024, 4096, 2048),
		Hashes:        split(r.text("HashAlgorithm"), "+"), CAThumbprint: r.text("CAThumbprint"),
		RetryDelay: time.Duration(r.number("RetryDelay", 1, 1<<20, 5)) * time.Minute,
		RetryCount: min(r.number("RetryCount", 0, 1<<20, 3), 30),
		Template:   r.text("TemplateName"), ValidPeriod: r.text("ValidPeriod"),
		ValidUnits: r.number("ValidPeriodUnits", 0, 1<<20, 0),
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case len(o.URLs) == 0:
		return nil, errors.New("the order names no server")
	case len(o.URLs) > maxServers:
		return nil, fmt.Errorf("the order names more than %d servers", maxServers)
	case o.Subject == "":
		return nil, errors.New("the order names no subject")
	case o.KeyUsage&0xA0 == 0:
		return nil, fmt.Errorf("the order's key usage 0x%04X has neither signature nor encipherment", o.KeyUsage)
	}
	for _, u := range o.URLs {
		if parsed, err := url.Parse(u); err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
			return nil, fmt.Errorf("the order's server %.100q is not a URL", wire.Redact(u))
		}
	}
	return o, nil
}

// An orderReader reads the leaves of an order and keeps the last error.
type orderReader struct {
	t   *Tree
	uri string
	err error
}

// text returns the value of a leaf without white space around it, or "".
func (r *orderReader) text(leaf string) string {
	v, _ := r.t.Get(r.uri + "/Install/" + leaf)
	return strings.TrimSpace(v.Data)
}

// number returns the value of a leaf, a number from least to most, or other if
// the leaf is empty.
func (r *orderReader) number(leaf string, least, most, other int) int {
	text := r.text(leaf)
	if text == "" {
		return other
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		r.err = fmt.Errorf("the order's %s %.40q is not a number from %d to %d", leaf, text, least, most)
	}
	return n
}

// split returns the parts of a list, trimmed, without empty ones.
func split(list, by string) []string {
	var parts []string
	for p := range strings.SplitSeq(list, by) {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}
