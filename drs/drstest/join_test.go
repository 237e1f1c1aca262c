package drstest_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/drs/internal/joincsr"
	"github.com/whiteglove/whiteglove/internal/rsablob"
)

func TestJoin(t *testing.T) {
	r := newRig(t)
	before := r.server.Objects()
	if len(before) != 1 || before[0].Enabled || before[0].ZTDID == "" || before[0].PhysicalIDs[0] != "[ZTDID]:"+before[0].ZTDID {
		t.Fatalf("imported as %+v", before)
	}
	token := r.authenticate()
	if len(token.Nonce) != 32 || !token.Expires.Equal(r.now.Add(time.Hour)) {
		t.Errorf("nonce of %d bytes, expires %v", len(token.Nonce), token.Expires)
	}
	dev, err := r.join(r.device.request(token))
	if err != nil {
		t.Fatal(err)
	}
	after := r.server.Objects()
	o := after[0]
	if len(after) != 1 || !o.Enabled || o.DeviceID != before[0].DeviceID || o.DisplayName != "soft" || o.AttestationLevel != 1 || !o.TransportKey.Equal(&r.device.tk.PublicKey) {
		t.Errorf("joined as %+v", after)
	}
	if dev.ID != o.DeviceID || dev.ObjectID != o.ObjectID || dev.TenantID != drstest.DefaultTenantID || dev.Region != "EU" || !dev.Joined {
		t.Errorf("got %+v", *dev)
	}
	// The first is a published example of a role's security identifier.
	if len(dev.AdminSIDs) != 2 || dev.AdminSIDs[0] != "S-1-12-1-3765319062-1328644800-2588105388-3258814000" {
		t.Errorf("members %q", dev.AdminSIDs)
	}
	checkCertificate(t, r, dev.Certificate)
	if want := "X509:<SHA1-TP-PUBKEY>"; !strings.HasPrefix(o.Identities[0], want) || len(o.Identities[0]) != len(want)+40+44 {
		t.Errorf("identity %q", o.Identities[0])
	}
	if log := r.server.Refusals(); len(log) > 0 {
		t.Errorf("refused %q", log)
	}
}

// checkCertificate verifies a device certificate with the directory's root and checks its form.
func checkCertificate(t *testing.T, r *rig, cert *x509.Certificate) {
	t.Helper()
	if _, err := cert.Verify(x509.VerifyOptions{Roots: r.server.Roots(), CurrentTime: r.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	var ids []string
	for _, e := range cert.Extensions {
		ids = append(ids, e.Id.String())
		if short, ok := strings.CutPrefix(e.Id.String(), "1.2.840.113556.1.5.284."); ok && (e.Value[0] != 0x04 || e.Value[1] != 0x81 || e.Critical) {
			t.Errorf("extension %s is %x", short, e.Value)
		}
	}
	const own = "1.2.840.113556.1.5.284."
	if want := []string{"2.5.29.19", "2.5.29.37", own + "2", own + "3", own + "5", own + "8", own + "7"}; !slices.Equal(ids, want) || !cert.Extensions[0].Critical || !cert.Extensions[1].Critical {
		t.Errorf("extensions %q", ids)
	}
	// The issuer is one relative distinguished name with all values.
	if b := cert.RawIssuer; b[0] != 0x30 || b[2] != 0x31 || int(b[3]) != len(b)-4 {
		t.Errorf("issuer %x", b)
	}
	if got := cert.Issuer.CommonName; got != "MS-Organization-Access" {
		t.Errorf("issued by %q", got)
	}
}

// A token can be used again for the same keys for ten minutes, but not for other keys and not
// later.
func TestJoinRepeated(t *testing.T) {
	r := newRig(t)
	token := r.authenticate()
	first, err := r.join(r.device.request(token))
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.join(r.device.request(token))
	if err != nil || !again.Certificate.Equal(first.Certificate) {
		t.Fatalf("repeated: %v", err)
	}
	other := newSoftTPM(t, 0)
	other.dk = newSoftKey(r.t, 4, deviceAttributes)
	other.certifyDK = other.dk
	_, err = r.join(other.request(token))
	wantError(t, err, "MsaTicketTpmValidationFailed", "used for other keys")
	r.now = r.now.Add(11 * time.Minute)
	_, err = r.join(r.device.request(token))
	wantError(t, err, "MsaTicketTpmValidationFailed", "it was used")
	if o := r.server.Objects(); len(o) != 1 || len(o[0].Certificates) != 1 {
		t.Errorf("objects %+v", o)
	}
	// A new token joins the device again: the same object, another certificate.
	second, err := r.join(r.device.request(r.authenticate()))
	if err != nil || second.ID != first.ID || second.Certificate.Equal(first.Certificate) {
		t.Errorf("joined again: %v", err)
	}
}

// The same join at the same time is one join.
func TestJoinConcurrently(t *testing.T) {
	r := newRig(t)
	token := r.authenticate()
	certs := make([]*x509.Certificate, 4)
	var wg sync.WaitGroup
	for i := range certs {
		wg.Go(func() {
			if dev, err := r.join(r.device.request(token)); err == nil {
				certs[i] = dev.Certificate
			}
		})
	}
	wg.Wait()
	for i, c := range certs {
		if c == nil || !c.Equal(certs[0]) {
			t.Errorf("join %d: %v", i, c)
		}
	}
	if o := r.server.Objects()[0]; len(o.Certificates) != 1 {
		t.Errorf("%d certificates", len(o.Certificates))
	}
}

// A join with a token that is bound to both keys needs no attestation.
func TestJoinBound(t *testing.T) {
	r := newRig(t)
	proof := r.device.proof()
	proof.DeviceKey, proof.TransportKey = &r.device.dk.PublicKey, &r.device.tk.PublicKey
	token, err := r.client.Authenticate(t.Context(), r.tenant, proof)
	if err != nil {
		t.Fatal(err)
	}
	for name, swap := range map[string]func(*drs.Request){
		"device":    func(q *drs.Request) { q.DeviceKey = newSoftKey(r.t, 4, deviceAttributes) },
		"transport": func(q *drs.Request) { q.TransportKey = &newSoftKey(r.t, 4, deviceAttributes).PublicKey },
	} {
		req := r.device.request(token)
		req.Attestation = nil
		swap(req)
		_, err = r.join(req)
		r.refused(err, "Join", "DeviceTokenKeyMismatch", name)
	}
	req := r.device.request(token)
	req.Attestation = nil
	if _, err := r.join(req); err != nil {
		t.Fatal(err)
	}
	if o := r.server.Objects()[0]; !o.Enabled || o.AttestationLevel != 0 {
		t.Errorf("joined as %+v", o)
	}
}

// A nonce of the registration service may be in the certificate request and in the attestation.
func TestJoinWithNonce(t *testing.T) {
	r := newRig(t)
	nonce, err := r.client.Nonce(t.Context(), r.tenant, nil)
	if err != nil {
		t.Fatal(err)
	}
	join := func(token *drs.DeviceToken) error {
		req := r.device.request(token)
		req.Nonce, req.Attestation.Nonce = nonce, []byte(nonce)
		_, err := r.join(req)
		return err
	}
	if err := join(r.authenticate()); err != nil {
		t.Fatal(err)
	}
	wantError(t, join(r.authenticate()), "AttestationFailed", "check 8")
	req := r.device.request(r.authenticate())
	req.Nonce = nonce
	_, err = r.join(req)
	wantError(t, err, "AttestationFailed", "nonce is unknown, used or expired")
}

// Refusals by each of the ten checks and by those before them.
func TestJoinRefused(t *testing.T) {
	foreign := newSoftTPM(t, 5)
	for _, c := range []struct {
		name            string
		do              func(r *rig, d *softTPM, q *drs.Request)
		subcode, reason string
	}{
		{"no attestation", func(r *rig, d *softTPM, q *drs.Request) { q.Attestation = nil }, "AttestationFailed", "not bound to a device key"},
		{"AIK is another", func(r *rig, d *softTPM, q *drs.Request) {
			d.signer, q.Attestation.AIKPublicArea = foreign.aik, foreign.aik.area
		}, "AttestationFailed", "check 9"},
		{"AIK is not restricted", func(r *rig, d *softTPM, q *drs.Request) {
			q.Attestation.AIKPublicArea = newSoftKey(r.t, 1, deviceAttributes).area
		}, "AikValidationFailed", "check 2"},
		{"certified by another AIK", func(r *rig, d *softTPM, q *drs.Request) { d.signer = foreign.aik }, "AttestationFailed", "check 3"},
		{"not by a TPM", func(r *rig, d *softTPM, q *drs.Request) {
			d.change = func(b []byte) []byte { b[0] = 0xFE; return b }
		}, "AttestationFailed", "check 4: "},
		{"not by TPM2_Certify", func(r *rig, d *softTPM, q *drs.Request) {
			d.change = func(b []byte) []byte { b[5] = 0x18; return b }
		}, "AttestationFailed", "check 4: "},
		{"bytes after the statement", func(r *rig, d *softTPM, q *drs.Request) {
			d.change = func(b []byte) []byte { return append(b, 0) }
		}, "AttestationFailed", "check 4: "},
		{"for something else", func(r *rig, d *softTPM, q *drs.Request) {
			q.Attestation.Certify = func(_ context.Context, usage string, data []byte) (*drs.Statement, error) {
				return map[string]*softKey{"device": d.dk, "transport": d.tk}[usage].certify(d.aik, make([]byte, 32), nil)
			}
		}, "AttestationFailed", "check 4: "},
		{"keys swapped", func(r *rig, d *softTPM, q *drs.Request) {
			q.Attestation.Certify = func(_ context.Context, usage string, data []byte) (*drs.Statement, error) {
				return map[string]*softKey{"device": d.tk, "transport": d.dk}[usage].certify(d.aik, data, nil)
			}
		}, "AttestationFailed", "check 6"},
		{"statement about another key", func(r *rig, d *softTPM, q *drs.Request) {
			q.Attestation.Certify = func(_ context.Context, usage string, data []byte) (*drs.Statement, error) {
				k := map[string]*softKey{"device": d.dk, "transport": d.tk}[usage]
				st, err := foreign.dk.certify(d.aik, data, nil)
				st.PublicArea = k.area
				return st, err
			}
		}, "AttestationFailed", "check 5"},
		{"device key can leave the TPM", func(r *rig, d *softTPM, q *drs.Request) {
			d.certifyDK = newSoftKey(r.t, 2, deviceAttributes&^0x10)
		}, "AttestationFailed", "check 6"},
		{"device key was imported", func(r *rig, d *softTPM, q *drs.Request) {
			d.certifyDK = newSoftKey(r.t, 2, deviceAttributes&^0x20)
		}, "AttestationFailed", "check 6"},
		{"transport key is restricted", func(r *rig, d *softTPM, q *drs.Request) {
			d.certifyTK = newSoftKey(r.t, 3, transportAttributes|0x10000)
		}, "AttestationFailed", "check 6"},
		{"request is not by the certified key", func(r *rig, d *softTPM, q *drs.Request) { d.certifyDK = foreign.dk }, "AttestationFailed", "check 7: device"},
		{"transport key is not the certified key", func(r *rig, d *softTPM, q *drs.Request) { d.certifyTK = foreign.tk }, "AttestationFailed", "check 7: transport"},
		{"nonce is nobody's", func(r *rig, d *softTPM, q *drs.Request) { q.Attestation.Nonce = make([]byte, 32) }, "AttestationFailed", "check 8"},
		{"no nonce", func(r *rig, d *softTPM, q *drs.Request) {
			q.Attestation.Nonce, q.DeviceToken = nil, &drs.DeviceToken{Token: q.DeviceToken.Token}
		}, "AttestationFailed", "check 8"},
		{"nonce of another token", func(r *rig, d *softTPM, q *drs.Request) { q.Attestation.Nonce = r.authenticate().Nonce }, "AttestationFailed", "check 8"},
		{"object is gone", func(r *rig, d *softTPM, q *drs.Request) { r.server.Remove(r.server.Objects()[0].DeviceID) }, "error_missing_device", "gone"},
		{"token is not ours", func(r *rig, d *softTPM, q *drs.Request) {
			ticket := q.DeviceToken.Token
			q.DeviceToken = &drs.DeviceToken{Token: drs.Token(strings.TrimRight(string(ticket), "=")[:len(ticket)-8] + "AAAAAAAA")}
		}, "MsaTicketTpmValidationFailed", "signature"},
		{"token in one place only", func(r *rig, d *softTPM, q *drs.Request) { q.UserToken, q.DeviceToken = q.DeviceToken.Token, nil }, "MsaTicketTpmValidationFailed", "MSA-DDID"},
		{"another token in the other place", func(r *rig, d *softTPM, q *drs.Request) { q.UserToken = r.authenticate().Token }, "MsaTicketTpmValidationFailed", "MSA-DDID"},
		{"token expired", func(r *rig, d *softTPM, q *drs.Request) { r.now = r.now.Add(time.Hour + time.Second) }, "MsaTicketTpmValidationFailed", "expired"},
		{"token of another tenant", func(r *rig, d *softTPM, q *drs.Request) {
			r.server.TenantID = "00000000-1111-4222-8333-444444444444"
		}, "MsaTicketTpmValidationFailed", "issuer"},
		{"join type", func(r *rig, d *softTPM, q *drs.Request) { q.Type = drs.Register }, "error_fail", "join type 4"},
		{"name in the request", func(r *rig, d *softTPM, q *drs.Request) {
			r.changeCSR(d, func(c *x509.CertificateRequest) { c.Subject.CommonName = "device" })
		}, "error_fail", `subject "device"`},
		{"more in the name", func(r *rig, d *softTPM, q *drs.Request) {
			r.changeCSR(d, func(c *x509.CertificateRequest) { c.Subject.Organization = []string{"x"} })
		}, "error_fail", "not one common name"},
		{"request is not signed", func(r *rig, d *softTPM, q *drs.Request) {
			r.changeCSR(d, nil)
		}, "error_fail", "verification error"},
		// Its name ends with a NUL, which is accepted, but it is for another key.
		{"sample of MS-DVRJ", func(r *rig, d *softTPM, q *drs.Request) {
			text, err := os.ReadFile("testdata/ms-dvrj-request.b64")
			if err != nil {
				r.t.Fatal(err)
			}
			r.change = func(_ string, b map[string]any) {
				b["CertificateRequest"] = map[string]any{"Type": "pkcs10", "Data": strings.ReplaceAll(string(text), "\n", "")}
			}
		}, "AttestationFailed", "check 4"},
		{"key of 3072 bits", func(r *rig, d *softTPM, q *drs.Request) {
			k, err := rsa.GenerateKey(rand.Reader, 3072)
			if err != nil {
				r.t.Fatal(err)
			}
			r.changeCSR(&softTPM{dk: &softKey{PrivateKey: k}}, func(*x509.CertificateRequest) {})
		}, "error_fail", "key has 3072 bits"},
		{"key in another form", func(r *rig, d *softTPM, q *drs.Request) {
			r.changeCSR(d, func(*x509.CertificateRequest) {})
			inner := r.change
			r.change = func(op string, b map[string]any) {
				inner(op, b)
				request := b["CertificateRequest"].(map[string]any)
				request["Data"] = r.longerKey(d, request["Data"].(string))
			}
		}, "error_fail", "not in canonical DER form"},
		{"request that is none", func(r *rig, d *softTPM, q *drs.Request) {
			r.change = func(_ string, b map[string]any) {
				b["CertificateRequest"] = map[string]any{"Type": "pkcs10", "Data": "MAA="}
			}
		}, "error_fail", "cannot be read"},
		{"transport key blob", func(r *rig, d *softTPM, q *drs.Request) {
			r.change = func(_ string, b map[string]any) { b["TransportKey"] = "UlNBMQ==" }
		}, "error_fail", "transport key"},
		{"attestation is not JSON", func(r *rig, d *softTPM, q *drs.Request) {
			r.change = func(_ string, b map[string]any) { b["AttestationData"] = "/1RDRw==" }
		}, "AttestationFailed", "without a signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			req := r.device.request(r.authenticate())
			c.do(r, r.device, req)
			_, err := r.join(req)
			r.refused(err, "Join", c.subcode, c.reason)
		})
	}
}

// changeCSR changes the certificate request of joins and signs it again. If change is nil, the
// signature becomes wrong.
func (r *rig) changeCSR(d *softTPM, change func(*x509.CertificateRequest)) {
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "7E980AD9-B86D-4306-9425-9AC066FB014A"}, SignatureAlgorithm: x509.SHA256WithRSA}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, d.dk.PrivateKey)
	if err != nil {
		r.t.Fatal(err)
	}
	if change == nil {
		der[len(der)-1] ^= 1
	}
	r.change = func(_ string, body map[string]any) {
		body["CertificateRequest"] = map[string]any{"Type": "pkcs10", "Data": base64.StdEncoding.EncodeToString(der)}
	}
}

// longerKey appends an ASN.1 NULL to the public key in a certificate request and signs it
// again.
func (r *rig) longerKey(d *softTPM, text string) string {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		r.t.Fatal(err)
	}
	var csr struct {
		Info struct {
			Version int
			Subject asn1.RawValue
			Key     struct {
				Algorithm asn1.RawValue
				Bits      asn1.BitString
				More      asn1.RawValue `asn1:"optional"`
			}
			Attributes asn1.RawValue `asn1:"optional,tag:0"`
		}
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &csr); err != nil {
		r.t.Fatal(err)
	}
	csr.Info.Key.More = asn1.NullRawValue
	info, err := asn1.Marshal(csr.Info)
	if err != nil {
		r.t.Fatal(err)
	}
	digest := sha256.Sum256(info)
	if csr.Signature.Bytes, err = rsa.SignPKCS1v15(nil, d.dk.PrivateKey, crypto.SHA256, digest[:]); err != nil {
		r.t.Fatal(err)
	}
	if der, err = asn1.Marshal(csr); err != nil {
		r.t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// The qualifying data of a statement is computed here a second time, apart from drs.
func TestBinding(t *testing.T) {
	r := newRig(t)
	req := r.device.request(r.authenticate())
	got := make(map[string][]byte)
	inner := req.Attestation.Certify
	req.Attestation.Certify = func(ctx context.Context, usage string, data []byte) (*drs.Statement, error) {
		got[usage] = data
		return inner(ctx, usage, data)
	}
	if _, err := r.join(req); err != nil {
		t.Fatal(err)
	}
	csr, err := joincsr.New(r.device.dk, "")
	if err != nil {
		t.Fatal(err)
	}
	a, b := sha256.Sum256(csr), sha256.Sum256(rsablob.Marshal(&r.device.tk.PublicKey))
	text := "drs-attest-v1\x00transport\x00" + string(binary.BigEndian.AppendUint32(nil, 32)) + string(req.Attestation.Nonce) + string(a[:]) + string(b[:])
	if want := sha256.Sum256([]byte(text)); string(got["transport"]) != string(want[:]) {
		t.Errorf("got %x", got["transport"])
	}
}

func TestMounted(t *testing.T) {
	for _, strip := range []bool{false, true} {
		s := new(drstest.Server)
		mux := http.NewServeMux()
		ts := httptest.NewServer(mux)
		s.BaseURL = ts.URL + "/directory"
		if strip {
			mux.Handle("/directory/", http.StripPrefix("/directory", s))
		} else {
			mux.Handle("/directory/", s)
		}
		device := newSoftTPM(t, 0)
		if _, err := s.Import(&device.ek.PublicKey); err != nil {
			t.Fatal(err)
		}
		c := &drs.Client{BaseURL: s.BaseURL}
		d, err := c.Discover(t.Context(), drstest.DefaultTenantID)
		if err != nil {
			t.Fatal(err)
		}
		token, err := c.Authenticate(t.Context(), d, device.proof())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Join(t.Context(), d, device.request(token)); err != nil {
			t.Error(err)
		}
		ts.Close()
	}
}
