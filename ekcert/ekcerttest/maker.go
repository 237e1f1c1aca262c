package ekcerttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"log/slog"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/ekcert/internal/keyname"
	"github.com/whiteglove/whiteglove/internal/refusal"
)

// A Maker issues endorsement key certificates under a root and a CA of its own,
// and serves them:
//
//	/ekcertservice/NAME   in the way of Intel, see [ekcert.Service]
//	/pki/aia/NAME         in the way of AMD, see [ekcert.Service]
//	/ca/…                 the certificates of its CA and root
//	/crl/…                their CRLs
//
// Its zero value is Intel. Fields must not be changed once it is in use.
type Maker struct {
	Vendor  string // short name or TCG vendor ID, "INTC" if empty
	Model   string // "TPM" if empty
	Version string // of the firmware, as in certificates; "id:00070055" if empty

	// BaseURL is where the Maker is served, without a slash at its end. If it
	// is empty, certificates do not say where issuers and CRLs are.
	BaseURL string

	// Quirks are oddities, by the names that [Quirks] returns.
	Quirks []string

	Now    func() time.Time // if nil, time.Now
	Logger *slog.Logger     // if nil, nothing is logged

	once             sync.Once
	err              error // of making the keys
	root, ca, signer *issuer
	refusals         refusal.Log

	mu      sync.Mutex
	serial  int64
	issued  map[string][]byte // DER by name at the services
	revoked []*big.Int
}

// An issuer is a certificate with its key.
type issuer struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// has reports whether the maker has a quirk.
func (m *Maker) has(quirk string) bool { return slices.Contains(m.Quirks, quirk) }

func (m *Maker) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

// start makes the keys.
func (m *Maker) start() error {
	m.once.Do(func() {
		if m.err = checkQuirks(m.Quirks); m.err != nil {
			return
		}
		m.issued = make(map[string][]byte)
		steps := []struct {
			to     **issuer
			name   string
			parent **issuer
		}{{&m.root, "Root CA", &m.root}, {&m.ca, "Issuing CA", &m.root}, {&m.signer, "CRL signer", &m.root}}
		for _, s := range steps {
			if *s.to, m.err = m.newIssuer(s.name, *s.parent); m.err != nil {
				return
			}
		}
	})
	return m.err
}

// newIssuer makes a root if parent is nil.
func (m *Maker) newIssuer(name string, parent *issuer) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := m.caTemplate(name)
	if parent == nil {
		parent = &issuer{tmpl, key}
	} else {
		m.addURLs(tmpl, "root")
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent.Certificate, key.Public(), parent.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &issuer{cert, key}, err
}

// Roots returns a pool with the root, for the entries of [ekcert.Roots].
func (m *Maker) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if certs := m.Certificates(); certs != nil {
		pool.AddCert(certs[1])
	}
	return pool
}

// Certificates returns the certificates of the CA and of the root, root last.
func (m *Maker) Certificates() []*x509.Certificate {
	if m.start() != nil {
		return nil
	}
	return []*x509.Certificate{m.ca.Certificate, m.root.Certificate}
}

// CRLSigner returns the certificate of who signs the CRL with the quirk
// crl-indirect.
func (m *Maker) CRLSigner() *x509.Certificate {
	if m.start() != nil {
		return nil
	}
	return m.signer.Certificate
}

// Refusals returns why the service gave no certificate, oldest first, each as
// "operation: reason".
func (m *Maker) Refusals() []string { return m.refusals.Refusals() }

// Revoke puts a serial number on the CRLs.
func (m *Maker) Revoke(serial *big.Int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoked = append(m.revoked, serial)
}

// Certify issues a certificate for an endorsement key, an *[rsa.PublicKey] or
// *[ecdsa.PublicKey], and has the services give it out. It returns the DER.
func (m *Maker) Certify(ek crypto.PublicKey) ([]byte, error) {
	if err := m.start(); err != nil {
		return nil, err
	}
	der, err := m.issue(ek)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range []func(crypto.PublicKey) (string, error){keyname.Intel, keyname.AMD} {
		s, err := name(ek)
		if err != nil {
			return nil, err
		}
		m.issued[s] = der
	}
	return der, nil
}

// NV returns a certificate as the NV memory of a TPM has it, with the fill and
// header of the quirks.
func (m *Maker) NV(der []byte) []byte {
	out := slices.Clone(der)
	if m.has("joined") && m.start() == nil {
		out = append(out, m.ca.Raw...)
	}
	if m.has("header-7") {
		out = append([]byte{0x10, 0x02}, out...)
	}
	if m.has("header-5") || m.has("header-7") {
		out = append([]byte{0x10, 0x01, 0x00, byte(len(out) >> 8), byte(len(out))}, out...)
	}
	for quirk, fill := range map[string]byte{"fill-ff": 0xFF, "fill-00": 0x00, "fill-11": 0x11} {
		for m.has(quirk) && len(out) < 1600 {
			out = append(out, fill)
		}
	}
	return out
}
