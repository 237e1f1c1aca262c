package provisiontest_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/scep"
)

// newServer returns a server that is closed after the test.
func newServer(t *testing.T) *provisiontest.Server {
	t.Helper()
	s := provisiontest.NewServer()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newDevice returns a device that s expects.
func newDevice(t *testing.T, s *provisiontest.Server, c attesttest.Config) *provisiontest.Device {
	t.Helper()
	d, err := s.NewDevice(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// Many devices enroll at the same time. Each is one object in the directory, with
// keys of its own.
func TestDevices(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var mu sync.Mutex
	keys := make(map[string]bool)
	var wg sync.WaitGroup
	const n = 8
	for i := range n {
		d := newDevice(t, s, attesttest.Config{Fresh: i%2 == 1, NoCertificate: i%4 == 2})
		p := s.Provisioner(d)
		wg.Go(func() {
			state, err := p.Run(t.Context())
			if err != nil {
				t.Errorf("%v\nrefused: %q", err, s.Refusals())
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, key := range []string{string(state.EKSHA256), state.AIK, state.DeviceKey, state.TransportKey} {
				if key == "" || keys[key] {
					t.Errorf("device %d has the key of another", i)
				}
				keys[key] = true
			}
		})
	}
	wg.Wait()
	moduli := make(map[string]bool)
	for _, o := range s.Directory.Objects() {
		if !o.Enabled {
			t.Errorf("device %s has not joined", o.DeviceID)
			continue
		}
		moduli[o.TransportKey.N.String()] = true
	}
	for _, cert := range s.Management.Enrolled() {
		moduli[string(cert.RawSubjectPublicKeyInfo)] = true
	}
	if o, e := len(s.Directory.Objects()), len(s.Management.Enrolled()); o != n || e != n || len(moduli) != 2*n {
		t.Errorf("%d objects, %d enrolled, %d keys", o, e, len(moduli))
	}
	if r := s.Refusals(); len(r) > 0 {
		t.Errorf("refused: %q", r)
	}
}

// The key that is imported is the one that a Provisioner chooses.
func TestAdmit(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, c := range map[string]attesttest.Config{
		"another default": {RSA3072Default: true, Fresh: true},
		"nonce":           {EKNonce: []byte("nonce"), Fresh: true},
		"no certificate":  {NoCertificate: true},
		"default seed":    {Seed: "SIM0 TPM number 1"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Provisioner(newDevice(t, s, c)).Run(t.Context()); err != nil {
				t.Errorf("%v\nrefused: %q", err, s.Refusals())
			}
		})
	}
	none := &attest.TPM{Transport: refusing{}}
	if err := s.Admit(t.Context(), none); err == nil {
		t.Error("a TPM that refuses everything was admitted")
	}
	if err := s.Import("no key"); err == nil {
		t.Error("a text was imported")
	}
}

// The roots vouch for the CAs behind SCEP: the maker's and the attestation CA.
func TestRootsOfCAs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.RootPool()}}}
	defer c.CloseIdleConnections()
	ca, err := (&scep.Client{URL: s.URL + provisiontest.MakerPath, Roots: s.RootPool(), HTTPClient: c}).CA(t.Context(), "")
	if err != nil || len(ca.Chain) == 0 {
		t.Errorf("%+v, %v", ca, err)
	}
}

// refusing is a TPM that answers TPM_RC_FAILURE.
type refusing struct{}

func (refusing) Send([]byte) ([]byte, error) {
	return []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1}, nil
}

// A device that nobody imported is refused, unless the directory admits any.
func TestUnknownDevice(t *testing.T) {
	t.Parallel()
	d, err := provisiontest.NewDevice(attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s := newServer(t)
	if _, err := s.Provisioner(d).Run(t.Context()); err == nil || len(s.Refusals()) != 1 {
		t.Errorf("%v, refused: %q", err, s.Refusals())
	}
	open := &provisiontest.Server{AdmitAny: true}
	if err := open.Start("localhost:0"); err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := open.Provisioner(d).Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	const ada, eve = "ada@" + provisiontest.Tenant, "eve@" + provisiontest.Tenant
	s := &provisiontest.Server{Users: map[string]string{ada: "old"}}
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ask := func(name string) error {
		c := &drs.Client{BaseURL: s.URL + provisiontest.DirectoryPath, HTTPClient: s.Client()}
		d, err := c.Discover(t.Context(), provisiontest.Tenant)
		if err != nil {
			t.Fatal(err)
		}
		token, err := s.User(name).JoinToken(t.Context(), d)
		if (err == nil) != (token != "") {
			t.Errorf("%v, token %t", err, token != "")
		}
		return err
	}
	var e *drs.Error
	if err := ask(eve); !errors.As(err, &e) || e.HTTPStatus != http.StatusBadRequest || e.Code != "invalid_grant" {
		t.Errorf("an unknown user: %v", err)
	}
	if err := ask(ada); err != nil {
		t.Error(err)
	}
	before := s.User(ada)
	s.AddUser(ada, "new")
	s.AddUser(eve, "own")
	for _, name := range []string{ada, eve} {
		if err := ask(name); err != nil {
			t.Error(err)
		}
	}
	if s.User(ada).SignIn.Password == before.SignIn.Password {
		t.Error("the password did not change")
	}
	if !s.Management.Passwords(ada, "new") || s.Management.Passwords(ada, "old") || s.Management.Passwords("", "") {
		t.Error("the management server has other passwords")
	}
}

// A clock is off for every request until it is set again.
func TestSetClock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	paths := map[provisiontest.Party]string{
		provisiontest.PartyMaker: provisiontest.MakerPath + "?operation=GetCACaps", provisiontest.PartyAIK: "/aik/nobody",
		provisiontest.PartyDirectory: discover, provisiontest.PartyManagement: provisiontest.DiscoveryPath,
	}
	check := func(ahead map[provisiontest.Party]time.Duration) {
		t.Helper()
		for party, path := range paths {
			res, err := s.Client().Get(s.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			at, err := http.ParseTime(res.Header.Get("Date"))
			if err != nil || (time.Until(at)-ahead[party]).Abs() > time.Minute {
				t.Errorf("%s says %v, want %v ahead", party, at, ahead[party])
			}
		}
	}
	s.SetClock(-time.Hour)
	s.SetClock(48*time.Hour, provisiontest.PartyDirectory)
	for range 2 {
		check(map[provisiontest.Party]time.Duration{
			provisiontest.PartyMaker: -time.Hour, provisiontest.PartyAIK: -time.Hour,
			provisiontest.PartyDirectory: 48 * time.Hour, provisiontest.PartyManagement: -time.Hour,
		})
	}
	// The time of a fault comes on top.
	s.SetFaults(provisiontest.Fault{Step: provision.StepDiscover, Kind: "skew"})
	res, err := s.Client().Get(s.URL + discover)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if at, err := http.ParseTime(res.Header.Get("Date")); err != nil || (time.Until(at)-72*time.Hour).Abs() > time.Minute {
		t.Errorf("both: %v, %v", at, err)
	}
	s.SetClock(0)
	check(nil)

	s.SetClock(-3*365*24*time.Hour, provisiontest.PartyTLS)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}}
	if _, err := c.Get(s.URL); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("a certificate of three years ago: %v", err)
	}
}

// The CAs of lazy parties are made by the true time, even if their first request
// comes when the clock is off.
func TestSetClockFirst(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetClock(24*time.Hour, provisiontest.PartyAIK, provisiontest.PartyMaker)
	d := newDevice(t, s, attesttest.Config{NoCertificate: true})
	_, err := s.Provisioner(d).Run(t.Context())
	if err == nil {
		t.Fatal("a certificate of tomorrow was accepted")
	}
	s.SetClock(0)
	if _, err := s.Provisioner(d).Run(t.Context()); err != nil {
		t.Errorf("%v\nrefused: %q", err, s.Refusals())
	}
}

// Faults that are not possible, and parties that do not exist, are mistakes of
// the test.
func TestMistakes(t *testing.T) {
	t.Parallel()
	bad := provisiontest.Fault{Step: provision.StepKeys, Kind: "503"}
	s := newServer(t)
	for name, f := range map[string]func(){
		"SetFaults": func() { s.SetFaults(bad) },
		"SetClock":  func() { s.SetClock(0, "nobody") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not panic", name)
				}
			}()
			f()
		}()
	}
	if err := (&provisiontest.Server{Faults: []provisiontest.Fault{bad}}).Start(""); err == nil {
		t.Error("started with a fault that is not possible")
	}
	var e *net.OpError
	if err := new(provisiontest.Server).Start("nowhere"); !errors.As(err, &e) {
		t.Errorf("an address that is none: %v", err)
	}
	if err := new(provisiontest.Server).Close(); err != nil {
		t.Errorf("a server that was not started: %v", err)
	}
}

// Close does not wait for a request that a fault keeps waiting.
func TestCloseWaiting(t *testing.T) {
	t.Parallel()
	s := provisiontest.NewServer()
	s.SetFaults(provisiontest.Fault{Step: provision.StepDiscover, Kind: "timeout", Requests: -1})
	failed := make(chan error)
	go func() {
		res, err := s.Client().Get(s.URL + discover)
		if err == nil {
			res.Body.Close()
		}
		failed <- err
	}()
	for s.Met() == 0 {
		time.Sleep(time.Millisecond)
	}
	start := time.Now()
	if err := s.Close(); err != nil || time.Since(start) > 4*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
