package drstest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
)

// An aikCA is an attestation CA: a root and an issuer below it.
type aikCA struct {
	root, issuer *x509.Certificate
	key          int // of the issuer
}

// issue signs a template with the n-th key.
func issue(t *testing.T, template, parent *x509.Certificate, subject, signer int) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &softRSA(t, subject).PublicKey, softRSA(t, signer))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func caTemplate(r *rig, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: r.now.Add(-time.Hour), NotAfter: r.now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// newAIKCA returns an attestation CA that the rig's server trusts. rootKey and issuerKey are
// numbers of keys.
func newAIKCA(t *testing.T, r *rig, rootKey, issuerKey int) *aikCA {
	root := issue(t, caTemplate(r, "root"), nil, rootKey, rootKey)
	issuer := issue(t, caTemplate(r, "issuer"), root, issuerKey, rootKey)
	r.server.AIKRoots = x509.NewCertPool()
	r.server.AIKRoots.AddCert(root)
	return &aikCA{root: root, issuer: issuer, key: issuerKey}
}

// leaf returns a certificate like that of a real attestation key, without a subject and with a
// critical alternative name that has only the TPM's model.
func (ca *aikCA) leaf(t *testing.T, r *rig, subject int, change func(*x509.Certificate)) []*x509.Certificate {
	t.Helper()
	name, err := asn1.Marshal(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 2}, Value: "SOFT"}}}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	san, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name}})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: r.now.Add(-time.Hour), NotAfter: r.now.AddDate(0, 1, 0), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 3}},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: san}},
	}
	change(template)
	return []*x509.Certificate{issue(t, template, ca.issuer, subject, ca.key), ca.issuer}
}

func asIs(*x509.Certificate) {}

func TestAIKChain(t *testing.T) {
	r := newRig(t)
	chain := newAIKCA(t, r, 7, 8).leaf(t, r, 1, asIs)
	p := r.device.proof()
	p.AIKChain = chain
	token, err := r.client.Authenticate(t.Context(), r.tenant, p)
	if err != nil {
		t.Fatal(err)
	}
	req := r.device.request(token)
	req.Attestation.AIKChain = chain
	if _, err := r.join(req); err != nil {
		t.Fatal(err)
	}
	if o := r.server.Objects()[0]; o.AttestationLevel != 3 {
		t.Errorf("joined as %+v", o)
	}
}

func TestAIKChainRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		chain  func(t *testing.T, r *rig, ca *aikCA) []*x509.Certificate
		reason string
	}{
		{"none", func(*testing.T, *rig, *aikCA) []*x509.Certificate { return nil }, "no certificate"},
		{"another root", func(t *testing.T, r *rig, _ *aikCA) []*x509.Certificate {
			pool := r.server.AIKRoots
			chain := newAIKCA(t, r, 9, 10).leaf(t, r, 1, asIs)
			r.server.AIKRoots = pool
			return chain
		}, "leads to no trusted root"},
		{"no issuer", func(t *testing.T, r *rig, ca *aikCA) []*x509.Certificate { return ca.leaf(t, r, 1, asIs)[:1] }, "leads to no trusted root"},
		{"expired", func(t *testing.T, r *rig, ca *aikCA) []*x509.Certificate {
			return ca.leaf(t, r, 1, func(c *x509.Certificate) { c.NotAfter = r.now.Add(-time.Second) })
		}, "expired"},
		{"another usage", func(t *testing.T, r *rig, ca *aikCA) []*x509.Certificate {
			return ca.leaf(t, r, 1, func(c *x509.Certificate) {
				c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			})
		}, "not for an attestation key"},
		{"a CA's", func(t *testing.T, r *rig, ca *aikCA) []*x509.Certificate {
			return ca.leaf(t, r, 1, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
		}, "is that of a CA"},
		{"another key", func(t *testing.T, r *rig, ca *aikCA) []*x509.Certificate { return ca.leaf(t, r, 4, asIs) }, "another"},
		{"an issuer whose key takes long to use", func(t *testing.T, r *rig, ca *aikCA) []*x509.Certificate {
			modulus := new(big.Int).Lsh(big.NewInt(1), 8192)
			modulus.SetBit(modulus, 0, 1)
			der, err := x509.CreateCertificate(rand.Reader, caTemplate(r, "long"), ca.issuer, &rsa.PublicKey{N: modulus, E: 65537}, softRSA(t, ca.key))
			if err != nil {
				t.Fatal(err)
			}
			long, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			return append(ca.leaf(t, r, 1, asIs), long)
		}, "too large"},
		{"twelve certificates", func(t *testing.T, r *rig, ca *aikCA) []*x509.Certificate {
			return append(ca.leaf(t, r, 1, asIs), slices.Repeat([]*x509.Certificate{ca.issuer}, 10)...)
		}, "11 certificates"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			ca := newAIKCA(t, r, 7, 8)
			bad := c.chain(t, r, ca)
			p := r.device.proof()
			p.AIKChain = bad
			_, err := r.client.Authenticate(t.Context(), r.tenant, p)
			r.refused(err, "Challenge", "tpm_aik_untrusted", c.reason)

			p.AIKChain = ca.leaf(t, r, 1, asIs)
			token, err := r.client.Authenticate(t.Context(), r.tenant, p)
			if err != nil {
				t.Fatal(err)
			}
			req := r.device.request(token)
			req.Attestation.AIKChain = bad
			_, err = r.join(req)
			r.refused(err, "Join", "AikValidationFailed", c.reason)
		})
	}
}

// With EKRoots, the endorsement key needs a certificate of a maker.
func TestEKRoots(t *testing.T) {
	r := newRig(t)
	root := issue(t, caTemplate(r, "maker"), nil, 7, 7)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	r.server.EKRoots = ekcert.Roots{"": pool}
	leaf := func(subject, signer int, parent *x509.Certificate) *x509.Certificate {
		return issue(t, &x509.Certificate{
			SerialNumber: big.NewInt(3), NotBefore: r.now.Add(-time.Hour), NotAfter: r.now.AddDate(1, 0, 0), BasicConstraintsValid: true,
			Subject: pkix.Name{CommonName: "TPM"}, KeyUsage: x509.KeyUsageKeyEncipherment, UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 1}},
		}, parent, subject, signer)
	}
	stranger := issue(t, caTemplate(r, "stranger"), nil, 8, 8)
	for name, chain := range map[string][]*x509.Certificate{
		"no certificate":     nil,
		"another maker":      {leaf(0, 8, stranger), stranger},
		"another key":        {leaf(4, 7, root)},
		"certificate of AIK": {leaf(1, 7, root)},
	} {
		p := r.device.proof()
		p.EKChain = chain
		_, err := r.client.Authenticate(t.Context(), r.tenant, p)
		if err == nil {
			t.Errorf("%s: taken", name)
		}
		r.refused(err, "Challenge", "tpm_ek_untrusted", "")
	}
	p := r.device.proof()
	p.EKChain = []*x509.Certificate{leaf(0, 7, root)}
	if _, err := r.client.Authenticate(t.Context(), r.tenant, p); err != nil {
		t.Error(err)
	}
}

// Another imported device cannot join with this device's token, because its attestation key is
// another one.
func TestTokenOfAnotherDevice(t *testing.T) {
	r := newRig(t)
	thief := newSoftTPM(t, 5)
	if _, err := r.server.Import(&thief.ek.PublicKey); err != nil {
		t.Fatal(err)
	}
	token := r.authenticate()
	_, err := r.join(thief.request(token))
	r.refused(err, "Join", "AttestationFailed", "check 9")
	_, err = r.client.Authenticate(context.Background(), r.tenant, &drs.Proof{
		EK: &r.device.ek.PublicKey, EKPublicArea: r.device.ekArea, AIKPublicArea: thief.aik.area, Activate: thief.activate,
	})
	if err == nil {
		t.Error("a TPM answered the challenge of another")
	}
}
