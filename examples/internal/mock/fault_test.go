package mock_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/mock"
)

// Each kind of fault is what it says, as often as it says, and only for its
// step.
func TestFaults(t *testing.T) {
	const discover, maker = mock.DirectoryPath + "/contoso.test/Discover?api-version=1.9", mock.MakerPath + "?operation=GetCACaps"
	has := func(part string) func(bad, good string) bool {
		return func(bad, _ string) bool { return strings.Contains(bad, part) }
	}
	for kind, want := range map[string]func(bad, good string) bool{
		"503":      has("503 "),
		"429":      has("429 "),
		"timeout":  has("Timeout exceeded"),
		"cut":      has("EOF"),
		"lost":     has("EOF"),
		"garbage":  has("200 \xde\xad"),
		"truncate": func(bad, good string) bool { return strings.HasPrefix(good, bad) && len(bad) < len(good) },
		"slow":     func(bad, good string) bool { return bad == good },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, err := mock.ParseFault("discover:" + kind)
			if err != nil {
				t.Fatal(err)
			}
			s, err := mock.Start("127.0.0.1:0", mock.Config{Faults: []*mock.Fault{f}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close(context.Background())
			tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: mock.Pool(s.Roots)}}
			defer tr.CloseIdleConnections()
			c := &http.Client{Transport: tr, Timeout: 4 * time.Second}
			if got := get(c, s.URL+maker); !strings.HasPrefix(got, "200 ") {
				t.Errorf("another step: %s", got)
			}
			bad, good := get(c, s.URL+discover), get(c, s.URL+discover)
			if !strings.Contains(good, `"DeviceJoinService"`) {
				t.Errorf("afterwards: %s", good)
			}
			if !want(bad, good) {
				t.Errorf("got %q", bad)
			}
		})
	}
}

// get returns the status and the body of an answer, or the error.
func get(c *http.Client, url string) string {
	res, err := c.Get(url)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return res.Status[:4] + string(body)
}
