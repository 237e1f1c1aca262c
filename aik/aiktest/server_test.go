package aiktest_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/pkimsg"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// authority returns the name of the authority of the maker's CA.
func (l *lab) authority(vendor string) string {
	return vendor + "-KeyId-" + hex.EncodeToString(l.ca.Certificate.SubjectKeyId)
}

// without drops an attribute of a request.
func without(i int) func([]wcce.Attribute) []wcce.Attribute {
	return func(a []wcce.Attribute) []wcce.Attribute { return append(a[:i:i], a[i+1:]...) }
}

func TestRefusals(t *testing.T) {
	l := newLab(t)
	const parse, ek, statement = "Failed to parse", "No valid TPM EK", "Attestation statement"
	for _, tt := range []struct {
		name    string
		change  func(l *lab, a *attempt)
		reason  string // in the server's log
		message string // to the client
	}{
		{"null signature", func(_ *lab, a *attempt) { a.csr = func(b []byte) []byte { b[len(b)-1]++; return b } }, "null signature does not hold", parse},
		{"signer hash", func(_ *lab, a *attempt) { a.signerHash = []byte("other") }, "signer hash", parse},
		{"no signer hash", func(_ *lab, a *attempt) { a.csrAttrs = without(1) }, "no attribute", parse},

		{"no EK_INFO", func(_ *lab, a *attempt) { a.csrAttrs = without(7) }, "no attribute", parse},
		{"EK_INFO for somebody else", func(l *lab, a *attempt) { a.recipient = l.ca.Certificate }, "cannot be decrypted", parse},
		{"no endorsement certificate", func(_ *lab, a *attempt) { a.noCert = true }, "no endorsement certificate", ek},
		{"another endorsement key", func(l *lab, a *attempt) { a.ek = l.stranger.Public() }, "certificate is for another key", ek},
		{"issuers missing", func(_ *lab, a *attempt) { a.extra = nil }, "a trusted root", ek},
		{"another CA that poses as it", func(l *lab, a *attempt) {
			a.issuer, a.extra = l.impostor, []*x509.Certificate{l.impostor.Certificate}
		}, "of another authority", ek},
		{"weak endorsement key", func(_ *lab, a *attempt) { a.ek, a.ekKey = weakKey(), weakKey() }, "CVE-2017-15361", statement},
		{"endorsement key in another form", func(_ *lab, a *attempt) { a.info = func(i *wcce.EKInfo) { i.PublicKey = longer(i.PublicKey) } }, "not in canonical DER form", ek},
		{"certificate of an attestation key", func(_ *lab, a *attempt) { a.purpose = wcce.OIDKeyPurposeAIK }, "not an endorsement key certificate", ek},
		{"names another version", func(_ *lab, a *attempt) { a.ekDevice.Version = "" }, "names another TPM", ek},
		{"another CA of the maker", func(l *lab, a *attempt) {
			a.issuer, a.extra = l.other, []*x509.Certificate{l.other.Certificate}
		}, "of another authority", ek},
		{"another maker's name", func(_ *lab, a *attempt) { a.ekDevice.Manufacturer = "id:494E5443" }, "a trusted root", ek},
		{"denied", func(l *lab, _ *attempt) { l.denied = true }, "deny list", ek},
		{"names another TPM", func(_ *lab, a *attempt) { a.device.Model = "another" }, "names another TPM", ek},
		{"names no TPM", func(_ *lab, a *attempt) { a.csrAttrs = without(5) }, "no attribute", parse},

		{"no statement", func(_ *lab, a *attempt) { a.csrAttrs = without(6) }, "no attribute", parse},
		{"TPM 1.2", func(_ *lab, a *attempt) { a.kast.Platform = wcce.PlatformTPM12 }, "not a TPM 2.0 statement", parse},
		{"key attestation", func(_ *lab, a *attempt) { a.kast.KeyAttestation = []byte{1} }, "not a TPM 2.0 statement", parse},
		{"trailing bytes", func(_ *lab, a *attempt) { a.binding = func(b *wcce.IDBinding) { b.Signature = append(b.Signature, 0) } }, "does not end", parse},
		{"about another key", func(l *lab, a *attempt) { a.csrKey = l.stranger.Public() }, "another key than the request's", statement},
		{"not fixedTPM", func(_ *lab, a *attempt) { a.attributes.FixedTPM = false }, "not have the attributes", statement},
		{"not fixedParent", func(_ *lab, a *attempt) { a.attributes.FixedParent = false }, "not have the attributes", statement},
		{"imported", func(_ *lab, a *attempt) { a.attributes.SensitiveDataOrigin = false }, "not have the attributes", statement},
		{"not restricted", func(_ *lab, a *attempt) { a.attributes.Restricted = false }, "not have the attributes", statement},
		{"does not sign", func(_ *lab, a *attempt) { a.attributes.SignEncrypt = false }, "not have the attributes", statement},
		{"decrypts", func(_ *lab, a *attempt) { a.attributes.Decrypt = true }, "not have the attributes", statement},
		{"not made by a TPM", func(_ *lab, a *attempt) { a.attest.Magic = 0x12345678 }, "statement is not valid", statement},
		{"certification", func(_ *lab, a *attempt) { a.attestKind = tpm2.TPMSTAttestCertify }, "statement is not valid", statement},
		{"of another time", func(_ *lab, a *attempt) { a.attest.ExtraData.Buffer = []byte("nonce") }, "statement is not valid", statement},
		{"signed by another key", func(l *lab, a *attempt) { a.attestKey = l.stranger }, "statement is not valid", statement},
		{"another creation", func(_ *lab, a *attempt) {
			a.binding = func(b *wcce.IDBinding) { b.CreationData[len(b.CreationData)-5]++ }
		}, "statement is not valid", statement},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(l.server.Refusals())
			a := l.good(t)
			tt.change(l, a)
			defer func() { l.denied = false }()
			_, err := l.client.Enroll(t.Context(), l.caInfo, l.request(t, a))
			var e *scep.Error
			if !errors.As(err, &e) || e.HTTPStatus != http.StatusBadRequest || !strings.Contains(e.Message, tt.message) {
				t.Errorf("error is %v, not %q", err, tt.message)
			}
			if got := l.server.Refusals()[before:]; len(got) != 1 || !strings.Contains(got[0], tt.reason) {
				t.Errorf("refusals %q, not %q", got, tt.reason)
			}
		})
	}
	l.begin(t) // nothing of it sticks
}

// weakKey is an RSA key with the fingerprint of CVE-2017-15361: by each of its
// primes, 1 is left of the modulus, the lowest power of 65537.
func weakKey() *rsa.PublicKey {
	m := big.NewInt(2)
	for _, p := range []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		m.Mul(m, big.NewInt(p))
	}
	n := new(big.Int).Lsh(big.NewInt(3), 2046)
	n.Sub(n, new(big.Int).Mod(n, m))
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

// longer puts NULL at the end of a SEQUENCE of over 127 bytes.
func longer(der []byte) []byte {
	out := append(bytes.Clone(der), 0x05, 0x00)
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)-4))
	return out
}

// TestPartOfAName has endorsement certificates that do not name all of the TPM.
func TestPartOfAName(t *testing.T) {
	l := newLab(t)
	for name, device := range map[string]wcce.Device{
		"no model":   {Manufacturer: soft.Manufacturer, Version: soft.Version},
		"no version": {Manufacturer: soft.Manufacturer, Model: soft.Model},
	} {
		a := l.good(t)
		a.device, a.ekDevice = device, device
		if _, err := l.client.Enroll(t.Context(), l.caInfo, l.request(t, a)); err != nil {
			t.Errorf("%s: %v; refusals %q", name, err, l.server.Refusals())
		}
	}
}

// begin returns a request that was answered by a challenge.
func (l *lab) begin(t testing.TB) (*scep.Request, *scep.Reply, *wcce.Challenge) {
	t.Helper()
	req := l.request(t, l.good(t))
	reply, err := l.client.Enroll(t.Context(), l.caInfo, req)
	if err != nil {
		t.Fatalf("%v; refusals %q", err, l.server.Refusals())
	}
	if reply.Status != scep.StatusChallenge {
		t.Fatalf("status is %v", reply.Status)
	}
	c, err := wcce.ParseChallenge(reply.Content)
	if err != nil {
		t.Fatal(err)
	}
	tach, err := wcce.ParseTACH(c.TACH)
	if err != nil || len(tach.Blob) != 2+32+2+32 || len(tach.EncryptedSecret) != 256 {
		t.Errorf("TACH %+v, %v", tach, err)
	}
	return req, reply, c
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(t *testing.T, l *lab, c *wcce.Challenge) []byte
		reason string
	}{
		{"garbage", func(*testing.T, *lab, *wcce.Challenge) []byte { return []byte{0x31, 0} }, "malformed"},
		{"another context", func(t *testing.T, l *lab, c *wcce.Challenge) []byte {
			return l.answer(t, []byte("secret"), []byte{0x04, 0x01, 0x00}, l.caInfo.Recipient)
		}, "context is not the challenge's"},
		{"for somebody else", func(t *testing.T, l *lab, c *wcce.Challenge) []byte {
			return l.answer(t, []byte("secret"), c.Context, l.ca.Certificate)
		}, "cannot be decrypted"},
		{"wrong secret", func(t *testing.T, l *lab, c *wcce.Challenge) []byte {
			return l.answer(t, make([]byte, 32), c.Context, l.caInfo.Recipient)
		}, "secret is wrong"},
		{"empty secret", func(t *testing.T, l *lab, c *wcce.Challenge) []byte {
			return l.answer(t, nil, c.Context, l.caInfo.Recipient)
		}, "secret is wrong"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			req, reply, c := l.begin(t)
			content := tt.answer(t, l, c)
			if _, err := l.client.Answer(t.Context(), l.caInfo, req, reply, content); err == nil {
				t.Error("the answer is taken")
			}
			if got := l.server.Refusals(); len(got) != 1 || !strings.Contains(got[0], tt.reason) {
				t.Errorf("refusals %q, not %q", got, tt.reason)
			}
			// There is no second try.
			if _, err := l.client.Answer(t.Context(), l.caInfo, req, reply, content); err == nil {
				t.Error("the second answer is taken")
			}
			if got := l.server.Refusals(); len(got) != 2 || !strings.Contains(got[1], "no challenge is open") {
				t.Errorf("refusals %q", got)
			}
		})
	}
}

// answer returns the content of an answer.
func (l *lab) answer(t testing.TB, secret, context []byte, recipient *x509.Certificate) []byte {
	t.Helper()
	sealed, err := cms.Encrypt(secret, recipient, cms.AES128CBC)
	if err != nil {
		t.Fatal(err)
	}
	out, err := (&wcce.Answer{Secret: sealed, Context: context}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAnotherSigner has somebody else answer.
func TestAnotherSigner(t *testing.T) {
	l := newLab(t)
	req, reply, c := l.begin(t)
	other := *req
	other.Signer = l.stranger
	var err error
	if other.Certificate, err = scep.ProtocolCertificate(l.stranger, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.client.Answer(t.Context(), l.caInfo, &other, reply, l.answer(t, []byte("s"), c.Context, l.caInfo.Recipient)); err == nil {
		t.Error("the answer is taken")
	}
	if got := l.server.Refusals(); len(got) != 1 || !strings.Contains(got[0], "not signed by the signer of the request") {
		t.Errorf("refusals %q", got)
	}
}

// TestRepeatedNonce sends request and answer with the same senderNonce, as a client does
// that gets real certificates.
func TestRepeatedNonce(t *testing.T) {
	for quirks, reason := range map[sceptest.Quirk]string{
		0:                           "senderNonce was used before",
		sceptest.QuirkRepeatedNonce: "malformed", // the answer is read
	} {
		l := newLabOf(t, quirks)
		req := l.request(t, l.good(t))
		send := func(kind pkimsg.Type, content []byte) {
			t.Helper()
			envelope, err := cms.Encrypt(content, l.caInfo.Recipient, cms.AES128CBC)
			if err != nil {
				t.Fatal(err)
			}
			info := &pkimsg.Info{Type: kind, TransactionID: "1", SenderNonce: make([]byte, 16), Status: pkimsg.None, FailInfo: pkimsg.None}
			der, err := pkimsg.Sign(info, envelope, crypto.SHA256, req.Signer, req.Certificate, req.Extra)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.Post(l.client.URL+"?operation=PKIOperation", "application/x-pki-message", bytes.NewReader(der))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
		}
		send(pkimsg.PKCSReq, req.CSR)
		if got := l.server.Refusals(); len(got) > 0 {
			t.Fatalf("refusals %q", got)
		}
		send(pkimsg.ChallengeAnswer, []byte{0x31, 0})
		if got := l.server.Refusals(); len(got) != 1 || !strings.Contains(got[0], reason) {
			t.Errorf("quirks %b: refusals %q", quirks, got)
		}
	}
}

// TestOpaque checks that what a request's statement carries along comes back.
func TestOpaque(t *testing.T) {
	l := newLab(t)
	a := l.good(t)
	a.kast.AIKOpaque = []byte("keep this")
	reply, err := l.client.Enroll(t.Context(), l.caInfo, l.request(t, a))
	if err != nil {
		t.Fatal(err)
	}
	c, err := wcce.ParseChallenge(reply.Content)
	if err != nil {
		t.Fatal(err)
	}
	tach, err := wcce.ParseTACH(c.TACH)
	if err != nil || string(tach.Opaque) != "keep this" {
		t.Errorf("got %+v, %v", tach, err)
	}
}

func TestAuthorities(t *testing.T) {
	l := newLab(t)
	id := hex.EncodeToString(l.ca.Certificate.SubjectKeyId)
	foreign := x509.NewCertPool()
	foreign.AddCert(l.other.Certificate)
	for _, tt := range []struct {
		name, host, path string
		roots            ekcert.Roots
		status           int
	}{
		{"in the path", "example.test", "/SOFT-KeyId-" + id + "/templates/Aik/scep", nil, 200},
		{"in the host", "soft-keyid-" + id + ".example.test:443", "/templates/Aik/scep", nil, 200},
		{"in upper case", "SOFT-KEYID-" + strings.ToUpper(id) + ".example.test", "/", nil, 200},
		{"another maker", "example.test", "/INTC-KeyId-" + id, nil, 404},
		{"another key", "example.test", "/SOFT-KeyId-" + id[2:] + "00", nil, 404},
		{"the root, which is no maker", "example.test", "/SOFT-KeyId-" + hex.EncodeToString(l.root.Certificate.SubjectKeyId), nil, 404},
		{"no hexadecimal", "example.test", "/SOFT-KeyId-xyz", nil, 404},
		{"no key", "example.test", "/SOFT-KeyId-", nil, 404},
		{"no name", "example.test", "/scep", nil, 404},
		{"roots for every maker", "example.test", "/ANY-KeyId-" + id, ekcert.Roots{"": l.server.EKRoots["SOFT"]}, 200},
		{"a vendor without letters", "example.test", "/00001014-KeyId-" + id, ekcert.Roots{"": l.server.EKRoots["SOFT"]}, 200},
		{"a vendor of five letters", "example.test", "/SOFTS-KeyId-" + id, ekcert.Roots{"": l.server.EKRoots["SOFT"]}, 404},
		{"a vendor with other signs", "example.test", "/SO.T-KeyId-" + id, ekcert.Roots{"": l.server.EKRoots["SOFT"]}, 404},
		{"no vendor", "example.test", "/-KeyId-" + id, ekcert.Roots{"": l.server.EKRoots["SOFT"]}, 404},
		{"other roots", "example.test", "/SOFT-KeyId-" + id, ekcert.Roots{"SOFT": foreign}, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &aiktest.Server{Makers: l.server.Makers, EKRoots: tt.roots}
			if tt.roots == nil {
				s.EKRoots = l.server.EKRoots
			}
			r := httptest.NewRequest(http.MethodGet, "http://"+tt.host+tt.path+"?operation=GetCACaps", nil)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			body, _ := io.ReadAll(w.Body)
			if w.Code != tt.status {
				t.Fatalf("status %d: %s", w.Code, body)
			}
			want := "SHA-256\nSHA-1\nAES256\nAES128\nDES3\nPOSTPKIOperation\nIdentityKeyAttestation\nGetCaCertChain\r\n"
			if tt.status == 404 {
				want = `does not exist"}`
			}
			if !strings.HasSuffix(string(body), want) {
				t.Errorf("body %q", body)
			}
		})
	}
}

// TestAuthoritiesEnd asks for more authorities than a server makes.
func TestAuthoritiesEnd(t *testing.T) {
	aiktest.LimitAuthorities(t, 2)
	l := newLab(t)
	s := &aiktest.Server{Makers: l.server.Makers, EKRoots: ekcert.Roots{"": l.server.EKRoots["SOFT"]}}
	ask := func(vendor string) int {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://ca.test/"+l.authority(vendor)+"?operation=GetCACaps", nil))
		return w.Code
	}
	for i, tt := range []struct {
		vendor string
		code   int
	}{{"one", 200}, {"two", 200}, {"more", 500}, {"one", 200}} {
		if code := ask(tt.vendor); code != tt.code {
			t.Errorf("%d: %s: %d", i, tt.vendor, code)
		}
	}
}

// TestRegistrationAuthorities checks the certificates that the server uses.
func TestRegistrationAuthorities(t *testing.T) {
	l := newLab(t)
	if l.caInfo.Signer.Equal(l.caInfo.Recipient) || l.caInfo.Signer.IsCA || l.caInfo.Recipient.IsCA {
		t.Error("signer and recipient are not two RAs")
	}
	certs := l.server.Certificates()
	if len(certs) != 2 || !certs[0].IsCA || certs[0].KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign ||
		!certs[0].MaxPathLenZero || len(certs[0].UnknownExtKeyUsage) != 2 {
		t.Errorf("%d certificates", len(certs))
	}
	if err := certs[0].CheckSignatureFrom(certs[1]); err != nil {
		t.Error(err)
	}
	for _, ra := range []*x509.Certificate{l.caInfo.Signer, l.caInfo.Recipient} { // as real ones
		var critical bool
		for _, e := range ra.Extensions {
			critical = critical || e.Critical && e.Id.String() == "2.5.29.19" && string(e.Value) == "\x30\x00"
		}
		if !critical || len(ra.IssuingCertificateURL) != 1 || len(ra.UnknownExtKeyUsage) != 1 || len(ra.AuthorityKeyId) == 0 || len(ra.SubjectKeyId) == 0 {
			t.Errorf("%s: %+v", ra.Subject, ra.Extensions)
		}
	}
}
