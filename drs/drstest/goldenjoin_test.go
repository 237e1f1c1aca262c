package drstest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// A goldenJoin is a request to join a device.
type goldenJoin struct {
	name, source string
	version      string
	headers      map[string]string
	body         func(csr, transport string, jwk string) map[string]any
	ec           bool // the device key is on P-256
}

var attributes = map[string]string{"ReuseDevice": "true", "ReturnClientSid": "true"}

var goldenJoins = []goldenJoin{
	{
		name: "Windows", source: roadlib + "deviceauth.py:517-550", version: "2.0",
		headers: map[string]string{"User-Agent": "Dsreg/10.0 (Windows 10.0.19041.928)", "Content-Type": "application/json"},
		body: func(csr, transport, _ string) map[string]any {
			return map[string]any{
				"CertificateRequest": map[string]string{"Type": "pkcs10", "Data": csr}, "TransportKey": transport, "TargetDomain": "iminyour.cloud",
				"DeviceType": "Windows", "OSVersion": "10.0.19041.928", "DeviceDisplayName": "DESKTOP-1", "JoinType": 0, "attributes": attributes,
			}
		},
	},
	{
		name: "Linux", source: libhimmelblau + "discovery.rs:546-585", version: "2.0",
		headers: map[string]string{"Content-Type": "application/json", "Ocp-Adrs-Client-Name": "libhimmelblau", "Ocp-Adrs-Client-Version": "0.8", "Accept": "application/json, text/plain, */*"},
		body: func(csr, transport, _ string) map[string]any {
			return map[string]any{
				"CertificateRequest": map[string]string{"Type": "pkcs10", "Data": csr}, "DeviceDisplayName": "host", "DeviceType": "Linux", "JoinType": 0,
				"OSVersion": "openSUSE Leap 15.5", "TargetDomain": "contoso.test", "TransportKey": transport, "Attributes": attributes,
			}
		},
	},
	{
		name: "macOS", source: roadlib + "deviceauth.py:459-474, 333-348", version: "2.0",
		headers: map[string]string{"User-Agent": "DeviceRegistrationClient", "Content-Type": "application/json"},
		body: func(csr, _, jwk string) map[string]any {
			return map[string]any{
				"DeviceDisplayName": "mac", "CertificateRequest": map[string]string{"Type": "pkcs10", "Data": csr}, "OSVersion": "12.2.0", "TargetDomain": "iminyour.cloud",
				"AikCertificate": "", "DeviceType": "MacOS", "TransportKey": base64.StdEncoding.EncodeToString([]byte(jwk)), "JoinType": 4, "AttestationData": "",
			}
		},
	},
	{
		name: "macOS 14", source: roadlib + "deviceauth.py:475-500, 350-369", version: "3.0", ec: true,
		headers: map[string]string{"User-Agent": "DeviceRegistrationClient", "Content-Type": "application/json"},
		body: func(csr, _, jwk string) map[string]any {
			return map[string]any{
				"AikCertificate": "", "AttestationData": "", "DeviceDisplayName": "mac", "DeviceType": "MacOS", "JoinType": 0, "OSVersion": "14.5.0", "TargetDomain": "iminyour.cloud",
				"CertificateRequest": map[string]string{"Data": csr, "KeySecurity": "SecureEnclave", "KeyType": "ECC", "Type": "pkcs10"},
				"DeviceKeys":         []any{map[string]string{"Data": jwk, "Encoding": "JWK", "Type": "ECC", "Usage": "STK"}},
			}
		},
	},
	{
		name: "Android", source: roadlib + "deviceauth.py:501-516", version: "2.0",
		headers: map[string]string{"User-Agent": "DeviceRegistrationClient", "Content-Type": "application/json"},
		body: func(csr, _, jwk string) map[string]any {
			return map[string]any{
				"Attributes": map[string]string{}, "CertificateRequest": map[string]string{"Data": csr, "Type": "pkcs10"}, "DeviceDisplayName": "phone", "DeviceType": "Android",
				"JoinType": 4, "OSVersion": "13.0", "TargetDomain": "6287f28f-4f7f-4322-9651-a8697d8fe1bc", "TransportKey": base64.StdEncoding.EncodeToString([]byte(jwk)),
			}
		},
	},
}

func TestGoldenJoins(t *testing.T) {
	for _, g := range goldenJoins {
		t.Run(g.name, func(t *testing.T) {
			r := newRig(t)
			r.server.AddUser(drstest.User{UPN: alice, Password: password})
			token, _ := r.userToken(alice)
			var key crypto.Signer = r.device.dk
			jwk := map[string]string{"kty": "RSA", "e": "AQAB", "n": base64.StdEncoding.EncodeToString(r.device.tk.N.Bytes()), "alg": "RS256", "kid": "0E7C9F1A-52A4-4B8E-9A57-1C2D7BE04F69"}
			if g.ec {
				own, point := ecKey(t)
				key = own
				jwk = map[string]string{
					"kty": "EC", "x": base64.StdEncoding.EncodeToString(point[1:33]), "y": base64.StdEncoding.EncodeToString(point[33:]), "crv": "P-256", "kid": jwk["kid"],
				}
			}
			csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "7E980AD9-B86D-4306-9425-9AC066FB014A"}}, signerOf(key))
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(jwk)
			if err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(g.body(base64.StdEncoding.EncodeToString(csr), base64.StdEncoding.EncodeToString(rsablob.Marshal(&r.device.tk.PublicKey)), string(text)))
			if err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/EnrollmentServer/device/?api-version="+g.version, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for name, v := range g.headers {
				req.Header.Set(name, v)
			}
			req.Header.Set("Authorization", "Bearer "+string(token))
			res, err := r.transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			answer, _ := io.ReadAll(res.Body)
			if res.StatusCode != http.StatusCreated || !bytes.Contains(answer, []byte("RawBody")) {
				t.Errorf("%s: %d %s", g.source, res.StatusCode, answer)
			}
		})
	}
}

// signerOf returns the key itself: x509 wants no other methods than those of a signer.
func signerOf(key crypto.Signer) crypto.Signer { return struct{ crypto.Signer }{key} }

func ecKey(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return key, point
}

// A device is deleted with its certificate in TLS, with or without an API version.
func TestGoldenDelete(t *testing.T) {
	for _, g := range []struct {
		source, query string
		headers       map[string]string
	}{
		{roadlib + "deviceauth.py:675-691", "", nil},
		{aadInternals + "PRT.ps1:850-866", "?api-version=1.0", map[string]string{"User-Agent": "Dsreg/10.0 (Windows 10.0.18363.0)", "Ocp-Adrs-Client-Name": "Dsreg", "Ocp-Adrs-Client-Version": "10.0.18362.0"}},
	} {
		r := newTLSRig(t)
		key := softRSA(t, 2)
		cert, err := r.server.AddDevice(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots, Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, r.url+"/EnrollmentServer/device/"+cert.Subject.CommonName+g.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range g.headers {
			req.Header.Set(name, v)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK || len(r.server.Objects()) != 1 {
			t.Errorf("%s: %d", g.source, res.StatusCode)
		}
	}
}
