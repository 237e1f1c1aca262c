package drstest_test

import "testing"

// A token is refused if the device was imported again, or its hardware record replaced, after
// the token was issued (check 10).
func TestRecordChanged(t *testing.T) {
	r := newRig(t)
	token := r.authenticate()
	r.server.Remove(r.server.Objects()[0].DeviceID)
	if _, err := r.server.Import(&r.device.ek.PublicKey); err != nil {
		t.Fatal(err)
	}
	_, err := r.join(r.device.request(token))
	r.refused(err, "Join", "error_missing_device", "gone")

	token = r.authenticate()
	if err := r.server.ReplaceEK(&softRSA(t, 5).PublicKey); err != nil {
		t.Fatal(err)
	}
	_, err = r.join(r.device.request(token))
	r.refused(err, "Join", "AttestationFailed", "check 10")
}
