package provision_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// A watchedStore tells when it is given a state with a management key.
type watchedStore struct {
	provision.Store
	once sync.Once
	made chan struct{}
}

func (s *watchedStore) Save(ctx context.Context, state *provision.State) error {
	if state.ManagementKey != "" {
		s.once.Do(func() { close(s.made) })
	}
	return s.Store.Save(ctx, state)
}

// The management key is made while the directory is at work on the join: here that answers
// only when the key is there.
func TestManagementKeyBesideJoin(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		w := newWorld(t, nil)
		tpm, chip := newTPM(t, attesttest.Config{Fresh: fresh})
		w.admit(t, tpm)
		count := &stepCounter{TPM: chip}
		p := w.provisioner(&attest.TPM{Transport: count})
		store := &watchedStore{Store: provision.FileStore(filepath.Join(t.TempDir(), "state")), made: make(chan struct{})}
		p.Store = store
		p.HTTPClient = &http.Client{Transport: &gate{
			RoundTripper: w.Client().Transport, part: "/EnrollmentServer/device/", opened: store.made, passed: make(chan struct{}),
		}, Timeout: 30 * time.Second}
		state, err := p.Run(t.Context())
		if err != nil {
			t.Fatalf("%v\nrefused: %q", err, w.Refusals())
		}
		checkEnrolled(t, w, state)
		made := slices.Index(count.list, stepCommand{provision.StepEnroll, tpm2.TPMCCCreateLoaded})
		signed := slices.Index(count.list, stepCommand{provision.StepEnroll, tpm2.TPMCCSign})
		if made < 0 || signed < made {
			t.Errorf("commands %v", count.list)
		}
		if objects, sessions := chip.Loaded(); objects != 0 || sessions != 0 {
			t.Errorf("left loaded: %d objects, %d sessions", objects, sessions)
		}
	}
}

// A directory that refuses the join leaves a key that the next run uses.
func TestManagementKeyAfterRefusal(t *testing.T) {
	w := newWorld(t, nil)
	tpm, chip := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	store := &watchedStore{Store: provision.FileStore(filepath.Join(t.TempDir(), "state")), made: make(chan struct{})}
	run := func(refuse bool) (*provision.State, error) {
		p := w.provisioner(tpm)
		p.Store = store
		p.Backoff = func(provision.Step, int, error) time.Duration { return -1 }
		if refuse {
			p.HTTPClient = &http.Client{Transport: &gate{
				RoundTripper: w.Client().Transport, part: "/EnrollmentServer/device/", opened: store.made, passed: make(chan struct{}),
			}, Timeout: 30 * time.Second}
			w.SetFaults(provisiontest.Fault{Step: provision.StepJoin, Kind: "503", Requests: 1})
		}
		return p.Run(t.Context())
	}
	state, err := run(true)
	if err == nil || state.ManagementKey == "" {
		t.Fatalf("%v", err)
	}
	key := state.ManagementKey
	if objects, sessions := chip.Loaded(); objects != 0 || sessions != 0 {
		t.Errorf("left loaded: %d objects, %d sessions", objects, sessions)
	}
	if state, err = run(false); err != nil {
		t.Fatalf("%v\nrefused: %q", err, w.Refusals())
	}
	checkEnrolled(t, w, state)
	if state.ManagementKey != key {
		t.Error("another key was made")
	}
}

// A keyLength transport has a management server's policy want keys of another length.
type keyLength struct {
	http.RoundTripper
	bits *int
}

func (k keyLength) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := k.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	body = bytes.ReplaceAll(body, []byte("<minimalKeyLength>2048<"), []byte("<minimalKeyLength>"+strconv.Itoa(*k.bits)+"<"))
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Del("Content-Length")
	return res, nil
}

// A policy that wants longer keys gets one, whether the shorter one was made in this run
// or in one before.
func TestManagementKeyTooShort(t *testing.T) {
	for _, resumed := range []bool{false, true} {
		w := newWorld(t, nil)
		tpm, chip := newTPM(t, attesttest.Config{})
		w.admit(t, tpm)
		store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
		bits := 3072
		run := func() (*provision.State, error) {
			p := w.provisioner(tpm)
			p.Store = store
			p.HTTPClient = &http.Client{Transport: keyLength{w.Client().Transport, &bits}, Timeout: 30 * time.Second}
			return p.Run(t.Context())
		}
		if resumed {
			bits = 4096 // which TPMs do not have
			state, err := run()
			if err == nil || !strings.Contains(err.Error(), "4096") || state.ManagementKey == "" {
				t.Fatalf("%v", err)
			}
			bits = 3072
		}
		state, err := run()
		if err != nil {
			t.Fatalf("%v\nrefused: %q", err, w.Refusals())
		}
		checkEnrolled(t, w, state)
		cert, err := x509.ParseCertificate(state.ManagementCertificates[0])
		if err != nil {
			t.Fatal(err)
		}
		if key, ok := cert.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() != 3072 {
			t.Errorf("resumed %t: the key is a %T", resumed, cert.PublicKey)
		}
		key, err := tpm.LoadKey(t.Context(), []byte(state.ManagementKey))
		if err != nil || !key.Matches(attest.Template{Algorithm: attest.RSA3072, Usage: attest.Sign}) {
			t.Errorf("resumed %t: %v", resumed, err)
		}
		if objects, sessions := chip.Loaded(); objects != 0 || sessions != 0 {
			t.Errorf("left loaded: %d objects, %d sessions", objects, sessions)
		}
	}
}
