package provision_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/provision"
)

// No step adds anything of one TPM to the state of another, whichever steps were
// taken before; the first TPM goes on afterwards.
func TestStateOfOneTPM(t *testing.T) {
	for _, c := range []struct{ first, then []provision.Step }{
		{[]provision.Step{provision.StepEK}, []provision.Step{provision.StepKeys}},
		{[]provision.Step{provision.StepEK, provision.StepAIK}, []provision.Step{provision.StepKeys}},
		{[]provision.Step{provision.StepKeys}, []provision.Step{provision.StepEK}},
		{[]provision.Step{provision.StepKeys}, []provision.Step{provision.StepEK, provision.StepAIK}},
	} {
		w := newWorld(t, nil)
		tpm, _ := newTPM(t, attesttest.Config{})
		other, _ := newTPM(t, attesttest.Config{Seed: "another"})
		w.admit(t, tpm)
		w.admit(t, other)
		file := filepath.Join(t.TempDir(), "state")
		run := func(tpm *attest.TPM, steps []provision.Step) error {
			p := w.provisioner(tpm)
			p.Store, p.Steps = provision.FileStore(file), steps
			_, err := p.Run(t.Context())
			return err
		}
		if err := run(tpm, c.first); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := run(other, c.then); !errors.Is(err, provision.ErrState) {
			t.Errorf("%v after %v, on another TPM: %v", c.then, c.first, err)
		}
		after, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%v after %v, on another TPM: the state was changed, or %v", c.then, c.first, err)
		}
		if err := run(tpm, nil); err != nil {
			t.Errorf("%v, then the first TPM: %v", c.first, err)
		}
	}
}

// A state that was made with another endorsement key of the same TPM is not said to be of
// another TPM.
func TestStateOfOtherEK(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	p := w.provisioner(tpm)
	p.Store = provision.FileStore(filepath.Join(t.TempDir(), "state"))
	p.Steps = []provision.Step{provision.StepEK}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.SelectEK = func(ek *attest.EK) bool { return ek.CertificateIndex != 0x01C00002 }
	_, err := p.Run(t.Context())
	var e *provision.Error
	if !errors.Is(err, provision.ErrState) || !errors.As(err, &e) || !strings.Contains(e.Remedy(), "leave out -ek") ||
		!strings.Contains(err.Error(), "another endorsement key of this TPM, an RSA key of 2048 bits") {
		t.Errorf("another endorsement key: %v", err)
	}
	p.SelectEK = nil
	if _, err := p.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// A stored key of another kind is refused: somebody put it there.
func TestKeyOfOtherKind(t *testing.T) {
	tpm, _ := newTPM(t, attesttest.Config{})
	key, err := tpm.CreateKey(t.Context(), attest.Template{Usage: attest.Sign | attest.Decrypt})
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
	if err := store.Save(t.Context(), &provision.State{Version: 2, Tenant: drstest.DefaultTenant, DeviceKey: string(text)}); err != nil {
		t.Fatal(err)
	}
	p := newWorld(t, nil).provisioner(tpm)
	p.Store, p.Steps = store, []provision.Step{provision.StepKeys}
	if _, err := p.Run(t.Context()); !errors.Is(err, provision.ErrState) {
		t.Errorf("a device key that also decrypts: %v", err)
	}
}

// losing carries the first request out whose URL has a part, and loses its
// answer.
type losing struct {
	http.RoundTripper
	method, part string
	lost         bool
}

func (l *losing) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(req)
	if err != nil || l.lost || req.Method != l.method || !strings.Contains(req.URL.Path, l.part) {
		return res, err
	}
	l.lost = true
	res.Body.Close()
	return nil, io.ErrUnexpectedEOF
}

// The directory may know the keys of a rejoin whose answer was lost: the next run
// uses them again.
func TestRejoinLost(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	store := provision.FileStore(filepath.Join(t.TempDir(), "state"))
	p := w.provisioner(tpm)
	p.Store = store
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Steps, p.User = []provision.Step{provision.StepRejoin}, w.user()
	p.Backoff = func(provision.Step, int, error) time.Duration { return 0 }
	client := *w.Client()
	client.Transport = &losing{RoundTripper: w.Client().Transport, method: http.MethodPost, part: "/EnrollmentServer/device"}
	p.HTTPClient = &client
	first, err := p.Run(t.Context())
	if err == nil || first.User == nil || first.User.DeviceKey == "" || len(first.User.DeviceCertificate) > 0 {
		t.Fatalf("a rejoin whose answer is lost: %+v, %v", first.User, err)
	}
	second, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second.User.DeviceKey != first.User.DeviceKey || second.User.TransportKey != first.User.TransportKey {
		t.Error("the next run made other keys")
	}
}

// rewriting replaces a text in answers.
type rewriting struct {
	http.RoundTripper
	part, from, to string
}

func (r rewriting) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.RoundTripper.RoundTrip(req)
	if err != nil || !strings.Contains(req.URL.Path, r.part) {
		return res, err
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	text = bytes.ReplaceAll(text, []byte(r.from), []byte(r.to))
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return res, err
}

// A service that does not take the answer to its challenge is not met with advice about keys
// that the run itself made in one TPM.
func TestActivationRefused(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	refuse := answering(http.StatusBadRequest, "application/json", `{"error":"invalid_grant","suberror":"tpm_activation_failed","error_description":"AADSTS50155: no"}`)
	client := *w.Client()
	client.Transport = passing(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/oauth2/token") {
			return refuse(r)
		}
		return w.Client().Transport.RoundTrip(r)
	})
	p.HTTPClient = &client
	var e *provision.Error
	_, err := p.Run(t.Context())
	if !errors.As(err, &e) || e.Step != provision.StepToken || e.HRESULT() == 0 || !strings.HasPrefix(e.Remedy(), "The service's challenge and this TPM's answer do not belong together.") {
		t.Errorf("%v", err)
	}
}

// A passing transport is a function.
type passing func(*http.Request) (*http.Response, error)

func (f passing) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Discovery that names another tenant than the one that the device joined ends
// the run before anybody gets a token.
func TestOtherTenant(t *testing.T) {
	w := newWorld(t, nil)
	tpm, _ := newTPM(t, attesttest.Config{})
	w.admit(t, tpm)
	p := w.provisioner(tpm)
	p.Store = provision.FileStore(filepath.Join(t.TempDir(), "state"))
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Steps, p.User = provision.UserPhase(), w.user()
	p.User.JoinToken = func(context.Context, *drs.Discovery) (drs.Token, error) {
		t.Error("the user was asked for a token")
		return "", nil
	}
	client := *w.Client()
	client.Transport = rewriting{w.Client().Transport, "/Discover", drstest.DefaultTenantID, "11111111-2222-4333-8444-555555555555"}
	p.HTTPClient = &client
	var e *provision.Error
	if _, err := p.Run(t.Context()); !errors.Is(err, drs.ErrTenant) || !errors.As(err, &e) || e.Step != provision.StepDiscover {
		t.Errorf("another tenant: %v", err)
	}
}
