package guides_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// What follows is in docs/factory.md.

// A Record goes with the device, or into your database. Its JSON form is a line of a log.
type Record struct {
	EK       string              `json:"ek"`
	DeviceID string              `json:"deviceId,omitempty"`
	From     time.Time           `json:"from,omitzero"`  // hand it over
	Until    time.Time           `json:"until,omitzero"` // between these times
	Failure  *diagnose.Diagnosis `json:"failure,omitempty"`
}

// provisionDevice takes a device to the seal. After a failure call it again: it goes on
// where it stopped.
func provisionDevice(ctx context.Context, p *provision.Provisioner, dir string) (*Record, error) {
	name, err := nameOf(ctx, p.TPM)
	if err != nil {
		return nil, err
	}
	p.Steps = provision.Technician()
	p.Store = provision.FileStore(filepath.Join(dir, name+".json"))
	record := &Record{EK: name}
	state, err := p.Run(ctx)
	if state != nil { // what was reached, also after an error
		record.DeviceID = state.DeviceID
		record.From, record.Until = state.Window()
	}
	if err != nil {
		d := diagnose.Explain(err)
		record.Failure = &d
	}
	return record, nil
}

// nameOf returns a name that the TPM keeps for life, also when it is cleared.
func nameOf(ctx context.Context, tpm *attest.TPM) (string, error) {
	ek, err := tpm.EK(ctx)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(ek.Public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:8]), nil
}

// Five devices at once meet an outage of the directory. What failed then is sealed in a
// second round.
func TestFactory(t *testing.T) {
	ctx := t.Context()
	server := provisiontest.NewServer()
	defer server.Close()
	dir := t.TempDir()
	devices := make([]*provisiontest.Device, 5)
	for i := range devices {
		var err error
		if devices[i], err = server.NewDevice(ctx, attesttest.Config{}); err != nil {
			t.Fatal(err)
		}
		defer devices[i].Close()
	}
	round := func() (sealed, again int) {
		records := make([]*Record, len(devices))
		var wg sync.WaitGroup
		for i, d := range devices {
			wg.Go(func() {
				p := server.Provisioner(d)
				p.Backoff = func(provision.Step, int, error) time.Duration { return 0 }
				var err error
				if records[i], err = provisionDevice(ctx, p, dir); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, r := range records {
			switch {
			case r == nil:
			case r.Failure == nil && !r.From.IsZero():
				sealed++
			case r.Failure.Retryable:
				again++
			default:
				t.Error(r.Failure)
			}
		}
		return sealed, again
	}

	server.SetFaults(provisiontest.Fault{Step: provision.StepJoin, Kind: "503", Requests: 2})
	if sealed, again := round(); sealed != 3 || again != 2 {
		t.Errorf("first round: %d sealed, %d again", sealed, again)
	}
	if sealed, again := round(); sealed != 5 || again != 0 {
		t.Errorf("second round: %d sealed, %d again", sealed, again)
	}
	if n := len(server.Directory.Objects()); n != 5 {
		t.Errorf("%d devices in the directory", n)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) < 5 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// handOver runs the user's phase.
func handOver(ctx context.Context, p *provision.Provisioner, user *provision.User) (*provision.State, error) {
	p.Steps, p.User = provision.UserPhase(), user
	state, err := p.Run(ctx)
	return state, err
}

// TestHandOver seals a device and hands it to its user.
func TestHandOver(t *testing.T) {
	server := provisiontest.NewServer()
	defer server.Close()
	server.AddUser("ada@contoso.test", "secret")
	device, err := server.NewDevice(t.Context(), attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	p := server.Provisioner(device)
	if r, err := provisionDevice(t.Context(), p, t.TempDir()); err != nil || r.Failure != nil {
		t.Fatal(r, err)
	}
	state, err := handOver(t.Context(), p, server.User("ada@contoso.test"))
	if err != nil || state.User.DeviceID != state.DeviceID {
		t.Error(state, err)
	}
}
