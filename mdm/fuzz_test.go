package mdm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
)

// FuzzDiscovery feeds SOAP answers, with faults, to a discovery.
func FuzzDiscovery(f *testing.F) {
	for _, seed := range []string{
		"", "<html>", fault("s:Authorization", "DeviceCapReached"), fault("a:InternalServiceFault", ""),
		soap11 + "<s:Fault><faultcode>s:Client.Authentication</faultcode></s:Fault>" + end,
		discovered("<EnrollmentServiceUrl>https://mdm.test/e</EnrollmentServiceUrl><EnrollmentVersion>5.0</EnrollmentVersion>"),
		discovered("<EnrollmentServiceUrl>http://mdm.test/e</EnrollmentServiceUrl>"),
		`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, strings.Repeat("<a>", 100),
	} {
		f.Add(seed, 200)
		f.Add(seed, 500)
	}
	f.Fuzz(func(t *testing.T, body string, status int) {
		if status < 200 || status > 599 {
			t.Skip("no status")
		}
		c := &mdm.Client{HTTPClient: &http.Client{Transport: canned{Status: status, Body: body}}}
		d, err := c.Discover(t.Context(), "https://mdm.test/d", "")
		if (d == nil) == (err == nil) {
			t.Fatalf("%+v, %v", d, err)
		}
		if err != nil {
			e := failure(t, err)
			_, _ = e.Error(), e.Remedy()
			if e.Fault == nil && e.HRESULT() == 0 && status != http.StatusFound {
				t.Errorf("no code: %v", e)
			}
			return
		}
		if !strings.HasPrefix(d.EnrollURL, "http") || d.EnrollVersion == "" {
			t.Errorf("accepted: %+v", d)
		}
	})
}

// FuzzPolicy feeds policies.
func FuzzPolicy(f *testing.F) {
	f.Add(policies("<privateKeyAttributes><minimalKeyLength>2048</minimalKeyLength><cryptoProviders><provider>A</provider></cryptoProviders></privateKeyAttributes>"+
		"<hashAlgorithmOIDReference>7</hashAlgorithmOIDReference>", oid("2.16.840.1.101.3.4.2.1", "1", "7")))
	f.Add(policies("<permission><enroll>false</enroll></permission>", ""))
	f.Add(soap12 + `<GetPoliciesResponse><xcep:response xsi:nil="true"/></GetPoliciesResponse>` + end)
	f.Fuzz(func(t *testing.T, body string) {
		p, err := readPolicy(t, body)
		if (p == nil) == (err == nil) {
			t.Fatalf("%+v, %v", p, err)
		}
		if p != nil && (p.MinimalKeyLength < 2048 || p.Hash < crypto.SHA256 || p.Validity < 0) {
			t.Errorf("accepted: %+v", p)
		}
	})
}

// FuzzDocument feeds provisioning documents.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(madeDocument(f, &fuzzKey(f).PublicKey)))
	f.Add([]byte(`<wap-provisioningdoc version="1.1"><characteristic type="CertificateStore"><characteristic type="My"/></characteristic></wap-provisioningdoc>`))
	f.Add([]byte(utf16Text(`<wap-provisioningdoc><nocharacteristic type="A"/><characteristic type="B"><noparm name="c"/></characteristic></wap-provisioningdoc>`)))
	f.Add([]byte(`<wap-provisioningdoc><characteristic type="APPLICATION"><parm name="APPID" value="w7"/></characteristic></wap-provisioningdoc>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := mdm.ParseDocument(data)
		if (doc == nil) == (err == nil) {
			t.Fatalf("%+v, %v", doc, err)
		}
		if err != nil {
			return
		}
		certs, err := doc.Certificates()
		for _, c := range certs {
			if err != nil || c.Certificate == nil {
				t.Errorf("certificate %v, %v", c, err)
			}
		}
		if account, err := doc.Account(); err == nil {
			if account.ProviderID == "" || account.Address == "" {
				t.Errorf("account %+v", account)
			}
			doc.Provider(account.ProviderID)
		}
	})
}

// answered is the answer to an enrollment, with a provisioning document.
func answered(document []byte) string {
	return soap12 + `<RequestSecurityTokenResponseCollection><RequestSecurityTokenResponse><RequestedSecurityToken><BinarySecurityToken>` +
		base64.StdEncoding.EncodeToString(document) +
		`</BinarySecurityToken></RequestedSecurityToken></RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>` + end
}

// FuzzEnvelope feeds answers to an enrollment, which must never accept one
// without a certificate of its key.
func FuzzEnvelope(f *testing.F) {
	key := fuzzKey(f)
	signer := &memory{Signer: key}
	good := madeDocument(f, &key.PublicKey)
	f.Add(answered([]byte(good)))
	f.Add(answered([]byte("<wap-provisioningdoc/>")))
	f.Add(fault("s:CertificateRequest", ""))
	f.Add(soap12 + "<RequestSecurityTokenResponseCollection/>" + end)
	f.Add(good)
	f.Fuzz(func(t *testing.T, body string) {
		if strings.HasPrefix(body, "<wap") {
			body = answered([]byte(body))
		}
		c := &mdm.Client{Device: mdm.Device{ID: testDevice}, HTTPClient: &http.Client{Transport: canned{Status: 200, Body: body}}}
		got, err := c.Enroll(t.Context(), &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: signer})
		if got == nil {
			if failure(t, err).HRESULT() == 0 {
				t.Errorf("no code: %v", err)
			}
			return
		}
		if err != nil || !key.PublicKey.Equal(got.Certificate.PublicKey) || len(got.Issuers) == 0 || got.Server == "" {
			t.Errorf("accepted %+v, %v", got, err)
		}
	})
}

// A document made here is accepted; otherwise the fuzz targets try nothing.
func TestMadeDocument(t *testing.T) {
	c := &mdm.Client{
		Device:     mdm.Device{ID: testDevice},
		HTTPClient: &http.Client{Transport: canned{Status: 200, Body: answered([]byte(madeDocument(t, &mdmKey().PublicKey)))}},
	}
	e, err := c.Enroll(t.Context(), &mdm.Discovery{EnrollURL: "https://mdm.test/e"}, nil, &mdm.Request{Credential: mdm.Token("a.b.c"), Key: mdmKey()})
	if err != nil || e.Scope != "User" || len(e.Issuers) != 1 {
		t.Errorf("%+v, %v", e, err)
	}
}

// madeDocument returns a provisioning document with a certificate of pub, by
// an authority of its own.
func madeDocument(t testing.TB, pub crypto.PublicKey) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "device"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}
	stored := func(template *x509.Certificate, pub crypto.PublicKey, path ...string) string {
		der, err := x509.CreateCertificate(rand.Reader, template, ca, pub, key)
		if err != nil {
			t.Fatal(err)
		}
		text := `<parm name="EncodedCertificate" value="` + base64.StdEncoding.EncodeToString(der) + `"/>`
		for _, name := range append([]string{fmt.Sprintf("%x", sha1.Sum(der))}, path...) {
			text = `<characteristic type="` + name + `">` + text + `</characteristic>`
		}
		return text
	}
	return `<wap-provisioningdoc version="1.1">` + stored(ca, &key.PublicKey, "System", "Root", "CertificateStore") +
		stored(leaf, pub, "User", "My", "CertificateStore") +
		`<characteristic type="APPLICATION"><parm name="APPID" value="w7"/><parm name="PROVIDER-ID" value="TestMDM"/>` +
		`<parm name="ADDR" value="https://mdm.test/s"/></characteristic></wap-provisioningdoc>`
}

// fuzzKey is mdmKey, or ends the target.
func fuzzKey(f *testing.F) *rsa.PrivateKey {
	f.Helper()
	if mdmKey() == nil {
		f.Fatal("no key")
	}
	return mdmKey()
}

// A memory signs the same only once, which makes a fuzz target fast.
type memory struct {
	crypto.Signer
	known sync.Map
}

func (m *memory) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if sig, ok := m.known.Load(string(digest)); ok {
		return sig.([]byte), nil
	}
	sig, err := m.Signer.Sign(r, digest, opts)
	if err == nil {
		m.known.Store(string(digest), sig)
	}
	return sig, err
}

// FuzzTokenAnswer feeds answers to a nonce request and to a token request.
func FuzzTokenAnswer(f *testing.F) {
	f.Add(`{"Nonce":"abc"}`, `{"token_type":"Bearer","access_token":"a.b.c"}`)
	f.Add(`{"Nonce":"abc"}`, `{"error":"invalid_grant","error_description":"AADSTS50155: no","trace_id":"x"}`)
	f.Add(`{}`, `[]`)
	cert := deviceCertificate(f)
	f.Fuzz(func(t *testing.T, nonce, answer string) {
		c := &mdm.TokenClient{
			Endpoint:   "https://login.test/token",
			HTTPClient: &http.Client{Transport: newScript([]string{"200 " + nonce, "200 " + answer})},
		}
		token, err := c.Exchange(t.Context(), &mdm.TokenRequest{Certificate: cert, DeviceKey: mdmKey()})
		if (token == "") == (err == nil) {
			t.Fatalf("%q, %v", string(token), err)
		}
		if err != nil {
			_, _ = failure(t, err).Error(), failure(t, err).Remedy()
		}
		if strings.ContainsAny(string(token), " \r\n\x00") {
			t.Errorf("accepted %q", string(token))
		}
	})
}

// FuzzFault feeds faults: each is an error with a code and a remedy or none,
// and none is taken for an answer.
func FuzzFault(f *testing.F) {
	f.Add("s:Receiver", "s:Authorization", "DeviceNotSupported", "no", false)
	f.Add("s:Client.Authentication", "a:InvalidSecurity", "</s:Fault>", "&x;", true)
	f.Add("", "", "", "", false)
	f.Fuzz(func(t *testing.T, code, subcode, errorType, reason string, old bool) {
		body := soap12 + `<s:Fault><s:Code><s:Value>` + code + `</s:Value><s:Subcode><s:Value>` + subcode + `</s:Value></s:Subcode></s:Code><s:Reason><s:Text>` +
			reason + `</s:Text></s:Reason><s:Detail><DeviceEnrollmentServiceError><ErrorType>` + errorType + `</ErrorType></DeviceEnrollmentServiceError></s:Detail></s:Fault>` + end
		if old {
			body = soap11 + `<s:Fault><faultcode>` + code + `</faultcode><faultstring>` + reason + `</faultstring></s:Fault>` + end
		}
		c := &mdm.Client{HTTPClient: &http.Client{Transport: canned{Status: 500, Body: body}}}
		d, err := c.Discover(t.Context(), "https://mdm.test/d", "")
		if d != nil {
			t.Fatalf("accepted %+v", d)
		}
		e := failure(t, err)
		if e.HRESULT() == 0 || len(e.Error()) > 8000 {
			t.Errorf("code %#x, %d characters", e.HRESULT(), len(e.Error()))
		}
		_ = e.Remedy()
	})
}
