package ekcert_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
)

// A device is a TPM without certificates, and its keys.
type device struct {
	tpm *attest.TPM
	eks []*attest.EK
	ak  *attest.Key
}

var oneDevice struct {
	sync.Once
	*device
	err error
}

// theDevice returns a TPM that the tests share.
func theDevice(t testing.TB) *device {
	t.Helper()
	oneDevice.Do(func() {
		oneDevice.device, oneDevice.err = newDevice(attesttest.Config{NoCertificate: true}, attest.P256)
	})
	if oneDevice.err != nil {
		t.Fatal(oneDevice.err)
	}
	return oneDevice.device
}

func newDevice(config attesttest.Config, algorithm attest.Algorithm) (*device, error) {
	emulator, err := attesttest.New(config)
	if err != nil {
		return nil, err
	}
	return openDevice(emulator, algorithm)
}

func openDevice(tr transport.TPM, algorithm attest.Algorithm) (*device, error) {
	ctx := context.Background()
	d := &device{tpm: &attest.TPM{Transport: tr}}
	for ek, err := range d.tpm.EKs(ctx) {
		if err != nil {
			return nil, err
		}
		d.eks = append(d.eks, ek)
	}
	ak, err := d.tpm.CreateKey(ctx, attest.Template{Usage: attest.Attest, Algorithm: algorithm})
	d.ak = ak
	return d, err
}

// enrollment returns the device's Request for one of its endorsement keys.
func (d *device) enrollment(ek *attest.EK) *ekcert.Request {
	return &ekcert.Request{
		Vendor: attesttest.Vendor, Model: "emulator", Version: "1.2.3.4",
		EK: ek.Public, AIKCreation: (*ekcert.Statement)(d.ak.Creation()),
		Activate: d.tpm.Activator(ek, d.ak),
	}
}

// A web is a server that counts requests by method.
type web struct {
	*httptest.Server
	mu        sync.Mutex
	gets, all int
}

func serve(t testing.TB, h http.Handler) *web {
	t.Helper()
	w := new(web)
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.all++
		if r.Method == http.MethodGet {
			w.gets++
		}
		w.mu.Unlock()
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

// posts returns how many requests could have told something about a TPM.
func (w *web) posts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all - w.gets
}
