package mdmtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/rsablob"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// refused sends a request and checks the fault and the record of it.
func (s *setting) refused(t *testing.T, path, body, subcode, errorType, reason string) {
	t.Helper()
	before, issued := len(s.Refusals()), len(s.Enrolled())
	status, answer := s.send(t, path, body)
	if status != http.StatusInternalServerError || !strings.Contains(answer, ">"+subcode+"</s:Value>") ||
		errorType != "" && !strings.Contains(answer, "<ErrorType>"+errorType+"</ErrorType>") {
		t.Errorf("answer %d: %s", status, answer)
	}
	record := s.Refusals()[before:]
	if len(record) != 1 || !strings.Contains(record[0], reason) {
		t.Errorf("refusals: %q, want %q", record, reason)
	}
	if len(s.Enrolled()) != issued {
		t.Error("a certificate was issued")
	}
}

func TestTokensRefused(t *testing.T) {
	s := start(t, new(mdmtest.Server))
	with := func(name string, value any) jwt.MapClaims {
		c := goodClaims()
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
		return c
	}
	rs := func(c jwt.MapClaims) string { return signed(t, jwt.SigningMethodRS256, issuerKey(), c) }
	good := rs(goodClaims())
	der, err := x509.MarshalPKIXPublicKey(&issuerKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	parts := strings.Split(good, ".")
	admin := base64.RawURLEncoding.EncodeToString([]byte(`{"deviceid":"` + otherGUID + `"}`))
	for _, c := range []struct{ name, token, subcode, reason string }{
		{"another tenant", rs(with("tid", otherGUID)), "s:Authentication", "tenant"},
		{"issuer of another tenant", rs(with("iss", "https://sts.windows.net/"+otherGUID+"/")), "s:Authentication", "issuer"},
		{"no issuer", rs(with("iss", nil)), "s:Authentication", "iss"},
		{"another audience", rs(with("aud", "https://graph.microsoft.com/")), "s:Authentication", "audience"},
		{"no audience", rs(with("aud", nil)), "s:Authentication", "aud"},
		{"expired", rs(with("exp", time.Now().Add(-time.Second).Unix())), "s:Authentication", "expired"},
		{"no end", rs(with("exp", nil)), "s:Authentication", "exp"},
		{"not yet valid", rs(with("nbf", time.Now().Add(time.Minute).Unix())), "s:Authentication", "not valid yet"},
		{"no begin", rs(with("nbf", nil)), "s:Authentication", "nbf"},
		{"of a user", rs(with("idtyp", "user")), "s:Authorization", "not of a device"},
		{"no device", rs(with("deviceid", nil)), "s:Authentication", "deviceid"},
		{"device without form", rs(with("deviceid", "x")), "s:Authentication", "deviceid"},
		{"forged", signed(t, jwt.SigningMethodRS256, otherKey(), goodClaims()), "s:Authentication", "signature"},
		{"changed", parts[0] + "." + admin + "." + parts[2], "s:Authentication", "signature"},
		{"alg none", signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, goodClaims()), "s:Authentication", "signing method none"},
		{"alg HS256 with the public key", signed(t, jwt.SigningMethodHS256, public, goodClaims()), "s:Authentication", "signing method HS256"},
		{"alg HS256 with the key's DER", signed(t, jwt.SigningMethodHS256, der, goodClaims()), "s:Authentication", "signing method HS256"},
		{"alg PS256", signed(t, jwt.SigningMethodPS256, issuerKey(), goodClaims()), "s:Authentication", "signing method PS256"},
		{"no JWT", "token", "s:Authentication", "not a JWT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.refused(t, enrollPath, withToken(s.enroll, c.token), c.subcode, "", c.reason)
			s.refused(t, policyPath, withToken(s.policy, c.token), c.subcode, "", c.reason)
		})
	}
	t.Run("another type", func(t *testing.T) {
		s.refused(t, enrollPath, strings.Replace(s.enroll, "token-type:jwt", "token-type:saml", 1), "a:InvalidSecurity", "", "saml")
	})
	t.Run("no token", func(t *testing.T) {
		none := regexp.MustCompile(`<wsse:Security.*</wsse:Security>`).ReplaceAllString(s.enroll, "")
		s.refused(t, enrollPath, none, "a:InvalidSecurity", "", "wsse:Security")
	})
}

// A server that was told of no key trusts nobody.
func TestNoTokenKey(t *testing.T) {
	s := start(t, new(mdmtest.Server))
	s.Server.TokenKey = func() *rsa.PublicKey { return nil }
	s.refused(t, enrollPath, s.enroll, "s:Authentication", "", "no key")
}

func TestCSRsRefused(t *testing.T) {
	s := start(t, new(mdmtest.Server))
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := func(cn string) *x509.CertificateRequest {
		return &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}, SignatureAlgorithm: x509.SHA256WithRSA}
	}
	broken := csr(t, name(testDevice), deviceKey())
	broken[len(broken)-1] ^= 1
	for _, c := range []struct {
		name, reason string
		der          []byte
	}{
		{"small key", "1024 bits", csr(t, name(testDevice), small)},
		{"elliptic key", "ecdsa", csr(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: testDevice}}, curve)},
		{"wrong signature", "verification error", broken},
		{"another device", "not CN=", csr(t, name(otherGUID), deviceKey())},
		{"more names", "not CN=", csr(t, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: testDevice, Organization: []string{"x"}}, SignatureAlgorithm: x509.SHA256WithRSA,
		}, deviceKey())},
		{"SHA-512", "SHA512", csr(t, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: testDevice}, SignatureAlgorithm: x509.SHA512WithRSA,
		}, deviceKey())},
		{"no request", "not a PKCS #10 request", []byte("request")},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.refused(t, enrollPath, withCSR(s.enroll, c.der), "s:CertificateRequest", "", c.reason)
		})
	}
}

func item(name, value string) string {
	return `<ac:ContextItem Name="` + name + `"><ac:Value>` + value + `</ac:Value></ac:ContextItem>`
}

func TestContextRefused(t *testing.T) {
	s := start(t, new(mdmtest.Server))
	for _, name := range []string{
		"OSEdition", "OSVersion", "DeviceName", "EnrollmentType", "DeviceType", "ApplicationVersion", "DeviceID", "HWDevID",
	} {
		found := regexp.MustCompile(`<ac:ContextItem Name="` + name + `">.*?</ac:ContextItem>`).FindString(s.enroll)
		t.Run("without "+name, func(t *testing.T) {
			s.refused(t, enrollPath, strings.Replace(s.enroll, found, "", 1), "s:MessageFormat", "InvalidEnrollmentData", name+" appears 0 times")
		})
		t.Run("two of "+name, func(t *testing.T) {
			s.refused(t, enrollPath, strings.Replace(s.enroll, found, found+found, 1), "s:MessageFormat", "InvalidEnrollmentData", name+" appears 2 times")
		})
		t.Run("bad "+name, func(t *testing.T) {
			s.refused(t, enrollPath, strings.Replace(s.enroll, found, item(name, ""), 1), "s:MessageFormat", "InvalidEnrollmentData", name)
		})
	}
	ztd, glove := item("ZeroTouchProvisioning", testZTD), item("WhiteGlove", "true")
	blob := base64.StdEncoding.EncodeToString(rsablob.Marshal(&otherKey().PublicKey))
	for _, c := range []struct{ name, old, with, subcode, errorType, reason string }{
		{"registration without form", ztd, item("ZeroTouchProvisioning", "x"), "s:MessageFormat", "InvalidEnrollmentData", "ZeroTouchProvisioning"},
		{"no pre-provisioning", glove, item("WhiteGlove", "False"), "s:MessageFormat", "", "device based token"},
		{"for a user", item("EnrollmentType", "Device"), item("EnrollmentType", "Full"), "s:MessageFormat", "", "device based token"},
		{"another DeviceID", item("DeviceID", sentDevice), item("DeviceID", otherGUID), "s:CertificateRequest", "", "the DeviceID"},
		{"claim without key", glove, glove + item("AIKAttestationClaim", "QUFBQQ=="), "s:MessageFormat", "InvalidEnrollmentData", "neither AIKCert nor AIKPub"},
		{"device claim without key", glove, glove + item("AadAIKAttestationClaim", "QUFBQQ=="), "s:MessageFormat", "InvalidEnrollmentData", "neither AIKCert nor AIKPub"},
		{"device claim without device key", glove, glove + item("AIKPub", blob) + item("AadAIKAttestationClaim", "QUFBQQ=="), "s:MessageFormat", "InvalidEnrollmentData", "one of AadAIKAttestationClaim and AADPub"},
		{"device key without claim", glove, glove + item("AADPub", blob), "s:MessageFormat", "InvalidEnrollmentData", "one of AadAIKAttestationClaim and AADPub"},
		{"bad key", glove, glove + item("AIKPub", "QUFBQQ=="), "s:MessageFormat", "InvalidEnrollmentData", "BCRYPT_RSAPUBLIC_BLOB"},
		{"bad certificate", glove, glove + item("AIKCert", "QUFBQQ=="), "s:MessageFormat", "InvalidEnrollmentData", "AIKCert"},
		{"unasked attestation", glove, glove + item("AzureAttestationBlob", "QUFBQQ=="), "s:MessageFormat", "InvalidEnrollmentData", "not asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.refused(t, enrollPath, strings.Replace(s.enroll, c.old, c.with, 1), c.subcode, c.errorType, c.reason)
		})
	}
}

// A DeviceID and a key stay with the device that had them first.
func TestOwners(t *testing.T) {
	s := start(t, new(mdmtest.Server))
	claims := goodClaims()
	claims["deviceid"] = otherGUID
	other := withToken(s.enroll, signed(t, jwt.SigningMethodRS256, issuerKey(), claims))
	s.refused(t, enrollPath, other, "s:Authorization", "", "another device of the directory")
	other = strings.ReplaceAll(other, item("DeviceID", sentDevice), item("DeviceID", otherGUID))
	other = withCSR(other, csr(t, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: otherGUID}, SignatureAlgorithm: x509.SHA256WithRSA,
	}, deviceKey()))
	s.refused(t, enrollPath, other, "s:CertificateRequest", "", "key is that of another device")
	if status, answer := s.send(t, enrollPath, s.enroll); status != http.StatusOK {
		t.Errorf("the same device again: %d %s", status, answer)
	}
}

func TestRegistered(t *testing.T) {
	known := testZTD
	s := start(t, &mdmtest.Server{Registered: func(ztdID string) bool { return ztdID == known }})
	without := strings.Replace(s.enroll, item("ZeroTouchProvisioning", testZTD), "", 1)
	s.refused(t, enrollPath, without, "s:Authorization", "DeviceNotSupported", "not preregistered")
	known = otherGUID
	s.refused(t, enrollPath, s.enroll, "s:Authorization", "DeviceNotSupported", "not preregistered")
}

// Certificates of attestation keys must come from the roots the server has.
func TestAIKRoots(t *testing.T) {
	good, bad := aikCertificate(t), aikCertificate(t) // of two authorities
	roots := x509.NewCertPool()
	roots.AddCert(good[1])
	s := start(t, &mdmtest.Server{AIKRoots: roots})
	glove := item("WhiteGlove", "true")
	with := func(c *x509.Certificate) string {
		return strings.Replace(s.enroll, glove, glove+item("AIKCert", base64.StdEncoding.EncodeToString(c.Raw)), 1)
	}
	s.refused(t, enrollPath, with(bad[0]), "s:MessageFormat", "InvalidEnrollmentData", "leads to no trusted root")
	s.refused(t, enrollPath, with(good[1]), "s:MessageFormat", "InvalidEnrollmentData", "not of an RSA key")
	if status, answer := s.send(t, enrollPath, with(good[0])); status != http.StatusOK {
		t.Errorf("%d: %s", status, answer)
	}
}

// aikCertificate returns a certificate of otherKey and its root.
func aikCertificate(t *testing.T) []*x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "AIK CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var certs []*x509.Certificate
	for _, c := range []struct {
		template *x509.Certificate
		pub      any
	}{
		{&x509.Certificate{
			SerialNumber: big.NewInt(2), NotAfter: root.NotAfter, UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 3}},
		}, &otherKey().PublicKey},
		{root, &key.PublicKey},
	} {
		der, err := x509.CreateCertificate(rand.Reader, c.template, root, c.pub, key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
	return certs
}

func TestMessagesRefused(t *testing.T) {
	s := start(t, new(mdmtest.Server))
	replace := func(body, old, with string) string { return strings.Replace(body, old, with, 1) }
	header := func(name string) *regexp.Regexp { return regexp.MustCompile(`<a:` + name + `.*</a:` + name + `>`) }
	for _, c := range []struct{ name, path, body, subcode, reason string }{
		{"no XML", discoverPath, "hello", "s:MessageFormat", "text outside"},
		{"empty", discoverPath, "", "s:MessageFormat", "no element"},
		{"document type", discoverPath, "<!DOCTYPE a>" + s.discover, "s:MessageFormat", "document type"},
		{"depth bomb", discoverPath, strings.Repeat("<a>", 1000), "s:MessageFormat", "deep"},
		{"two roots", discoverPath, s.discover + "<a/>", "s:MessageFormat", "second root"},
		{"SOAP 1.1", discoverPath, replace(s.discover, "http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"), "s:MessageFormat", "envelope"},
		{"no action", discoverPath, header("Action").ReplaceAllString(s.discover, ""), "s:MessageFormat", "a:Action"},
		{"action may be missed", discoverPath, replace(s.discover, `<a:Action s:mustUnderstand="1">`, `<a:Action>`), "s:MessageFormat", "a:Action"},
		{"another action", policyPath, s.discover, "a:ActionMismatch", "action"},
		{"no address", discoverPath, header("To").ReplaceAllString(s.discover, ""), "s:MessageFormat", "a:To"},
		{"another address", discoverPath, replace(s.discover, "http://127", "https://127"), "a:EndpointUnavailable", "a:To"},
		{"no message ID", discoverPath, header("MessageID").ReplaceAllString(s.discover, ""), "s:MessageFormat", "a:MessageID"},
		{"no answer wanted", discoverPath, header("ReplyTo").ReplaceAllString(s.discover, ""), "s:MessageFormat", "a:ReplyTo"},
		{"two bodies", discoverPath, replace(s.discover, "</s:Body>", "<x/></s:Body>"), "s:MessageFormat", "one known element"},
		{"no user", discoverPath, replace(s.discover, "user@alt.none", "user"), "s:MessageFormat", "EmailAddress"},
		{"version", discoverPath, replace(s.discover, ">5.0<", ">5<"), "s:MessageFormat", "RequestVersion"},
		{"device type", discoverPath, replace(s.discover, "CIMClient_Windows", "Toaster"), "s:MessageFormat", "DeviceType"},
		{"edition", discoverPath, replace(s.discover, "<OSEdition>48", "<OSEdition>Pro"), "s:MessageFormat", "OSEdition"},
		{"no way to authenticate", discoverPath, replace(s.discover, "Federated", "Certificate"), "s:MessageFormat", "AuthPolicies"},
		{"no filter", policyPath, regexp.MustCompile(`<requestFilter[^>]*>`).ReplaceAllString(s.policy, ""), "s:MessageFormat", "requestFilter"},
		{"renewal", enrollPath, replace(s.enroll, "200512/Issue", "200512/Renew"), "s:MessageFormat", "PKCS #7 request"},
		{"another token type", enrollPath, replace(s.enroll, "DeviceEnrollmentToken", "Token"), "s:MessageFormat", "token types"},
		{"PKCS #7", enrollPath, replace(s.enroll, "#PKCS10", "#PKCS7"), "s:MessageFormat", "PKCS #10"},
		{"no context", enrollPath, regexp.MustCompile(`<ac:Add.*</ac:AdditionalContext>`).ReplaceAllString(s.enroll, ""), "s:MessageFormat", "AdditionalContext"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.refused(t, c.path, c.body, c.subcode, "", c.reason)
		})
	}
}

func TestHTTPRefused(t *testing.T) {
	s := start(t, new(mdmtest.Server))
	for _, c := range []struct {
		method, path, media string
		size, status        int
	}{
		{"GET", discoverPath, "", 0, 200},
		{"GET", policyPath, "", 0, 405},
		{"PUT", discoverPath, "", 0, 405},
		{"POST", discoverPath, "text/xml; charset=utf-8", 0, 415},
		{"POST", discoverPath, "application/soap+xml", 0, 415},
		{"POST", discoverPath, "application/soap+xml; charset=utf-8", 1 << 20, 413},
		{"POST", "/ManagementServer/MDM.svc", "application/vnd.syncml.dm+xml", 0, 400},
	} {
		req := httptest.NewRequestWithContext(t.Context(), c.method, "http://mdm.test"+c.path, strings.NewReader(strings.Repeat(" ", c.size)))
		req.Header.Set("Content-Type", c.media)
		w := httptest.NewRecorder()
		before := len(s.Refusals())
		s.ServeHTTP(w, req)
		if w.Code != c.status || (len(s.Refusals()) > before) != (c.status != 200) {
			t.Errorf("%s %s: %d, refusals %q", c.method, c.path, w.Code, s.Refusals()[before:])
		}
	}
}

// The server works below a path, stripped or not, and says so in its answers.
func TestBaseURL(t *testing.T) {
	for _, strip := range []bool{false, true} {
		s := &mdmtest.Server{TokenKey: func() *rsa.PublicKey { return &issuerKey().PublicKey }}
		mux := http.NewServeMux()
		h := httptest.NewServer(mux)
		t.Cleanup(h.Close)
		s.BaseURL = h.URL + "/mdm"
		var handler http.Handler = s
		if strip {
			handler = http.StripPrefix("/mdm", s)
		}
		mux.Handle("/mdm/", handler)
		plain := start(t, new(mdmtest.Server))
		body := strings.Replace(plain.discover, plain.url, s.BaseURL, 1)
		res, err := http.Post(s.BaseURL+discoverPath, "application/soap+xml; charset=utf-8", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(answer), s.BaseURL+enrollPath) {
			t.Errorf("%s, %v; %q", answer, err, s.Refusals())
		}
	}
}
