package provisiontest_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

const (
	discover = provisiontest.DirectoryPath + "/" + provisiontest.Tenant + "/Discover?api-version=1.9"
	token    = provisiontest.DirectoryPath + "/" + provisiontest.Tenant + "/oauth2/token"
)

// start starts a server with faults, and returns a client that trusts it and
// uses no connection twice.
func start(t *testing.T, faults ...string) (*provisiontest.Server, *http.Client) {
	t.Helper()
	s := new(provisiontest.Server)
	for _, text := range faults {
		f, err := provisiontest.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		s.Faults = append(s.Faults, f)
	}
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: s.RootPool()}}
	return s, &http.Client{Transport: tr, Timeout: 4 * time.Second}
}

// Each kind of fault is what it says, as often as it says, and only for its
// step.
func TestFaults(t *testing.T) {
	has := func(part string) func(bad, good string) bool {
		return func(bad, _ string) bool { return strings.Contains(bad, part) }
	}
	for fault, want := range map[string]func(bad, good string) bool{
		"discover:503":      has("503 "),
		"discover:429":      has("429 "),
		"discover:timeout":  has("Timeout exceeded"),
		"discover:cut":      has("EOF"),
		"discover:lost":     has("EOF"),
		"discover:garbage":  has("200 \xde\xad"),
		"discover:truncate": func(bad, good string) bool { return strings.HasPrefix(good, bad) && len(bad) < len(good) },
		"discover:slow":     func(bad, good string) bool { return bad == good },
		"discover:skew":     func(bad, good string) bool { return bad == good },
		"discover:expired":  func(bad, good string) bool { return bad == good },
		"tls:expired":       has("certificate has expired"),
		"tls:skew":          has("is not yet valid"),
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s, c := start(t, fault)
			if got := get(c, s.URL+provisiontest.ManagementPath+"/nothing"); !strings.HasPrefix(fault, "tls:") && !strings.HasPrefix(got, "404 ") {
				t.Errorf("another step: %s", got)
			} else if strings.HasPrefix(fault, "tls:") && !want(got, "") {
				t.Errorf("a connection for another step: %s", got)
			}
			if kind, ok := strings.CutPrefix(fault, "tls:"); ok {
				s.SetFaults(provisiontest.Fault{Step: provisiontest.StepTLS, Kind: kind})
			}
			bad, good := get(c, s.URL+discover), get(c, s.URL+discover)
			if !strings.Contains(good, `"DeviceJoinService"`) {
				t.Errorf("afterwards: %s", good)
			}
			if !want(bad, good) || s.Met() != 1 {
				t.Errorf("got %q; %d faults were met", bad, s.Met())
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

// As many requests meet a fault as it says, also of those that come at the same time.
func TestFaultOfMany(t *testing.T) {
	const met, more = 8, 8
	s, c := start(t, "discover:503:"+strconv.Itoa(met))
	codes := make(chan int)
	for range met + more {
		go func() {
			res, err := c.Get(s.URL + discover)
			if err != nil {
				codes <- 0
				return
			}
			res.Body.Close()
			codes <- res.StatusCode
		}()
	}
	got := map[int]int{}
	for range met + more {
		got[<-codes]++
	}
	if want := map[int]int{503: met, 200: more}; !maps.Equal(got, want) || s.Met() != met {
		t.Errorf("%v, want %v; met %d", got, want, s.Met())
	}
}

// A nonce is another only where there is one.
func TestNonce(t *testing.T) {
	s, c := start(t, "token:nonce")
	ask := func(grant string) string {
		t.Helper()
		res, err := c.Post(s.URL+token, "application/x-www-form-urlencoded", strings.NewReader("grant_type="+grant))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if body := ask("unknown"); !strings.Contains(body, "unsupported_grant_type") || s.Met() != 0 {
		t.Errorf("an answer without a nonce: %s, met %d", body, s.Met())
	}
	if body := ask("srv_challenge"); !strings.Contains(body, "AAAAAAAAAAAA") || s.Met() != 1 {
		t.Errorf("%s, met %d", body, s.Met())
	}
	if body := ask("srv_challenge"); strings.Contains(body, "AAAAAAAAAAAA") {
		t.Errorf("a second nonce is wrong too: %s", body)
	}
}

func TestParseFault(t *testing.T) {
	for text, want := range map[string]string{
		"join:nonce": "nonce goes only with the step token",
		"tls:503":    "the step tls takes expired and skew only",
		"join:weird": `there is no kind "weird": want an HTTP status from 400 to 599, or one of 429, cut, expired, garbage, lost, skew, slow, timeout, truncate`,
		"keys:503":   `no requests belong to a step "keys": want one of tls, profile, ek, aik, discover, token, join, enroll, session, seal, rejoin, signin`,
	} {
		if _, err := provisiontest.ParseFault(text); err == nil || err.Error() != fmt.Sprintf("fault %q: %s", text, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "join", "keys:503", "join:200", "join:600", "join:weird", "join:lost:0", "join:lost:x", "join:lost:1:1", "join:nonce", "tls:cut", "tls:503", "owner:cut"} {
		if f, err := provisiontest.ParseFault(text); err == nil {
			t.Errorf("%q: %+v", text, f)
		}
	}
	for text, left := range map[string]int{"signin:404": 1, "seal:lost:3": 3, "tls:expired:all": -1, "token:nonce": 1, "session:skew": 1} {
		if f, err := provisiontest.ParseFault(text); err != nil || f.Requests != left || f.String() != text {
			t.Errorf("%q: %+v, %v", text, f, err)
		}
	}
}
