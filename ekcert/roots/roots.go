package roots

import (
	"bytes"
	"crypto/x509"
	_ "embed" // for the bundle
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/whiteglove/whiteglove/ekcert"
)

//go:embed bundle.pem
var bundle []byte

// pools are the parsed bundle.
type pools struct {
	roots         ekcert.Roots
	intermediates *x509.CertPool
}

var once = sync.OnceValues(func() (*pools, error) { return parse(bundle) })

// Load returns the roots by maker, and the intermediate CAs of all makers in one pool.
// The pools are the caller's own copies, to which others may be added. The bundle is
// parsed at the first call.
//
// An error is returned if the embedded bundle cannot be parsed, which a test of this
// module rules out.
func Load() (ekcert.Roots, *x509.CertPool, error) {
	p, err := once()
	if err != nil {
		return nil, nil, fmt.Errorf("roots: load: %w", err)
	}
	own := make(ekcert.Roots, len(p.roots))
	for vendor, pool := range p.roots {
		own[vendor] = pool.Clone()
	}
	return own, p.intermediates.Clone(), nil
}

// parse reads certificates in PEM. Comments before each name its owner and its use.
func parse(text []byte) (*pools, error) {
	p := &pools{roots: ekcert.Roots{}, intermediates: x509.NewCertPool()}
	for {
		at := bytes.Index(text, []byte("-----BEGIN"))
		if at < 0 {
			return p, nil
		}
		comment := string(text[:at])
		block, rest := pem.Decode(text[at:])
		if block == nil {
			return nil, errors.New("a certificate is not PEM")
		}
		text = rest
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if err := p.add(field(comment, "Owner"), field(comment, "Use"), cert); err != nil {
			return nil, err
		}
	}
}

// add adds a certificate to the pool for its owner and use.
func (p *pools) add(owner, use string, cert *x509.Certificate) error {
	switch {
	case ekcert.VendorName(owner) != owner || owner == "":
		return fmt.Errorf("%q is not the short name of a maker", owner)
	case use == "intermediate":
		p.intermediates.AddCert(cert)
	case use == "root":
		if p.roots[owner] == nil {
			p.roots[owner] = x509.NewCertPool()
		}
		p.roots[owner].AddCert(cert)
	default:
		return fmt.Errorf("use %q is neither root nor intermediate", use)
	}
	return nil
}

// field returns the value of the last comment with a name, or "".
func field(comment, name string) string {
	value := ""
	for line := range strings.Lines(comment) {
		if v, ok := strings.CutPrefix(line, "# "+name+": "); ok {
			value = strings.TrimSpace(v)
		}
	}
	return value
}
