package drstest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// The client's error for each fault.
func TestFaults(t *testing.T) {
	r := newTLSRig(t)
	for _, c := range []struct {
		fault   drstest.Fault
		code    uint32
		subcode string
		retry   time.Duration
	}{
		{drstest.FaultThrottle, 0x801C0025, "error_throttled", 5 * time.Minute},
		{drstest.FaultBusy, 0x801C0025, "error_throttled", 5 * time.Minute},
		{drstest.FaultTicket, 0x801C0003, "MsaTicketTpmValidationFailed", 0},
		{drstest.FaultMissing, 0x801C03F3, "error_missing_device", 0},
		{drstest.FaultQuota, 0x801C000E, "DeviceCapReached", 0},
	} {
		token := r.authenticate()
		r.server.SetFault("Join", c.fault)
		_, err := r.join(r.device.request(token))
		var e *drs.Error
		if !errors.As(err, &e) || e.HRESULT() != c.code || e.Subcode != c.subcode || e.RetryAfter != c.retry || e.Retryable() != (c.retry > 0) || e.RequestID == "" {
			t.Errorf("fault %d: %v, %#x", c.fault, err, e.HRESULT())
		}
		if r.server.Objects()[0].Enabled {
			t.Errorf("fault %d: the device joined", c.fault)
		}
		r.server.SetFault("Join", drstest.FaultNone)
	}
}

// A join whose answer was lost is repeated and returns the same certificate.
func TestLostJoin(t *testing.T) {
	for name, r := range map[string]*rig{"plain": newRig(t), "TLS": newTLSRig(t)} {
		req := r.device.request(r.authenticate())
		r.server.SetFault("Join", drstest.FaultLost)
		_, err := r.join(req)
		var e *drs.Error
		if !errors.As(err, &e) || !e.Retryable() || e.HTTPStatus != 0 {
			t.Errorf("%s: %v", name, err)
		}
		o := r.server.Objects()
		if !o[0].Enabled || len(o[0].Certificates) != 1 {
			t.Fatalf("%s: joined as %+v", name, o)
		}
		r.server.SetFault("Join", drstest.FaultNone)
		dev, err := r.join(req)
		if err != nil || !dev.Certificate.Equal(o[0].Certificates[0]) || len(r.server.Objects()[0].Certificates) != 1 {
			t.Errorf("%s: repeated: %v", name, err)
		}
	}
}

func TestUsedNonces(t *testing.T) {
	r := newRig(t)
	r.server.SetFault("Token", drstest.FaultNonce)
	_, err := r.client.Authenticate(t.Context(), r.tenant, r.device.proof())
	r.refused(err, "Token", "", "request_nonce is unknown, used or expired")
	r.server.SetFault("Token", drstest.FaultNone)
	r.server.SetFault("Nonce", drstest.FaultNonce)
	req := r.device.request(r.authenticate())
	if req.Nonce, err = r.client.Nonce(t.Context(), r.tenant, nil); err != nil {
		t.Fatal(err)
	}
	_, err = r.join(req)
	r.refused(err, "Join", "AttestationFailed", "nonce is unknown, used or expired")
}

func TestExpiredToken(t *testing.T) {
	r := newRig(t)
	r.server.SetFault("Token", drstest.FaultExpired)
	_, err := r.join(r.device.request(r.authenticate()))
	r.refused(err, "Join", "MsaTicketTpmValidationFailed", "expired")
}

func TestSlow(t *testing.T) {
	r := newRig(t)
	r.server.Delay = 300 * time.Millisecond
	r.server.SetFault("Join", drstest.FaultSlow)
	req := r.device.request(r.authenticate())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.client.Join(ctx, r.tenant, req)
	var e *drs.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || e.Op != "Join" || e.HRESULT() != 0x80072EE2 {
		t.Errorf("got %v", err)
	}
	if _, err := r.join(req); err != nil {
		t.Error(err)
	}
}

// The client reads all three forms of an error; some fields are missing in older ones.
func TestErrorForms(t *testing.T) {
	for form, want := range map[drstest.ErrorForm]drs.Error{
		drstest.ErrorModern: {Code: "AuthorizationError", Subcode: "AttestationFailed", ServerOperation: "DeviceJoin"},
		drstest.ErrorLegacy: {Code: "AuthorizationError"},
		drstest.ErrorKPP:    {Code: "AuthorizationError", Subcode: "ERROR_FAIL"},
	} {
		r := newRig(t)
		r.server.Errors = form
		req := r.device.request(r.authenticate())
		req.Attestation = nil
		_, err := r.join(req)
		var e *drs.Error
		if !errors.As(err, &e) || e.HTTPStatus != http.StatusForbidden || e.Code != want.Code || e.Subcode != want.Subcode || e.ServerOperation != want.ServerOperation ||
			len(e.RequestID) != 36 || !strings.Contains(e.Message, "not bound to a device key") {
			t.Errorf("form %d: %+v", form, e)
		}
	}
}

// A user who joins a device must be known and permitted, and has a quota.
func TestUserJoin(t *testing.T) {
	r := newRig(t)
	join := func(n int) error {
		req := &drs.Request{DeviceKey: newSoftKey(t, n, deviceAttributes), TransportKey: &r.device.tk.PublicKey}
		req.UserToken, _ = r.userToken(alice)
		dev, err := r.join(req)
		if err == nil && (dev.UPN != alice || len(dev.AdminSIDs) == 0) {
			t.Errorf("joined as %+v", *dev)
		}
		return err
	}
	r.server.AddUser(drstest.User{UPN: alice, Password: password, MayNotJoin: true})
	wantError(t, join(2), "UserMayNotJoin", "may not join")
	r.server.AddUser(drstest.User{UPN: alice, Password: password, Quota: 1})
	if err := join(2); err != nil {
		t.Fatal(err)
	}
	err := join(3)
	wantError(t, err, "DeviceCapReached", "DeviceCapReached")
	if o := r.server.Objects(); len(o) != 2 || o[1].Owner != alice || o[1].AttestationLevel != 0 {
		t.Errorf("objects %+v", o)
	}
	req := &drs.Request{DeviceKey: newSoftKey(t, 3, deviceAttributes), TransportKey: &r.device.tk.PublicKey}
	req.UserToken, _ = r.userToken(alice)
	r.server.AddUser(drstest.User{UPN: alice, Password: password, Disabled: true})
	_, err = r.join(req)
	wantError(t, err, "UserMayNotJoin", "disabled")
	// A token of the user for another resource.
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	_, body := r.post(map[string][]string{"grant_type": {"password"}, "username": {alice}, "password": {password}, "client_id": {drs.BrokerClient}, "resource": {drstest.ManagementResource}})
	req.UserToken = drs.Token(body["access_token"].(string))
	_, err = r.join(req)
	wantError(t, err, "MsaTicketTpmValidationFailed", "audience")
	// A token of a joined device, which is not a device token.
	r.server.Resources = []string{drstest.JoinResource}
	cert, err := r.server.AddDevice(&r.device.dk.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	claims := r.deviceRequest()
	claims["resource"] = drstest.JoinResource
	_, body = r.sendRequest(r.device.dk, cert, claims)
	req.UserToken, req.DeviceToken = "", &drs.DeviceToken{Token: drs.Token(body["access_token"].(string))}
	_, err = r.join(req)
	wantError(t, err, "MsaTicketTpmValidationFailed", "not of a device that proved")
}

// Only a user can register a device.
func TestRegister(t *testing.T) {
	r := newRig(t)
	r.server.AddUser(drstest.User{UPN: alice, Password: password})
	req := &drs.Request{Type: drs.Register, DeviceKey: newSoftKey(t, 2, deviceAttributes), TransportKey: &r.device.tk.PublicKey}
	req.UserToken, _ = r.userToken(alice)
	dev, err := r.join(req)
	if err != nil || dev.Joined || !r.server.Objects()[1].Registered {
		t.Errorf("%+v, %v", dev, err)
	}
	req.Type = 9
	_, err = r.join(req)
	wantError(t, err, "error_fail", "join type 9")
	req.Type, req.DeviceKey = drs.JoinTenantAlt, newSoftKey(t, 3, deviceAttributes)
	if dev, err := r.join(req); err != nil || !dev.Joined {
		t.Errorf("%+v, %v", dev, err)
	}
}
