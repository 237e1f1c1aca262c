package challenge_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// TestParseRefuses leaves out each part, and changes each that is checked.
func TestParseRefuses(t *testing.T) {
	x := exchange(t)
	text, err := x.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	many := func(n int) [][]byte {
		var list [][]byte
		for range n {
			list = append(list, x.CA.Recipient.Raw)
		}
		return list
	}
	for name, tt := range map[string]struct {
		field string
		value any
		want  bool
	}{
		"as it is":              {"version", 1, true},
		"http":                  {"url", "http://ca.test/scep", true},
		"32 certificates":       {"certificates", many(32), true},
		"without the key":       {"signerKey", nil, true},
		"another version":       {"version", 2, false},
		"not a URL":             {"url", "://", false},
		"no host":               {"url", "https:///scep", false},
		"another scheme":        {"url", "ftp://ca.test/scep", false},
		"no transaction":        {"transactionId", "", false},
		"no blob":               {"credentialBlob", nil, false},
		"no secret":             {"encryptedSecret", nil, false},
		"no context":            {"context", nil, false},
		"33 certificates":       {"certificates", many(33), false},
		"large key":             {"signerKey", make([]byte, 8<<10+1), false},
		"another's key":         {"signerKey", der, false},
		"recipient not in list": {"recipient", x.Certificate.Raw, false},
		"replier not in list":   {"replier", x.Certificate.Raw, false},
	} {
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		fields[tt.field] = tt.value
		changed, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := challenge.Parse(changed); (err == nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := append(bytes.Clone(text), bytes.Repeat([]byte(" "), 256<<10-len(text))...)
	if _, err := challenge.Parse(full); err != nil {
		t.Errorf("as large as is permitted: %v", err)
	}
	if _, err := challenge.Parse(append(full, ' ')); err == nil {
		t.Error("too large, and parsed")
	}
}

// TestCheckRoles puts the certificate of a TPM's key in each role of a CA.
func TestCheckRoles(t *testing.T) {
	ca, err := sceptest.NewAuthority("CA", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tpm, err := ca.Issue(&x509.Certificate{
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{wcce.OIDKeyPurposeAIK},
		NotBefore:          time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		ca   scep.CA
		want error
	}{
		"CA":        {scep.CA{Recipient: ca.Certificate, Signer: ca.Certificate}, nil},
		"recipient": {scep.CA{Recipient: tpm, Signer: ca.Certificate}, scep.ErrUntrusted},
		"signer":    {scep.CA{Recipient: ca.Certificate, Signer: tpm}, scep.ErrUntrusted},
	} {
		if err := challenge.CheckRoles(&tt.ca); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRead reads challenges that are not whole, and a new key for messages.
func TestRead(t *testing.T) {
	x := exchange(t)
	if err := x.SignAs(nil, time.Now()); err != nil || x.Signer == nil || !x.Signer.Public().(*rsa.PublicKey).Equal(x.Certificate.PublicKey) {
		t.Errorf("%v, %v", x.Signer, err)
	}
	tach, err := (&wcce.TACH{Blob: []byte("blob"), EncryptedSecret: []byte("secret")}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	context, err := wcce.MarshalContext([]byte("state"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		tach []byte
		want error
	}{"good": {tach, nil}, "no TACH": {tach[:len(tach)-1], wcce.ErrFormat}} {
		content, err := (&wcce.Challenge{TACH: tt.tach, Context: context}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		err = x.Read(&scep.Reply{TransactionID: "7", Content: content})
		if !errors.Is(err, tt.want) || err == nil && (string(x.Blob) != "blob" || string(x.EncryptedSecret) != "secret" || x.Transaction != "7") {
			t.Errorf("%s: %v, %+v", name, err, x)
		}
	}
	if err := x.Read(&scep.Reply{Content: []byte{1}}); !errors.Is(err, wcce.ErrFormat) {
		t.Errorf("garbage: %v", err)
	}
}

// TestAnswer answers a CA to which nothing can be encrypted, and with a client that does
// not take part in challenges.
func TestAnswer(t *testing.T) {
	x := exchange(t)
	if reply, err := x.Answer(t.Context(), new(scep.Client), []byte("secret")); reply != nil || !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("no RSA key: %v, %v", reply, err)
	}
	x.CA.Recipient = x.Certificate
	if reply, err := x.Answer(t.Context(), new(scep.Client), []byte("secret")); reply != nil || !errors.Is(err, scep.ErrCapability) {
		t.Errorf("no challenges: %v, %v", reply, err)
	}
}
