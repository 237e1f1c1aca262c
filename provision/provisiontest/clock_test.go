package provisiontest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mozilla.org/pkcs7"

	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// Only the request with the fault is served by a clock that is off, whatever
// else is served at the same time.
func TestClock(t *testing.T) {
	var clock provisiontest.Clock
	party := func(off time.Duration) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) {
			for range 3 {
				if got := time.Until(clock.Now()); (got - off).Abs() > time.Minute {
					t.Errorf("the clock is off by %v in a request with %v", got, off)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	var wg sync.WaitGroup
	for i := range 60 {
		off := []time.Duration{0, 0, 24 * time.Hour, -48 * time.Hour}[i%4]
		wg.Go(func() {
			w := httptest.NewRecorder()
			clock.Serve(party(off), w, httptest.NewRequest(http.MethodGet, "/", nil), off)
			if at, err := http.ParseTime(w.Header().Get("Date")); off != 0 && (err != nil || (time.Until(at)-off).Abs() > time.Minute) {
				t.Errorf("Date %v, %v with %v", at, err, off)
			}
		})
	}
	wg.Wait()
	party(0)(nil, nil)
}

// The answer with the fault says another time. A CA that is made at its first
// request is not made at that time.
func TestClocks(t *testing.T) {
	s, c := start(t, "discover:skew:all", "ek:expired")
	c.Timeout = 0
	res, err := c.Get(s.URL + discover)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if at, err := http.ParseTime(res.Header.Get("Date")); err != nil || (time.Until(at)-24*time.Hour).Abs() > time.Minute {
		t.Errorf("Date %v, %v", at, err)
	}
	const maker = provisiontest.MakerPath + "?operation="
	if got := get(c, s.URL+maker+"GetCACaps"); !strings.HasPrefix(got, "200 ") {
		t.Error(got)
	}
	_, bag, _ := strings.Cut(get(c, s.URL+maker+"GetCACert"), " ")
	p7, err := pkcs7.Parse([]byte(bag))
	if err != nil {
		t.Fatal(err)
	}
	for _, cert := range p7.Certificates {
		if now := time.Now(); now.After(cert.NotAfter) || now.Before(cert.NotBefore) {
			t.Errorf("%s is good from %v to %v", cert.Subject, cert.NotBefore, cert.NotAfter)
		}
	}
}
