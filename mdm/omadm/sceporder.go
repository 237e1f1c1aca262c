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

// ErrPending is what a function given to [Tree.HandleSCEP] wraps if the CA
// has not decided yet. The order then stays pending for the server, until it
// has it carried out again.
var ErrPending = errors.New("omadm: the CA has not decided yet")

// Key protections of a [SCEPOrder].
const (
	KeyInTPM      = 1
	KeyTPMIfThere = 2
	KeyInSoftware = 3
	KeyInPassport = 4
)

// Status of an order, in its node Status.
const (
	orderDone    = 1
	orderPending = 2
	orderFailed  = 16
)

// A SCEPOrder is a server's order to have a certificate enrolled over SCEP
// ([MS-MDE2] section 2.2.9.2), as its nodes are when the server executes it.
type SCEPOrder struct {
	ID   string // name of its node
	URI  string // of its node: "./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/" and the ID
	User bool   // for the user, not the device

	URLs             []string      // of the SCEP server, in order of preference
	Challenge        mdm.Token     // challenge password of the certificate request
	Subject          string        // X.500 name as text
	AlternativeNames string        // "type+name;type+name", as sent; may be empty
	EKUs             []string      // object identifiers
	KeyUsage         int           // bits: 0x80 digital signature, 0x20 key encipherment
	KeyProtection    int           // KeyInTPM to KeyInPassport; KeyInSoftware if not said
	KeyLength        int           // bits: 1024, 2048 or 4096
	Hashes           []string      // families that may be used, such as "SHA-2"; may be empty
	CAThumbprint     string        // of the CA's root, see IsRoot; may be empty
	RetryDelay       time.Duration // between polls while it is pending; 5 minutes if not said
	RetryCount       int           // polls; 3 if not said, 30 at most
	Template         string        // a hint; may be empty
	ValidPeriod      string        // a hint: "Days", "Months" or "Years"; may be empty
	ValidUnits       int           // a hint: how many of ValidPeriod
}

// IsRoot reports whether a root is the one the order names by its SHA-1, or
// whether the order names none. A client must not enroll with another.
func (o *SCEPOrder) IsRoot(root *x509.Certificate) bool {
	sum := sha1.Sum(root.Raw)
	return o.CAThumbprint == "" || strings.EqualFold(strings.ReplaceAll(o.CAThumbprint, " ", ""), hex.EncodeToString(sum[:]))
}

// scepRoots are where orders are written, in both scopes.
var scepRoots = []string{
	"./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/*",
	"./Device/Vendor/MSFT/CertificateStore/My/SCEP/*",
	"./User/Vendor/MSFT/ClientCertificateInstall/SCEP/*",
	"./User/Vendor/MSFT/CertificateStore/My/SCEP/*",
}

// HandleSCEP has enroll carry out the server's SCEP orders, within the session
// that executes them. The certificate it returns is reported to the server by
// its thumbprint; keeping it and its key is for enroll. An error that has a
// method HRESULT() uint32 is reported by that code. The challenge is deleted
// from the tree before enroll is called, as Windows does. If enroll is nil,
// orders are not carried out.
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

// order carries out the order at uri and returns the status for the server.
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
		t.Set(uri+"/Install/Challenge", Value{Data: string(o.Challenge)}) // for the next time
		return syncml.StatusAccepted
	case err != nil || cert == nil:
		t.setOrder(uri, orderFailed, hresult.Of(err), "")
		return syncml.StatusFailed
	}
	t.setOrder(uri, orderDone, 0, fmt.Sprintf("%X", sha1.Sum(cert.Raw)))
	return syncml.StatusOK
}

// codeOrder is E_INVALIDARG: an order that makes no sense.
const codeOrder uint32 = 0x80070057

func (t *Tree) setOrder(uri string, status int, code uint32, thumbprint string) {
	t.Set(uri+"/Status", Value{Format: "int", Data: strconv.Itoa(status)})
	t.Set(uri+"/ErrorCode", Value{Format: "int", Data: strconv.Itoa(int(int32(code)))})
	t.Set(uri+"/CertThumbprint", Value{Data: thumbprint})
}

// readOrder reads the nodes of an order.
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
	case o.Subject == "":
		return nil, errors.New("the order names no subject")
	case o.KeyUsage&0xA0 == 0:
		return nil, fmt.Errorf("the order's key usage %#x has neither signature nor encipherment", o.KeyUsage)
	}
	for _, u := range o.URLs {
		if parsed, err := url.Parse(u); err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
			return nil, fmt.Errorf("the order's server %.100q is no URL", wire.Redact(u))
		}
	}
	return o, nil
}

// An orderReader reads the leaves of an order and keeps the first error.
type orderReader struct {
	t   *Tree
	uri string
	err error
}

func (r *orderReader) text(leaf string) string {
	v, _ := r.t.Get(r.uri + "/Install/" + leaf)
	return strings.TrimSpace(v.Data)
}

// number returns a number from least to most, or other if the leaf is empty.
func (r *orderReader) number(leaf string, least, most, other int) int {
	text := r.text(leaf)
	if text == "" {
		return other
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		r.err = fmt.Errorf("the order's %s is %.40q", leaf, text)
	}
	return n
}

// split returns the parts of a list that are not empty.
func split(list, by string) []string {
	var parts []string
	for p := range strings.SplitSeq(list, by) {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}
