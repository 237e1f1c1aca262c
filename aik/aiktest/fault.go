package aiktest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/judge"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// A Fault is something that a [Server] does wrong, or to a client that did
// nothing wrong.
type Fault int

// The faults.
const (
	None             Fault = iota
	UnknownAuthority       // GetCACaps: there is no such authority
	ForeignRA              // the registration authority's certificates lead to another root
	TPMKeyAsRA             // requests are to be encrypted to a certificate of an endorsement key
	UntrustedEK            // no endorsement certificate leads to a trusted root
	WeakEK                 // every endorsement key is one whose private key can be computed
	TruncatedTACH          // the challenge ends early
	ForeignChallenge       // the challenge is for another attestation key: a TPM does not open it
	WrongSecret            // the right answer is refused: its secret is wrong
	ExpiredChallenge       // the right answer is refused: it is late
	ReplayedReply          // the answer is answered by the challenge once more, byte for byte
	AnotherKey             // the certificate is for another key
	AnotherTPM             // the certificate names another TPM
)

// Misbehave has the server commit a fault from now on; None ends it. It may be
// called while the server is in use.
func (s *Server) Misbehave(f Fault) { s.fault.Store(int64(f)) }

func (s *Server) commits(f Fault) bool { return Fault(s.fault.Load()) == f }

// foreign returns the registration authority of another CA. It takes the same
// requests, but cannot open what is encrypted for the authority.
func (a *authority) foreign() (*sceptest.Server, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.foreignRA != nil {
		return a.foreignRA, nil
	}
	root, err := sceptest.NewAuthority("somebody else's root", nil, nil)
	if err != nil {
		return nil, err
	}
	ca, err := sceptest.NewAuthority("somebody else", root, nil)
	if err != nil {
		return nil, err
	}
	a.foreignRA = a.newSCEP(ca)
	return a.foreignRA, nil
}

// misbehave answers in the authority's place, or returns false.
func (a *authority) misbehave(w http.ResponseWriter, r *http.Request) (bool, error) {
	op := r.URL.Query().Get("operation")
	switch {
	case a.server.commits(ForeignRA):
		s, err := a.foreign()
		if err != nil {
			return false, err
		}
		s.ServeHTTP(w, r)
		return true, nil
	case a.server.commits(TPMKeyAsRA) && op == "GetCACertChain":
		return true, a.withTPMKey(w)
	case a.server.commits(ReplayedReply) && op == "PKIOperation":
		a.replay(w, r)
		return true, nil
	}
	return false, nil
}

// withTPMKey answers GetCACertChain with an endorsement certificate in front of
// the authority's.
func (a *authority) withTPMKey(w http.ResponseWriter) error {
	cert, err := a.ca.Issue(&x509.Certificate{
		KeyUsage:           x509.KeyUsageKeyEncipherment,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDRAEncryption, wcce.OIDKeyPurposeEK},
		NotBefore:          a.server.now().Add(-backdate),
	}, a.scep.Recipient().PublicKey)
	if err != nil {
		return err
	}
	bag, err := cms.Bag(append([]*x509.Certificate{cert}, a.scep.Certificates()...))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-x509-ca-ra-cert")
	_, err = w.Write(bag)
	return err
}

// replay answers as the authority does, and the next time with the same.
func (a *authority) replay(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.last
	a.last = nil
	if last == nil {
		last = &recorded{header: make(http.Header), status: http.StatusOK}
		a.scep.ServeHTTP(last, r)
		a.last = last
	}
	maps.Copy(w.Header(), last.header)
	w.WriteHeader(last.status)
	_, _ = w.Write(last.body)
}

// A recorded is an answer that is kept. It implements http.ResponseWriter.
type recorded struct {
	header http.Header
	status int
	body   []byte
}

func (r *recorded) Header() http.Header    { return r.header }
func (r *recorded) WriteHeader(status int) { r.status = status }

func (r *recorded) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

// spoil makes the challenge wrong, if it is to be.
func (a *authority) spoil(p *pending, ek crypto.PublicKey, key *attested, tach *wcce.TACH) error {
	switch {
	case a.server.commits(WrongSecret):
		p.secret[0] ^= 0xff
	case a.server.commits(ExpiredChallenge):
		p.expires = a.server.now().Add(-time.Second)
	case a.server.commits(ForeignChallenge):
		area := append([]byte(nil), key.binding.PublicArea...)
		area[len(area)-1] ^= 1 // another modulus or point
		_, other, err := judge.Credential(ek, area)
		if err != nil {
			return err
		}
		tach.Blob, tach.EncryptedSecret = other.Blob, other.EncryptedSecret
	}
	return nil
}

// anotherKey has the certificate issued for a key that nobody asked for. It
// says otherwise to whoever does not look at its bytes.
func (a *authority) anotherKey(template *x509.Certificate, asked crypto.PublicKey) (*x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("aiktest: %w", err)
	}
	cert, err := a.ca.Issue(template, key.Public())
	if err == nil {
		cert.PublicKey = asked
	}
	return cert, err
}
