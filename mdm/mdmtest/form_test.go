package mdmtest_test

import (
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// A DeviceID that is a GUID is the same with hyphens and without, in a request, in
// its certificate request and in a session.
func TestHyphens(t *testing.T) {
	s := start(t, new(mdmtest.Server))
	hyphens := strings.Replace(s.enroll, item("DeviceID", sentDevice), item("DeviceID", strings.ToUpper(testDevice)), 1)
	if status, answer := s.send(t, enrollPath, hyphens); status != 200 {
		t.Errorf("%d: %s, %q", status, answer, s.Refusals())
	}
	claims := s.Enrolled()
	if len(claims) != 2 || claims[0].Subject.CommonName != claims[1].Subject.CommonName {
		t.Errorf("%d certificates of different devices", len(claims))
	}
}

// A token of a device goes with an Azure virtual machine, too, and neither that
// nor a user's enrollment needs a registration, unless it names one.
func TestOccasions(t *testing.T) {
	s := start(t, &mdmtest.Server{Registered: func(ztdID string) bool { return ztdID == testZTD }})
	ztd, glove := item("ZeroTouchProvisioning", testZTD), item("WhiteGlove", "true")
	machine := strings.Replace(s.enroll, glove, item("AzVMIAMExtensionJoin", "True"), 1)
	if status, answer := s.send(t, enrollPath, strings.Replace(machine, ztd, "", 1)); status != 200 {
		t.Errorf("%d: %s, %q", status, answer, s.Refusals())
	}
	s.refused(t, enrollPath, strings.Replace(machine, ztd, item("ZeroTouchProvisioning", otherGUID), 1), "s:Authorization", "DeviceNotSupported", "not preregistered")
	s.refused(t, enrollPath, strings.Replace(s.enroll, glove, item("PlugandForget", "true")+item("AzVMIAMExtensionJoin", "x"), 1), "s:MessageFormat", "InvalidEnrollmentData", "AzVMIAMExtensionJoin")
}
