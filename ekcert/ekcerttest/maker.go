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

// A Maker issues endorsement key certificates under its own root and CA, and serves
// them:
//
//	/ekcertservice/NAME   certificates, in JSON, with the names of Intel (see ekcert.Service)
//	/pki/aia/NAME         certificates, in DER, with the names of AMD (see ekcert.Service)
//	/ca/NAME.crt          certificates of its CA ("issuing") and its root ("root"), in DER
//	/crl/NAME.crl         their CRLs, in DER, valid for a month
//
// Its zero value is Intel. Fields must not be changed once it is in use; its methods
// may be called by several goroutines.
type Maker struct {
	Vendor  string // short name or TCG vendor ID; if empty, "INTC"
	Model   string // if empty, "TPM"
	Version string // of the firmware, in the form of certificates; if empty, "id:00070055"

	// BaseURL is the URL under which the Maker is served, without a slash at its
	// end. If it is empty, certificates have no URLs of issuers and CRLs.
	BaseURL string

	// Quirks are the names of oddities; see [Quirks]. If one is not known, Certify
	// returns an error and requests are answered with HTTP status 500.
	Quirks []string

	Now    func() time.Time // current time; if nil, time.Now
	Logger *slog.Logger     // receives the refusals; if nil, nothing is logged

	once             sync.Once
	err              error // of making the keys
	root, ca, signer *issuer
	refusals         refusal.Log

	mu      sync.Mutex
	serial  int64
	issued  map[string][]byte // DER, by the key's name at the services
	revoked []*big.Int
}

// An issuer is a certificate and its key.
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

// start makes the keys at the first call.
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

// newIssuer makes a key and its certificate under parent, or a root if parent is nil.
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

// Roots returns a pool with the root, for an entry of [ekcert.Roots]. It is empty if a
// quirk is not known.
func (m *Maker) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if certs := m.Certificates(); certs != nil {
		pool.AddCert(certs[1])
	}
	return pool
}

// Certificates returns the certificates of the CA and of the root, root last. It returns
// nil if a quirk is not known.
func (m *Maker) Certificates() []*x509.Certificate {
	if m.start() != nil {
		return nil
	}
	return []*x509.Certificate{m.ca.Certificate, m.root.Certificate}
}

// CRLSigner returns the certificate of the signer of the CRL with the quirk
// crl-indirect. It returns nil if a quirk is not known.
func (m *Maker) CRLSigner() *x509.Certificate {
	if m.start() != nil {
		return nil
	}
	return m.signer.Certificate
}

// Refusals returns the newest refusals, at most 1000, oldest first. Each is the path of
// the URL and the reason.
func (m *Maker) Refusals() []string { return m.refusals.Refusals() }

// Revoke adds a serial number to all CRLs.
func (m *Maker) Revoke(serial *big.Int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoked = append(m.revoked, serial)
}

// Certify issues a certificate for an endorsement key, an *[rsa.PublicKey] or
// *[ecdsa.PublicKey], which the Maker serves from then on. It returns the DER. The error
// says that a quirk is not known, or that the key cannot be certified or has no name at
// the services.
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

// NV returns a certificate in the form in which a TPM has it in NV memory, with the
// padding and the header of the quirks.
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
