package provisiontest

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// fillAutopilot fills the registration service in. A device that it registers gets
// a disabled object in the directory, which only the TPM with the endorsement key
// of the hash can enable. A device whose hash has no endorsement key gets none.
func (s *Server) fillAutopilot() {
	a := s.Autopilot
	s.clocks[PartyAutopilot].set(&a.Now)
	if a.Logger == nil {
		a.Logger = s.Logger
	}
	or(&a.BaseURL, s.URL+AutopilotPath)
	or(&a.Tenant, s.tenant())
	or(&a.TenantID, tenantID(s.Directory))
	if a.Precreate == nil {
		a.Precreate = s.precreate
	}
	if a.Objects == nil {
		a.Objects = s.objects
	}
	if a.RemoveObject == nil {
		a.RemoveObject = s.Directory.Remove
	}
}

// precreate makes the object of a device.
func (s *Server) precreate(h *autopilot.Hash, _ string) (ztdID, deviceID string, err error) {
	ek := h.EK()
	if ek == nil {
		return "", "", nil
	}
	if ztdID, err = s.Directory.Import(ek); err != nil {
		return "", "", err
	}
	o, _ := s.Directory.Object(ztdID)
	if o.Enabled {
		return "", "", autopilottest.ErrInDirectory
	}
	return ztdID, o.DeviceID, nil
}

// objects returns the objects of a registration. They are named by the identifier
// of the device, by which the directory deletes them.
func (s *Server) objects(ztdID string) []graph.DirectoryDevice {
	o, ok := s.Directory.Object(ztdID)
	if !ok || !strings.EqualFold(o.ZTDID, ztdID) {
		return nil
	}
	return []graph.DirectoryDevice{directoryDevice(&o)}
}

func directoryDevice(o *drstest.Object) graph.DirectoryDevice {
	return graph.DirectoryDevice{ID: o.DeviceID, DeviceID: o.DeviceID, Name: o.DisplayName, Enabled: o.Enabled, PhysicalIDs: o.PhysicalIDs}
}

// Hash returns a hardware hash for a device with this TPM: made up, and marked so,
// but for the RSA endorsement key, which is the TPM's. The serial number follows
// from the key. If the TPM has no RSA endorsement key, neither has the hash.
//
// The error is an [*attest.Error] if the TPM fails.
func (d *Device) Hash(ctx context.Context) (*autopilot.Hash, error) {
	mock, err := mockDevice(ctx, d.TPM)
	if err != nil {
		return nil, err
	}
	return mock.Hash(), nil
}

// mockDevice returns the made-up device of a TPM.
func mockDevice(ctx context.Context, tpm *attest.TPM) (*autopilottest.Device, error) {
	for ek, err := range tpm.EKs(ctx) {
		if err != nil {
			return nil, err
		}
		if key, ok := ek.Public.(*rsa.PublicKey); ok {
			sum := sha256.Sum256(key.N.Bytes())
			return &autopilottest.Device{Serial: "MOCK-" + strings.ToUpper(hex.EncodeToString(sum[:4])), EK: key}, nil
		}
	}
	return new(autopilottest.Device), nil
}

// Graph returns a client of the registration service, whose token is good.
func (s *Server) Graph() *graph.Client {
	return &graph.Client{
		BaseURL: s.URL + AutopilotPath, HTTPClient: s.client,
		Token: func(context.Context) (string, error) { return "mock-token", nil },
	}
}

// Register registers a device by its hardware hash, and waits until it has its
// profile, which takes half a second. Set Hash and Profile of its Provisioner to h
// and [Server.ProfileClient] to use them in a run.
//
// The error is a [*graph.Error].
func (s *Server) Register(ctx context.Context, h *autopilot.Hash) error {
	r := &graph.Registration{
		Client: s.Graph(),
		Pause:  func(graph.Stage, int) time.Duration { return 10 * time.Millisecond },
	}
	if _, err := r.Run(ctx, []autopilot.Row{{Hash: h.String()}}); err != nil {
		return fmt.Errorf("provisiontest: registering a hardware hash: %w", err)
	}
	return nil
}

// ProfileClient returns a client of the profile service for the device with a
// hardware hash, with a device ticket that is good.
func (s *Server) ProfileClient(h *autopilot.Hash) *autopilot.ProfileClient {
	return &autopilot.ProfileClient{
		URL: s.URL + AutopilotPath + autopilottest.ProfilePath, HTTPClient: s.client,
		Ticket: func(context.Context) (string, error) { return s.Autopilot.Ticket(h), nil },
	}
}
