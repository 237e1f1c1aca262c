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

// A Fault is something that a [Server] does wrong.
type Fault int

// The faults.
const (
	None             Fault = iota
	UnknownAuthority       // it says that there is no such authority (HTTP status 404)
	ForeignRA              // the certificates of its registration authority lead to another root
	TPMKeyAsRA             // it asks to encrypt requests for a certificate of an endorsement key
	UntrustedEK            // it says that no endorsement certificate leads to a trusted root
	WeakEK                 // it says that the private key of each endorsement key can be computed
	TruncatedTACH          // its challenge lacks the last byte
	ForeignChallenge       // its challenge is for another attestation key, so the TPM refuses it
	WrongSecret            // it refuses the right answer as wrong
	ExpiredChallenge       // it refuses the right answer as late
	ReplayedReply          // it answers the answer with the challenge again, byte for byte
	AnotherKey             // its certificate is for another key
	AnotherTPM             // its certificate names another TPM
)

// Misbehave makes the server commit a fault from now on, instead of any other. [None]
// ends it. It may be called while the server is in use.
func (s *Server) Misbehave(f Fault) { s.fault.Store(int64(f)) }

func (s *Server) commits(f Fault) bool { return Fault(s.fault.Load()) == f }

// foreign returns the registration authority of another CA. It accepts the same
// requests, but cannot decrypt what is encrypted for the authority.
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

// misbehave answers instead of the authority and returns true if the current fault
// needs that, else it returns false.
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

// replay answers as the authority does, and repeats that answer the next time.
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

// A recorded is a stored answer. It implements http.ResponseWriter.
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

// spoil makes the challenge wrong if the current fault says so.
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

// anotherKey issues the certificate for a key that was not asked for. The PublicKey of
// the result is the one that was asked for, so that only the DER shows the fault.
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
