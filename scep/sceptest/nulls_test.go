package sceptest_test

import (
	"bytes"
	"encoding/asn1"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/cputime"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// nulls returns n bytes of NULLs in a SEQUENCE of indefinite length. The library pkcs7 takes
// a time for it that is quadratic in n: 0.05 s of a processor for 32 kB, 0.7 s for 128 kB and
// more than half a minute for 1 MB.
func nulls(n int) []byte {
	return append(append([]byte{0x30, 0x80}, bytes.Repeat([]byte{5, 0}, n/2)...), 0, 0)
}

// whole returns an element with a tag of one byte and a length of four.
func whole(tag byte, body []byte) []byte {
	n := len(body)
	return append([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// TestNULLs sends NULLs wherever a message may have bytes. The server refuses or takes them
// within the time that a message needs, and the library does not see them in the form that it
// is slow with.
func TestNULLs(t *testing.T) {
	s := new(sceptest.Server)
	good := newPost(t, s).seal(t)
	const most = 250 << 10 // near the limit of a message
	attributed := newPost(t, s)
	attributed.change = func(m *cms.Message) {
		m.Attributes = append(m.Attributes, cms.Attribute{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: whole(0x30, bytes.Repeat([]byte{5, 0}, most/4))})
	}
	envelope := newPost(t, s)
	envelope.change = func(m *cms.Message) {
		m.Content = append(m.Content[:len(m.Content):len(m.Content)], nulls(most/2)...)
	}
	inEnvelope := newPost(t, s)
	inEnvelope.change = func(m *cms.Message) { m.Content = nulls(most / 2) }
	inside := newPost(t, s)
	inside.content = nulls(most / 2)
	for name, c := range map[string]struct {
		body []byte
		want int // HTTP status; 0 for any
	}{
		"1 MB":                 {nulls(1 << 20), http.StatusRequestEntityTooLarge},
		"alone":                {nulls(most), http.StatusBadRequest},
		"without end":          {nulls(most)[:most], http.StatusBadRequest},
		"definite":             {whole(0x30, bytes.Repeat([]byte{5, 0}, most/2)), http.StatusBadRequest},
		"after a message":      {append(bytes.Clone(good), nulls(most/2)...), http.StatusBadRequest},
		"as SignedData":        {append([]byte{0x30, 0x80, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2, 0xa0, 0x80}, append(nulls(most), 0, 0, 0, 0)...), http.StatusBadRequest},
		"in an attribute":      {attributed.seal(t), 0},
		"behind the envelope":  {envelope.seal(t), 0},
		"as the envelope":      {inEnvelope.seal(t), 0},
		"in the envelope":      {inside.seal(t), 0},
		"many OCTET STRINGs":   {append([]byte{0x24, 0x80}, append(bytes.Repeat([]byte{4, 0}, most/2), 0, 0)...), http.StatusBadRequest},
		"many ends of content": {append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x30, 0x80, 5, 0, 0, 0}, most/6)...), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			start := cputime.Process()
			s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/?operation=PKIOperation", bytes.NewReader(c.body)))
			if used := cputime.Process() - start; used > 2*time.Second {
				t.Errorf("%d bytes cost %v", len(c.body), used)
			}
			if c.want != 0 && w.Code != c.want {
				t.Errorf("HTTP status %d", w.Code)
			}
		})
	}
}
