package wcce_test

import (
	"bytes"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wcce"
)

// The fuzz targets check that a value that was parsed encodes to the same bytes.

func FuzzCSR(f *testing.F) {
	f.Add(request(f))
	f.Fuzz(func(t *testing.T, in []byte) {
		csr, err := wcce.ParseCSR(in)
		if err != nil || csr.VerifyNull() != nil || !csr.EmptySubject() {
			return
		}
		_, _ = csr.Extensions()
		for _, a := range csr.Attributes {
			if len(a.Values) == 0 {
				return
			}
		}
		out, err := wcce.MarshalCSR(csr.PublicKey, csr.Attributes)
		if err != nil || !bytes.Equal(out, in) {
			t.Errorf("wrote %x, %v", out, err)
		}
	})
}

func FuzzAltName(f *testing.F) {
	san, err := (&wcce.Device{Manufacturer: "id:4E544300", Model: "m", Version: "id:1"}).AltName(true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(san.Value)
	if san, err = (&wcce.Device{Model: "m"}).AltName(true); err != nil {
		f.Fatal(err)
	}
	f.Add(san.Value)
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := wcce.ParseAltName(in)
		if err != nil {
			return
		}
		again, err := d.AltName(false)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := wcce.ParseAltName(again.Value); err != nil || *got != *d {
			t.Errorf("read %+v, then %+v, %v", d, got, err)
		}
		like, err := d.AltNameLike(in, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := wcce.ParseAltName(like.Value); err != nil || *got != *d {
			t.Errorf("in the same form: read %+v, then %+v, %v", d, got, err)
		}
	})
}

func FuzzEKInfo(f *testing.F) {
	for _, certs := range [][][]byte{nil, {{0x30, 0x00}}} {
		raw, err := (&wcce.EKInfo{PublicKey: spki(f), Certificates: certs}).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := wcce.ParseEKInfo(in)
		if err != nil {
			return
		}
		if out, err := e.Marshal(); err != nil || !bytes.Equal(out, in) {
			t.Errorf("wrote %x, %v", out, err)
		}
	})
}

func FuzzKAST(f *testing.F) {
	binding, err := (&wcce.IDBinding{PublicArea: []byte{1}, CreationData: []byte{2}, Attest: []byte{3}, Signature: []byte{0, 0x14, 0, 0xb, 0, 1, 9}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add((&wcce.KAST{IDBinding: binding, AIKOpaque: []byte{1}}).Marshal())
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := wcce.ParseKAST(in)
		if err != nil {
			return
		}
		if out := k.Marshal(); !bytes.Equal(out, in) {
			t.Errorf("wrote %x", out)
		}
		b, err := wcce.ParseIDBinding(k.IDBinding)
		if err != nil {
			return
		}
		if out, err := b.Marshal(); err != nil || !bytes.Equal(out, k.IDBinding) {
			t.Errorf("wrote %x, %v", out, err)
		}
	})
}

func FuzzKADS(f *testing.F) {
	key, err := (&wcce.PCPKey{PublicArea: []byte{1, 2}, Private: []byte{3}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add((&wcce.KADS{Attest: []byte{1}, Signature: []byte{0, 0x14, 0, 0xb, 0, 1, 9}, KeyBlob: key}).Marshal())
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := wcce.ParseKADS(in)
		if err != nil {
			return
		}
		if out := k.Marshal(); !bytes.Equal(out, in) {
			t.Errorf("wrote %x", out)
		}
		if sig := wcce.RSASignature(k.Signature); !bytes.HasSuffix(k.Signature, sig) {
			t.Errorf("signature %x", sig)
		}
	})
}

func FuzzPCPKey(f *testing.F) {
	key, err := (&wcce.PCPKey{PublicArea: []byte{1, 2}, Private: []byte{3}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(key)
	f.Add(withBank(key))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := wcce.ParsePCPKey(in)
		if err != nil {
			return
		}
		out, err := k.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := wcce.ParsePCPKey(out)
		if err != nil || !bytes.Equal(again.PublicArea, k.PublicArea) || !bytes.Equal(again.Private, k.Private) {
			t.Errorf("read %+v, then %+v, %v", k, again, err)
		}
	})
}

func FuzzTACH(f *testing.F) {
	raw, err := (&wcce.TACH{Blob: []byte{1}, EncryptedSecret: []byte{2}, Opaque: []byte{3}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := wcce.ParseTACH(in)
		if err != nil || in[8] != wcce.PlatformTPM20 {
			return
		}
		if out, err := c.Marshal(); err != nil || !bytes.Equal(out, in) {
			t.Errorf("wrote %x, %v", out, err)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	context, err := wcce.MarshalContext([]byte("state"))
	if err != nil {
		f.Fatal(err)
	}
	c, err := (&wcce.Challenge{TACH: []byte("tach"), Context: context}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	a, err := (&wcce.Answer{Secret: []byte{0x30, 0x00}, Context: context}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c)
	f.Add(a)
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, err := wcce.ParseChallenge(in); err == nil {
			_, _ = wcce.ParseContext(c.Context)
			if !bytes.Contains(in, c.Context) {
				t.Error("the context is not the server's")
			}
		}
		if a, err := wcce.ParseAnswer(in); err == nil {
			_, _ = wcce.ParseContext(a.Context)
			out, err := a.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := wcce.ParseAnswer(out); err != nil || !bytes.Equal(again.Secret, a.Secret) || !bytes.Equal(again.Context, a.Context) {
				t.Errorf("read %+v, then %+v, %v", a, again, err)
			}
		}
	})
}
