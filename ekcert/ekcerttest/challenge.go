package ekcerttest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/internal/judge"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

const (
	stateSize     = 16               // bytes
	maxChallenges = 1000             // open at the same time
	challengeTime = 10 * time.Minute // for the answer
)

// challenges are the challenges that wait for an answer, by their state.
type challenges struct {
	mu   sync.Mutex
	list map[string]*challenge
}

// A challenge is an open challenge. It can be answered once.
type challenge struct {
	csr     [sha256.Size]byte // digest of the request
	secret  []byte
	expires time.Time
}

// add adds a challenge, and removes those that have expired.
func (c *challenges) add(state []byte, ch *challenge, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, old := range c.list {
		if now.After(old.expires) {
			delete(c.list, k)
		}
	}
	if len(c.list) >= maxChallenges {
		return errors.New("too many challenges are open")
	}
	if c.list == nil {
		c.list = make(map[string]*challenge)
	}
	c.list[string(state)] = ch
	return nil
}

// take removes a challenge and returns it, or nil if there is none.
func (c *challenges) take(state []byte) *challenge {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.list[string(state)]
	delete(c.list, string(state))
	return ch
}

// challenge checks a request and returns a challenge with a secret that only a TPM with
// both keys can decrypt.
func (s *Server) challenge(req *sceptest.Request) ([]byte, error) {
	app, err := s.read(req)
	if err != nil {
		return nil, err
	}
	secret, tach, err := judge.Challenge(app.ek, app.aik)
	if err != nil {
		return nil, err
	}
	tach.Opaque = app.opaque
	blob, err := tach.Marshal()
	if err != nil {
		return nil, err
	}
	state := make([]byte, stateSize)
	_, _ = rand.Read(state) // never fails
	context, err := wcce.MarshalContext(state)
	if err != nil {
		return nil, err
	}
	now := s.now()
	ch := &challenge{csr: sha256.Sum256(req.CSR), secret: secret, expires: now.Add(challengeTime)}
	if err := s.open.add(state, ch, now); err != nil {
		return nil, err
	}
	return (&wcce.Challenge{TACH: blob, Context: context}).Marshal()
}

// check checks the answer to a challenge.
func (s *Server) check(req *sceptest.Request, content []byte) error {
	answer, err := wcce.ParseAnswer(content)
	if err != nil {
		return err
	}
	state, err := wcce.ParseContext(answer.Context)
	if err != nil {
		return err
	}
	ch := s.open.take(state)
	csr := sha256.Sum256(req.CSR)
	if ch == nil || s.now().After(ch.expires) || !bytes.Equal(ch.csr[:], csr[:]) {
		return errors.New("no such challenge is open")
	}
	secret, err := req.Decrypt(answer.Secret)
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	if subtle.ConstantTimeCompare(secret, ch.secret) != 1 {
		return errors.New("secret is wrong")
	}
	return nil
}

// issue issues a certificate by the TCG profile (EK Credential Profile, section 3.2). It
// is valid as long as the CA's.
func (s *Server) issue(req *sceptest.Request) (*x509.Certificate, error) {
	csr, err := wcce.ParseCSR(req.CSR)
	if err != nil {
		return nil, err
	}
	app := new(application)
	if err := app.readEK(csr); err != nil {
		return nil, err
	}
	if err := app.readDevice(csr); err != nil {
		return nil, err
	}
	template, err := newTemplate(app.device.Manufacturer, app.device.Model, app.device.Version)
	if err != nil {
		return nil, err
	}
	if _, ok := app.ek.(*rsa.PublicKey); !ok {
		template.KeyUsage = x509.KeyUsageKeyAgreement
	}
	template.NotBefore = s.now().Add(-time.Minute)
	template.NotAfter = s.authority.Certificate.NotAfter
	return s.authority.Issue(template, app.ek)
}

// newTemplate returns a template of an endorsement key certificate by the TCG profile,
// with the name of the TPM, the usages and basic constraints. The key usage is that of
// an RSA key, the serial number is random, and the validity is not set. manufacturer and
// version are in the TCG's encoding, "id:" and 8 hexadecimal digits.
func newTemplate(manufacturer, model, version string) (*x509.Certificate, error) {
	device := &wcce.Device{Manufacturer: manufacturer, Model: model, Version: version}
	name, err := device.AltName(true)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		KeyUsage:              x509.KeyUsageKeyEncipherment,
		UnknownExtKeyUsage:    []asn1.ObjectIdentifier{wcce.OIDKeyPurposeEK},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{name},
	}, nil
}
