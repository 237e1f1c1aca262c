package scep_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/cms/cmstest"
	"github.com/whiteglove/whiteglove/scep"
)

// hugeBag returns a bag of n CA certificates of one name.
func hugeBag(t testing.TB, n, bits int, exponent int64) []byte {
	t.Helper()
	var certs []*x509.Certificate
	for range n {
		der, err := cmstest.HugeCA("CA", bits, exponent)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, &x509.Certificate{Raw: der})
	}
	return bag(t, certs)
}

// TestPublicKeyWork sends certificates whose signatures take long to check, over plain
// http, where a stranger can do that.
func TestPublicKeyWork(t *testing.T) {
	for name, tt := range map[string]struct {
		body []byte
		want error
	}{
		"large moduli":             {hugeBag(t, 4, 65483, 65537), scep.ErrMalformed},
		"large exponents":          {hugeBag(t, 4, 2048, 1<<33+1), scep.ErrMalformed},
		"too many certificates":    {hugeBag(t, 33, 2048, 65537), scep.ErrMalformed},
		"as large as is permitted": {hugeBag(t, 32, 8192, 1<<31-1), scep.ErrUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(tt.body) }), newForger(t).roots())
			c.Challenge = "" // GetCACaps may fail
			begin := time.Now()
			_, err := c.CA(t.Context(), "")
			if took := time.Since(begin); took > time.Second {
				t.Errorf("took %s", took)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// TestLeadingEndsWithContext checks that the search for paths ends with the context.
func TestLeadingEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	_, _, err := cms.Leading(ctx, make([]*x509.Certificate, 32), nil, func(*x509.Certificate, *x509.CertPool) error {
		if calls++; calls == 3 {
			cancel()
		}
		return errors.New("does not lead to a root")
	})
	if !errors.Is(err, context.Canceled) || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
