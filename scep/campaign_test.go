package scep_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// meaning describes a reply, without the parts that the client ignores.
func meaning(reply *scep.Reply, err error) string {
	if err != nil {
		info, text := scep.Failure(err)
		if info == scep.NoFailInfo {
			return ""
		}
		return fmt.Sprintf("%v %q", info, text)
	}
	out := fmt.Sprintf("%v %q %x", reply.Status, reply.TransactionID, reply.Content)
	for i, c := range reply.Certificates {
		if i == 0 || c.IsCA {
			out += fmt.Sprintf(" %x", c.Raw)
		}
	}
	return out
}

// TestCampaign changes a good reply in 10,000 ways: it flips bits, cuts bytes
// out and puts bytes in. Each result must be refused or have the same meaning.
func TestCampaign(t *testing.T) {
	t.Parallel()
	const cases = 10000
	random := mathrand.New(mathrand.NewPCG(8894, 1))
	bases := campaignBases(t)
	taken := 0
	for i := range cases {
		b := bases[i%len(bases)]
		body := bytes.Clone(b.body)
		switch random.IntN(8) {
		case 0: // cut off
			body = body[:random.IntN(len(body))]
		case 1: // cut out
			at := random.IntN(len(body) - 1)
			body = slices.Delete(body, at, min(at+1+random.IntN(16), len(body)))
		case 2: // put in
			body = slices.Insert(body, random.IntN(len(body)+1), byte(random.Uint32()))
		case 3: // another byte
			body[random.IntN(len(body))] = byte(random.Uint32())
		default: // another bit
			body[random.IntN(len(body))] ^= 1 << random.IntN(8)
		}
		got := meaning(b.opener.Open(body))
		if got == "" {
			continue
		}
		taken++
		if got != b.means {
			t.Fatalf("case %d, %s: %s became %s\n%x", i, b.name, b.means, got, body)
		}
	}
	// Parts that are not signed may differ: certificates and version numbers.
	t.Logf("%d of %d were taken, all with their meaning", taken, cases)
	if taken > cases/2 {
		t.Errorf("%d of %d were taken", taken, cases)
	}
}

// A base is a good reply.
type base struct {
	name   string
	body   []byte
	opener *scep.Opener
	means  string
}

func campaignBases(t *testing.T) []base {
	t.Helper()
	ca, err := sceptest.NewAuthority("CA", mustRoot(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	var bases []base
	for name, server := range map[string]*sceptest.Server{
		"success":     {Authority: ca},
		"RA":          {Authority: ca, RA: true},
		"plain RSA":   {Authority: ca, Quirks: sceptest.QuirkPlainRSA},
		"BER":         {Authority: ca, Quirks: sceptest.QuirkBER},
		"pending":     {Authority: ca, Pending: func(*sceptest.Request) bool { return true }},
		"refused":     {Authority: ca, Password: "secret"},
		"refused BER": {Authority: ca, Password: "secret", Quirks: sceptest.QuirkBER | sceptest.QuirkEmptyContent},
		"challenge": {
			Authority: ca, Caps: scep.Caps{"SCEPStandard", "TestAttestation"},
			Challenge: func(*sceptest.Request) ([]byte, error) { return []byte("secret"), nil },
			Check:     func(*sceptest.Request, []byte) error { return nil },
		},
	} {
		bases = append(bases, campaignBase(t, name, server))
	}
	return bases
}

// campaignBase returns the reply of a server to a message with a known nonce,
// and the Opener for it.
func campaignBase(t testing.TB, name string, server *sceptest.Server) base {
	t.Helper()
	nonce := make([]byte, pkimsg.NonceSize)
	_, _ = rand.Read(nonce)
	var bodies [][]byte
	c := &scep.Client{URL: "https://ca.test", Roots: server.Roots()}
	c.HTTPClient = &http.Client{Transport: &recorder{RoundTripper: direct{server}, bodies: &bodies}}
	if server.Challenge != nil {
		c.Challenge = "TestAttestation"
	}
	known := asked(t, c)
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: selfSigned(t), TransactionID: "77"}
	res, err := c.HTTPClient.Post("https://ca.test/?operation=PKIOperation", "application/x-pki-message",
		bytes.NewReader(sealed(t, server, req, nonce)))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	b := base{name: name, body: bodies[len(bodies)-1]}
	if b.opener, err = scep.NewOpener(c, known, req, nonce); err != nil {
		t.Fatal(err)
	}
	if b.means = meaning(b.opener.Open(b.body)); b.means == "" {
		t.Fatalf("%s: not taken as it is", name)
	}
	return b
}

// sealed returns the message that req becomes for server.
func sealed(t testing.TB, server *sceptest.Server, req *scep.Request, nonce []byte) []byte {
	t.Helper()
	envelope, err := encryptTo(server.Recipient(), req.CSR)
	if err != nil {
		t.Fatal(err)
	}
	info := &pkimsg.Info{
		Type: pkimsg.PKCSReq, TransactionID: req.TransactionID, SenderNonce: nonce,
		Status: pkimsg.None, FailInfo: pkimsg.None,
	}
	der, err := pkimsg.Sign(info, envelope, 0, req.Signer, req.Certificate, []*x509.Certificate{})
	if err != nil {
		t.Fatal(err)
	}
	return der
}
