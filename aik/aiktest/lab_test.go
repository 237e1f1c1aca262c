package aiktest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// A maker makes TPMs. Its root has two CAs for endorsement certificates, and one
// with the key identifier of the first.
type maker struct {
	root, ca, other, impostor *sceptest.Authority
}

var theMaker = sync.OnceValues(func() (*maker, error) {
	var m maker
	var err error
	if m.root, err = sceptest.NewAuthority("maker's root", nil, nil); err != nil {
		return nil, err
	}
	if m.ca, err = sceptest.NewAuthority("maker's CA", m.root, nil); err != nil {
		return nil, err
	}
	if m.other, err = sceptest.NewAuthority("maker's other CA", m.root, nil); err != nil {
		return nil, err
	}
	m.impostor, err = sceptest.NewAuthority("maker's impostor", m.root, &x509.Certificate{SubjectKeyId: m.ca.Certificate.SubjectKeyId})
	return &m, err
})

// keys that all tests share, for speed: endorsement key, attestation key, key
// of the SCEP messages, and a stranger's.
var theKeys = sync.OnceValues(func() (keys [4]*rsa.PrivateKey, err error) {
	for i := range keys {
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return keys, err
		}
	}
	return keys, nil
})

// A lab is a server and a client that can send it anything. The client's keys
// are software ones: no TPM vouches for them, but until the challenge is opened
// nobody can tell.
type lab struct {
	*maker
	ek, aik, signer, stranger *rsa.PrivateKey

	server *aiktest.Server
	denied bool // the endorsement key
	client *scep.Client
	caInfo *scep.CA
}

func newLab(t testing.TB) *lab { return newLabOf(t, 0) }

// newLabOf returns a lab whose server has quirks.
func newLabOf(t testing.TB, quirks sceptest.Quirk) *lab {
	t.Helper()
	m, err := theMaker()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := theKeys()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(m.root.Certificate)
	l := &lab{maker: m, ek: keys[0], aik: keys[1], signer: keys[2], stranger: keys[3]}
	l.server = &aiktest.Server{
		Makers:  []*x509.Certificate{m.ca.Certificate, m.other.Certificate},
		EKRoots: ekcert.Roots{"SOFT": roots}, Quirks: quirks,
		Deny: func(ek [32]byte) bool {
			return l.denied && ek == sha256.Sum256(marshalKey(t, l.ek.Public()))
		},
	}
	srv := httptest.NewServer(l.server)
	t.Cleanup(srv.Close)
	l.client = &scep.Client{
		URL: srv.URL + "/" + l.authority("SOFT") + "/templates/Aik/scep", Roots: l.server.Roots(), Challenge: "IdentityKeyAttestation",
	}
	if l.caInfo, err = l.client.CA(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return l
}

// An attempt is all that a client may do wrong.
type attempt struct {
	device      wcce.Device           // in the request
	ekDevice    wcce.Device           // in the endorsement certificate
	ek          crypto.PublicKey      // in EK_INFO
	ekKey       crypto.PublicKey      // in the endorsement certificate
	purpose     asn1.ObjectIdentifier // in the endorsement certificate
	info        func(*wcce.EKInfo)    // changes it
	issuer      *sceptest.Authority
	extra       []*x509.Certificate
	noCert      bool
	recipient   *x509.Certificate
	signerHash  []byte
	csrKey      crypto.PublicKey
	attributes  tpm2.TPMAObject
	attest      tpm2.TPMSAttest // Attested is filled in
	attestKind  tpm2.TPMST
	attestKey   *rsa.PrivateKey
	kast        wcce.KAST                               // IDBinding is filled in
	binding     func(*wcce.IDBinding)                   // changes it
	csrAttrs    func([]wcce.Attribute) []wcce.Attribute // changes them
	csr         func([]byte) []byte                     // changes it
	certificate *x509.Certificate                       // of the messages' signer
}

var soft = wcce.Device{Manufacturer: "id:534F4654", Model: "software", Version: "id:00000001"}

// good returns an attempt that deserves a challenge.
func (l *lab) good(t testing.TB) *attempt {
	t.Helper()
	cert, err := scep.ProtocolCertificate(l.signer, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &attempt{
		device: soft, ekDevice: soft, ek: l.ek.Public(), ekKey: l.ek.Public(), issuer: l.ca,
		purpose: wcce.OIDKeyPurposeEK, info: func(*wcce.EKInfo) {},
		extra: []*x509.Certificate{l.ca.Certificate}, recipient: l.caInfo.Recipient, signerHash: cert.Raw,
		csrKey: l.aik.Public(), attestKey: l.aik, attestKind: tpm2.TPMSTAttestCreation,
		attributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, Restricted: true, SignEncrypt: true,
		},
		attest:      tpm2.TPMSAttest{Magic: tpm2.TPMGeneratedValue},
		binding:     func(*wcce.IDBinding) {},
		csrAttrs:    func(a []wcce.Attribute) []wcce.Attribute { return a },
		csr:         func(b []byte) []byte { return b },
		certificate: cert,
	}
}

// request returns the SCEP request of an attempt.
func (l *lab) request(t testing.TB, a *attempt) *scep.Request {
	t.Helper()
	spki := marshalKey(t, a.csrKey)
	attrs, err := (&wcce.Client{OSVersion: "1", Provider: "p"}).Attributes(a.signerHash)
	if err != nil {
		t.Fatal(err)
	}
	san, err := a.device.AltName(true)
	if err != nil {
		t.Fatal(err)
	}
	exts, err := wcce.ExtensionsAttribute([]pkix.Extension{san})
	if err != nil {
		t.Fatal(err)
	}
	kast := a.kast
	kast.IDBinding = l.binding(t, a)
	attrs = append(attrs, exts, wcce.OctetAttribute(wcce.OIDAttestation, kast.Marshal()), wcce.EKInfoAttribute(l.ekInfo(t, a)))
	csr, err := wcce.MarshalCSR(spki, a.csrAttrs(attrs))
	if err != nil {
		t.Fatal(err)
	}
	return &scep.Request{CSR: a.csr(csr), Signer: l.signer, Certificate: a.certificate, Extra: a.extra}
}

// ekInfo returns the endorsement certificate, encrypted.
func (l *lab) ekInfo(t testing.TB, a *attempt) []byte {
	t.Helper()
	san, err := a.ekDevice.AltName(true)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.issuer.Issue(&x509.Certificate{
		KeyUsage: x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{a.purpose}, ExtraExtensions: []pkix.Extension{san},
	}, a.ekKey)
	if err != nil {
		t.Fatal(err)
	}
	info := wcce.EKInfo{PublicKey: marshalKey(t, a.ek), Certificates: [][]byte{cert.Raw}}
	if a.noCert {
		info.Certificates = nil
	}
	a.info(&info)
	plain, err := info.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := cms.Encrypt(plain, a.recipient, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// binding returns a creation statement as a TPM would make it.
func (l *lab) binding(t testing.TB, a *attempt) []byte {
	t.Helper()
	area := tpm2.Marshal(tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a.attributes,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Scheme: tpm2.TPMTRSAScheme{
				Scheme:  tpm2.TPMAlgRSASSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
			KeyBits: 2048,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: l.aik.N.Bytes()}),
	})
	parent := tpm2.TPM2BName{Buffer: append([]byte{0, 0x0b}, make([]byte, 32)...)}
	creation := tpm2.Marshal(tpm2.TPMSCreationData{
		Locality: tpm2.TPMALocality{TPMLocZero: true}, ParentNameAlg: tpm2.TPMAlgSHA256, ParentName: parent, ParentQualifiedName: parent,
	})
	sum, name := sha256.Sum256(creation), sha256.Sum256(area)
	object := tpm2.TPM2BName{Buffer: append([]byte{0, 0x0b}, name[:]...)}
	att := a.attest
	att.Type, att.QualifiedSigner = a.attestKind, object
	switch a.attestKind {
	case tpm2.TPMSTAttestCreation:
		att.Attested = tpm2.NewTPMUAttest(a.attestKind, &tpm2.TPMSCreationInfo{ObjectName: object, CreationHash: tpm2.TPM2BDigest{Buffer: sum[:]}})
	default:
		att.Attested = tpm2.NewTPMUAttest(a.attestKind, &tpm2.TPMSCertifyInfo{Name: object, QualifiedName: object})
	}
	b := &wcce.IDBinding{PublicArea: area, CreationData: creation, Attest: tpm2.Marshal(att)}
	digest := sha256.Sum256(b.Attest)
	sig, err := rsa.SignPKCS1v15(nil, a.attestKey, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	b.Signature = tpm2.Marshal(tpm2.TPMTSignature{
		SigAlg: tpm2.TPMAlgRSASSA,
		Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgRSASSA, &tpm2.TPMSSignatureRSA{
			Hash: tpm2.TPMAlgSHA256, Sig: tpm2.TPM2BPublicKeyRSA{Buffer: sig},
		}),
	})
	a.binding(b)
	out, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func marshalKey(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
