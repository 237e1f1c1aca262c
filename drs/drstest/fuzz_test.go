package drstest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/drs/internal/joincsr"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

// FuzzJoin sends joins with a valid token, so that the rest is read. None may succeed, because
// the fuzzer has no keys.
func FuzzJoin(f *testing.F) {
	r := newRig(f)
	var blob, bundle []byte
	r.change = func(_ string, body map[string]any) {
		for name, into := range map[string]*[]byte{"TransportKey": &blob, "AttestationData": &bundle} {
			if text, ok := body[name].(string); ok {
				*into, _ = base64.StdEncoding.DecodeString(text)
			}
		}
	}
	if _, err := r.join(r.device.request(r.authenticate())); err != nil {
		f.Fatal(err)
	}
	r.change = nil
	csr, err := joincsr.New(r.device.dk, "nonce")
	if err != nil {
		f.Fatal(err)
	}
	// Another token than that of the bundle.
	token := string(r.authenticate().Token)
	f.Add(csr, blob, bundle)
	f.Add(csr, []byte("RSA1"), []byte("{}"))
	f.Add(csr, []byte(`{"kty":"RSA","e":"AQAB","n":"AQAB"}`), []byte("KADS\x02\x00\x00\x00\x18\x00\x00\x00"))
	f.Add(csr, blob, []byte("KAST\x01\x00\x00\x00\x02\x00\x00\x00\x1c\x00\x00\x00"))
	f.Add([]byte{0x30, 0x80}, blob, []byte(`{"v":1,"alg":"sha256","keys":[{},{}]}`))
	f.Fuzz(func(t *testing.T, csr, blob, bundle []byte) {
		body, err := json.Marshal(map[string]any{
			"CertificateRequest": map[string]any{"Type": "pkcs10", "Data": csr}, "TransportKey": blob, "AttestationData": bundle,
			"attributes": map[string]string{"MSA-DDID": base64.StdEncoding.EncodeToString([]byte(token))},
		})
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodPost, "/EnrollmentServer/device/?api-version=2.0", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		r.server.ServeHTTP(w, req)
		if w.Code != http.StatusBadRequest && w.Code != http.StatusForbidden {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzChallenge sends requests for a challenge.
func FuzzChallenge(f *testing.F) {
	r := newRig(f)
	f.Add([]byte(`{"Profile":"ek-jwt-v1","ClientNonce":"AAAAAAAAAAAAAAAAAAAAAA==","EkPublic":"AAEA","AikPublic":"AAEA"}`))
	p := r.device.proof()
	good, err := json.Marshal(map[string]any{"Profile": "ek-jwt-v1", "ClientNonce": make([]byte, 16), "EkPublic": sized(p.EKPublicArea), "AikPublic": sized(p.AIKPublicArea)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, body []byte) {
		req := httptest.NewRequest(http.MethodPost, "/EnrollmentServer/tpmchallenge/contoso.test/?api-version=1.0", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		r.server.ServeHTTP(w, req)
		if w.Code == http.StatusInternalServerError || w.Code == http.StatusNotFound {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzToken sends forms to the token endpoint.
func FuzzToken(f *testing.F) {
	r := newRig(f)
	f.Add("grant_type=srv_challenge")
	f.Add("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=eyJhbGciOiJIUzI1NiIsImtpZCI6IngifQ.eyJqdGkiOiJ4In0.AA")
	f.Add("grant_type=password&username=a&password=b")
	f.Add("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&request=eyJhbGciOiJIUzI1NiIsImN0eCI6IkFBQUEifQ.eyJyZWZyZXNoX3Rva2VuIjoieCJ9.AA")
	f.Add("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&request=eyJhbGciOiJSUzI1NiIsIng1YyI6WyJNQUE9Il19.e30.AA")
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequest(http.MethodPost, "/contoso.test/oauth2/token", bytes.NewReader([]byte(body)))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		r.server.ServeHTTP(w, req)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest || bytes.Contains(w.Body.Bytes(), []byte("access_token")) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzJoinMembers sends keys on P-256, challenges and identities of computers without a valid
// authorization. None may succeed.
func FuzzJoinMembers(f *testing.F) {
	r := newRig(f)
	csr, err := joincsr.New(r.device.dk, "")
	if err != nil {
		f.Fatal(err)
	}
	m := r.computer(4, computerSID)
	token := string(r.authenticate().Token)
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`), "", "", []byte(nil))
	f.Add([]byte(nil), "eyJhbGciOiJub25lIn0.e30.", computerSID+".2026-05-06 07:08:09Z", make([]byte, 256))
	f.Fuzz(func(t *testing.T, jwk []byte, challenge, sid string, signature []byte) {
		request := map[string]any{"Type": "pkcs10", "Data": csr}
		for path, body := range map[string]map[string]any{
			"POST /EnrollmentServer/device/?api-version=3.0": {
				"DeviceKeys": []any{map[string]any{"Data": jwk, "Encoding": "JWK", "Type": "ECC", "Usage": "STK"}},
				"attributes": map[string]string{"MSA-DDID": base64.StdEncoding.EncodeToString([]byte(token))},
			},
			"POST /EnrollmentServer/device/precreate/contoso.test/?api-version=2.0": {
				"TransportKey": rsablob.Marshal(&r.device.tk.PublicKey), "PreAuthorizedJoinChallenge": challenge,
			},
			"PUT /EnrollmentServer/device/" + m.ID + "?api-version=2.0": {
				"JoinType": 6, "ServerAdJoinData": map[string]any{
					"TransportKey": rsablob.Marshal(&r.device.tk.PublicKey), "TargetDomainId": drstest.DefaultTenantID,
					"ClientIdentity": map[string]any{"Type": "sha256signed", "Sid": sid, "SignedBlob": signature},
				},
			},
		} {
			body["CertificateRequest"] = request
			raw, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			method, target, _ := strings.Cut(path, " ")
			req := httptest.NewRequest(method, target, bytes.NewReader(raw))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			r.server.ServeHTTP(w, req)
			if w.Code != http.StatusBadRequest && w.Code != http.StatusForbidden {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	})
}
