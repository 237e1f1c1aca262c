package cms_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// peerFile returns a message that other software wrote.
func peerFile(t testing.TB, name string) []byte {
	t.Helper()
	der, err := os.ReadFile(filepath.Join("testdata", "peers", name+".der"))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestPeers reads messages that other software wrote.
func TestPeers(t *testing.T) {
	for name, tt := range map[string]struct {
		signed    bool
		content   int // bytes; -1 if absent
		enveloped error
	}{
		"certmonger-request":     {true, 1300, nil},
		"micromdm-aes-reply":     {true, 2300, nil},
		"micromdm-des-reply":     {true, 2300, nil},
		"micromdm-refusal-reply": {true, 0, cms.ErrMalformed},
		"step-ca-reply":          {true, 2300, nil},
		"step-ca-refusal-reply":  {true, 0, cms.ErrMalformed},
		"openssl-signed":         {true, 3000, cms.ErrMalformed},
		"openssl-encrypted":      {false, 0, nil},
		"openssl-oaep":           {false, 0, nil},
		"openssl-gcm":            {false, 0, cms.ErrMalformed},
	} {
		der := peerFile(t, name)
		s, err := cms.ParseSigned(der)
		if (err == nil) != tt.signed {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tt.signed {
			signer := s.Signer()
			if signer == nil && name != "micromdm-refusal-reply" && name != "step-ca-refusal-reply" {
				t.Errorf("%s: without its signer's certificate", name)
			} else if signer != nil {
				if err := s.Verify(signer, true); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if len(s.Content) < tt.content/2 || len(s.Content) > tt.content*2 {
				t.Errorf("%s: %d bytes of content", name, len(s.Content))
			}
			der = s.Content
		}
		if _, err := cms.ParseEnveloped(der); !errors.Is(err, tt.enveloped) || (err == nil) != (tt.enveloped == nil) {
			t.Errorf("%s: envelope: %v", name, err)
		}
	}
	if certs, bad, err := cms.ParseBag(peerFile(t, "step-ca-bag")); err != nil || len(bad) > 0 || len(certs) != 3 {
		t.Errorf("bag: %d certificates, %v, %v", len(certs), bad, err)
	}
	s, err := cms.ParseSigned(peerFile(t, "certmonger-request"))
	if err != nil || len(s.Signer().SerialNumber.Bytes()) != 32 && len(s.Signer().SerialNumber.Bytes()) != 33 {
		t.Errorf("serial number of %d bytes, %v", len(s.Signer().SerialNumber.Bytes()), err)
	}
}
