package ekcert_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"encoding/binary"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
)

// open serves a maker with quirks.
func open(t *testing.T, vendor string, quirks ...string) *ekcerttest.Maker {
	t.Helper()
	m := &ekcerttest.Maker{Vendor: vendor, Quirks: quirks}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	m.BaseURL = server.URL
	return m
}

// client returns a client for the certificates of a maker.
func client(m *ekcerttest.Maker) *ekcert.Client {
	return &ekcert.Client{
		Roots: ekcert.Roots{ekcert.VendorName(m.Vendor): m.Roots()},
		Services: map[string]ekcert.Fetcher{
			"INTC": &ekcert.Service{URL: m.BaseURL + "/ekcertservice/", Vendor: "INTC"},
			"AMD":  &ekcert.Service{URL: m.BaseURL + "/pki/aia/", Vendor: "AMD"},
		},
		FetchIssuers: true, CheckRevocation: true, AllowPrivateHosts: true,
	}
}

func certify(t *testing.T, m *ekcerttest.Maker, ek crypto.PublicKey) []byte {
	t.Helper()
	der, err := m.Certify(ek)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// registryBlob returns a value Blob of the Windows registry, with the properties that
// are around the certificate there.
func registryBlob(der []byte) []byte {
	var b []byte
	add := func(property uint32, data []byte) {
		b = binary.LittleEndian.AppendUint32(b, property)
		b = binary.LittleEndian.AppendUint32(b, 1)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		b = append(b, data...)
	}
	add(3, make([]byte, 20))
	add(92, []byte{0, 8, 0, 0})
	add(32, der)
	return b
}

func TestParseRegistry(t *testing.T) {
	m := newMaker(t, "AMD")
	der := m.issue(t, ekKey(t).Public(), amd).Raw
	blob := registryBlob(der)
	cert, err := ekcert.Parse(blob)
	if err != nil || !bytes.Equal(cert.Raw, der) {
		t.Fatalf("%v", err)
	}
	if cert, err = ekcert.Parse(append(blob, registryBlob(nil)...)); err != nil || !bytes.Equal(cert.Raw, der) {
		t.Errorf("with records behind: %v", err)
	}
	wrong := slices.Clone(blob)
	wrong[8] = 0xFF // length of the first record
	for name, b := range map[string][]byte{
		"cut": blob[:len(blob)-1], "no certificate": blob[:12+20+12+4], "length": wrong[:100], "empty": registryBlob(nil),
	} {
		if _, err := ekcert.Parse(b); !errors.Is(err, ekcert.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFindInOrder puts a certificate into one source after the other.
func TestFindInOrder(t *testing.T) {
	m := open(t, "AMD")
	ek := ekKey(t).Public()
	der := certify(t, m, ek)
	other := certify(t, m, newECKey(t, elliptic.P256()).Public())
	broken := errors.New("registry is gone")
	for name, tt := range map[string]struct {
		nv     map[uint32][]byte
		system [][]byte
		fail   error
		vendor string
		origin string
		want   error
	}{
		"NV":                      {nv: map[uint32][]byte{0x01C00002: der}, system: [][]byte{registryBlob(der)}, vendor: "AMD", origin: "nv:0x01C00002"},
		"system":                  {system: [][]byte{{1}, registryBlob(other), registryBlob(der)}, vendor: "AMD", origin: "system"},
		"NV has another's":        {nv: map[uint32][]byte{0x01C00002: other}, system: [][]byte{der}, origin: "system"},
		"service":                 {system: [][]byte{registryBlob(other)}, vendor: "AMD", origin: m.BaseURL + "/pki/aia/"},
		"service, Intel's form":   {vendor: "id:494E5443", origin: m.BaseURL + "/ekcertservice/"},
		"system fails":            {fail: broken, vendor: "AMD", origin: m.BaseURL + "/pki/aia/"},
		"no vendor, no service":   {want: ekcert.ErrNotFound},
		"vendor without service":  {vendor: "STM", want: ekcert.ErrNotFound},
		"NV another's, none else": {nv: map[uint32][]byte{0x01C00002: other}, vendor: "STM", want: ekcert.ErrMismatch},
	} {
		c := client(m)
		c.SystemStore = func(context.Context) ([][]byte, error) { return tt.system, tt.fail }
		cert, err := c.Find(t.Context(), &nvMemory{content: tt.nv}, tt.vendor, ek)
		if !errors.Is(err, tt.want) || err == nil && cert.Origin != tt.origin {
			t.Errorf("%s: %+v, %v", name, cert, err)
		}
	}
	if cert, err := client(m).Find(t.Context(), nil, "AMD", ek); err != nil || !bytes.Equal(cert.Raw, der) {
		t.Errorf("without NV memory: %v", err)
	}
}

// An asker is a Fetcher that is not a Service.
type asker func() ([]byte, error)

func (a asker) Fetch(context.Context, crypto.PublicKey) ([]byte, error) { return a() }

func TestFindAsksFetcher(t *testing.T) {
	m := newMaker(t, "Qualcomm")
	ek := ekKey(t).Public()
	der := m.issue(t, ek, "id:51434F4D").Raw
	broken := errors.New("line is dead")
	for name, tt := range map[string]struct {
		answer asker
		want   error
	}{
		"has it":    {func() ([]byte, error) { return der, nil }, nil},
		"has none":  {func() ([]byte, error) { return nil, ekcert.ErrNotFound }, ekcert.ErrNotFound},
		"another's": {func() ([]byte, error) { return m.ca.Raw, nil }, ekcert.ErrMismatch},
		"noise":     {func() ([]byte, error) { return []byte("hello"), nil }, ekcert.ErrMalformed},
		"fails":     {func() ([]byte, error) { return nil, broken }, broken},
	} {
		c := &ekcert.Client{Services: map[string]ekcert.Fetcher{"QCOM": tt.answer}}
		cert, err := c.Find(t.Context(), nil, "QCOM", ek)
		if !errors.Is(err, tt.want) || err == nil && (cert.Origin != "service" || cert.Vendor() != "QCOM") {
			t.Errorf("%s: %+v, %v", name, cert, err)
		}
	}
}

// TestServiceQuirks finds certificates at odd services.
func TestServiceQuirks(t *testing.T) {
	ek := ekKey(t).Public()
	for quirk, tt := range map[string]struct {
		want      error
		status    int
		retryable bool
	}{
		"": {}, "answer-der": {}, "answer-pem": {}, "answer-json": {},
		"answer-foreign":  {want: ekcert.ErrMismatch, status: 0},
		"answer-portal":   {want: ekcert.ErrMalformed},
		"answer-huge":     {want: errAny},
		"answer-redirect": {want: errAny},
		"status-403":      {want: ekcert.ErrNoService, status: 403},
		"status-405":      {want: ekcert.ErrNoService, status: 405},
		"status-429":      {want: errAny, status: 429, retryable: true},
		"status-500":      {want: errAny, status: 500, retryable: true},
	} {
		for _, vendor := range []string{"INTC", "AMD"} {
			var quirks []string
			if quirk != "" {
				quirks = []string{quirk}
			}
			m := open(t, vendor, quirks...)
			certify(t, m, ek)
			c := client(m)
			cert, err := c.Find(t.Context(), nil, vendor, ek)
			if tt.want == nil {
				if err == nil {
					_, err = c.Verify(t.Context(), cert, ek)
				}
				if err != nil {
					t.Errorf("%s, %s: %v, refused: %q", vendor, quirk, err, m.Refusals())
				}
				continue
			}
			var e *ekcert.Error
			if !errors.As(err, &e) || tt.want != errAny && !errors.Is(err, tt.want) || errors.Is(err, ekcert.ErrNotFound) {
				t.Errorf("%s, %s: %v", vendor, quirk, err)
				continue
			}
			if e.HTTPStatus != tt.status || e.Retryable() != tt.retryable || (e.RetryAfter != 0) != (tt.status == 429 || tt.status == 403 || tt.status == 405 || tt.status == 500) {
				t.Errorf("%s, %s: %+v, retryable %v", vendor, quirk, e, e.Retryable())
			}
		}
	}
}

var errAny = errors.New("any error")

// TestServiceHasNone uses a key that the maker does not know.
func TestServiceHasNone(t *testing.T) {
	m := open(t, "INTC")
	_, err := client(m).Find(t.Context(), nil, "INTC", ekKey(t).Public())
	var e *ekcert.Error
	if !errors.As(err, &e) || !errors.Is(err, ekcert.ErrNotFound) || e.HTTPStatus != 404 || e.Retryable() {
		t.Errorf("%v", err)
	}
	if r := m.Refusals(); len(r) != 1 {
		t.Errorf("refusals %q", r)
	}
}
