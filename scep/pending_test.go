package scep_test

import (
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// asked returns the CA of c.
func asked(t testing.TB, c *scep.Client) *scep.CA {
	t.Helper()
	ca, err := c.CA(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// failed returns err as a *scep.Error.
func failed(t testing.TB, err error) *scep.Error {
	t.Helper()
	var e *scep.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	return e
}

func TestPoll(t *testing.T) {
	t.Parallel()
	wait := 2
	var seen []string
	server := &sceptest.Server{RA: true, Pending: func(r *sceptest.Request) bool {
		seen = append(seen, r.TransactionID)
		wait--
		return wait >= 0
	}}
	c := start(t, server, server.Roots())
	ca := asked(t, c)
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()}
	first, err := c.Enroll(t.Context(), ca, req)
	if err != nil || first.Status != scep.StatusPending || first.Certificates != nil {
		t.Fatalf("got %+v, %v", first, err)
	}
	// Another client that knows the transaction.
	stranger := *req
	if stranger.Certificate, err = scep.ProtocolCertificate(testKey(), nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	_, err = c.Poll(t.Context(), ca, &stranger, first)
	if e := failed(t, err); e.FailInfo != scep.BadMessageCheck || e.Op != "CertPoll" {
		t.Errorf("poll by another: %v", err)
	}
	// Another transaction.
	lost := &scep.Reply{Status: scep.StatusPending, TransactionID: "other"}
	_, err = c.Poll(t.Context(), ca, &stranger, lost)
	if e := failed(t, err); e.FailInfo != scep.BadCertID || e.Remedy() == "" {
		t.Errorf("poll in an unknown transaction: %v", err)
	}
	if _, err = c.Poll(t.Context(), ca, req, lost); failed(t, err).HTTPStatus != 0 {
		t.Errorf("poll without knowing who signed: %v", err)
	}
	second, err := c.Poll(t.Context(), ca, req, first)
	if err != nil || second.Status != scep.StatusPending || second.TransactionID != first.TransactionID {
		t.Fatalf("got %+v, %v", second, err)
	}
	third, err := c.Poll(t.Context(), ca, req, second)
	if err != nil || third.Status != scep.StatusSuccess || third.TransactionID != first.TransactionID {
		t.Fatalf("got %+v, %v; %q", third, err, server.Refusals())
	}
	if !testKey().PublicKey.Equal(third.Certificates[0].PublicKey) {
		t.Error("another key")
	}
	if len(seen) != 3 || seen[0] != seen[2] {
		t.Errorf("transactions %q", seen)
	}
	if _, err := c.Poll(t.Context(), ca, req, third); failed(t, err).HTTPStatus != 0 {
		t.Errorf("poll after success: %v", err)
	}
	if _, err := c.Poll(t.Context(), ca, req, second); failed(t, err).FailInfo != scep.BadCertID {
		t.Errorf("poll after the end: %v", err)
	}
	if _, err := c.Poll(t.Context(), &scep.CA{Caps: ca.Caps}, req, second); err == nil {
		t.Error("poll at a CA without a certificate")
	}
}

// TestPollElsewhere polls as another process would, without the first reply.
func TestPollElsewhere(t *testing.T) {
	wait := true
	server := &sceptest.Server{Pending: func(*sceptest.Request) bool { return wait }}
	c := start(t, server, server.Roots())
	ca := asked(t, c)
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: selfSigned(t)}
	first, err := c.Enroll(t.Context(), ca, req)
	if err != nil {
		t.Fatal(err)
	}
	wait = false
	again := &scep.Reply{Status: scep.StatusPending, TransactionID: first.TransactionID}
	last, err := c.Poll(t.Context(), ca, req, again)
	if err != nil || last.Status != scep.StatusSuccess {
		t.Fatalf("got %+v, %v", last, err)
	}
}

func TestGetCertAndCRL(t *testing.T) {
	t.Parallel()
	server := &sceptest.Server{RA: true}
	c := start(t, server, server.Roots())
	ca := asked(t, c)
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey()}
	reply, err := c.Enroll(t.Context(), ca, req)
	if err != nil {
		t.Fatal(err)
	}
	leaf := reply.Certificates[0]
	who := &scep.Request{Signer: testKey(), Certificate: leaf}
	got, err := c.GetCert(t.Context(), ca, who, leaf.SerialNumber)
	if err != nil || !got.Equal(leaf) {
		t.Errorf("GetCert: %v", err)
	}
	_, err = c.GetCert(t.Context(), ca, who, big.NewInt(1))
	if e := failed(t, err); e.FailInfo != scep.BadCertID || e.Op != "GetCert" {
		t.Errorf("GetCert of nothing: %v", err)
	}
	if _, err := c.GetCert(t.Context(), ca, who, nil); err == nil {
		t.Error("GetCert without a number")
	}
	list, err := c.GetCRL(t.Context(), ca, who, leaf)
	if err != nil || len(list.RevokedCertificateEntries) != 0 {
		t.Fatalf("GetCRL: %v", err)
	}
	late := *c
	late.Now = func() time.Time { return time.Now().Add(48 * time.Hour) }
	if _, err := late.GetCRL(t.Context(), ca, who, leaf); !errors.Is(err, scep.ErrUntrusted) {
		t.Errorf("an old list: %v", err)
	}
	server.Revoke(big.NewInt(7))
	server.Revoke(leaf.SerialNumber)
	anonymous := &scep.Request{Signer: testKey()}
	list, err = c.GetCRL(t.Context(), ca, anonymous, leaf)
	if err != nil || len(list.RevokedCertificateEntries) != 2 {
		t.Fatalf("GetCRL: %v", err)
	}
	_, err = c.GetCRL(t.Context(), ca, who, leaf)
	if failed(t, err).FailInfo != scep.BadCertID {
		t.Errorf("asked with a revoked certificate: %v", err)
	}
	if _, err := c.GetCRL(t.Context(), ca, who, selfSigned(t)); err == nil {
		t.Error("GetCRL for another's certificate")
	}
	if _, err := c.GetCert(t.Context(), &scep.CA{}, who, leaf.SerialNumber); err == nil {
		t.Error("GetCert of no CA")
	}
}

// TestEachFailInfo checks requests and polls that are refused, for each reason.
func TestEachFailInfo(t *testing.T) {
	t.Parallel()
	var why *scep.Error
	server := &sceptest.Server{
		Issue:   func(*sceptest.Request) (*x509.Certificate, error) { return nil, why },
		Pending: func(*sceptest.Request) bool { return why == nil },
	}
	c := start(t, server, server.Roots())
	ca := asked(t, c)
	req := &scep.Request{CSR: newCSR(t, testKey()), Signer: testKey(), Certificate: selfSigned(t)}
	for _, text := range []string{"", "no, not today"} {
		for info := scep.BadAlg; info <= scep.BadCertID; info++ {
			why = nil
			reply, err := c.Enroll(t.Context(), ca, req)
			if err != nil {
				t.Fatal(err)
			}
			why = &scep.Error{FailInfo: info, Message: text}
			_, poll := c.Poll(t.Context(), ca, req, reply)
			_, enroll := c.Enroll(t.Context(), ca, req)
			for op, err := range map[string]error{"CertPoll": poll, "PKCSReq": enroll} {
				e := failed(t, err)
				if e.FailInfo != info || e.Message != text || e.Op != op || e.Retryable() || e.Remedy() == "" {
					t.Errorf("%s, %v: got %#v", op, info, e)
				}
			}
		}
	}
}
