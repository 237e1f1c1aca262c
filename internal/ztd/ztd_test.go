package ztd_test

import (
	"testing"

	"github.com/whiteglove/whiteglove/internal/ztd"
)

// Each code and name that programs decide by has a remedy.
func TestRemedies(t *testing.T) {
	for code, name := range map[int]string{
		ztd.InvalidBody: "InvalidZtdRequestBody", ztd.InvalidHash: "InvalidZtdHardwareHash",
		ztd.MissingSerial: "MissingZtdSerialNumberAndProductKey", ztd.AlreadyAssigned: "ZtdDeviceAlreadyAssigned",
		ztd.NotRegistered: "ZtdDeviceIsNotRegistered", ztd.OtherTenant: "ZtdDeviceAssignedToOtherTenant",
		ztd.UnknownProfile: "ZtdProfileIsNotRegistered", ztd.ProfileOtherTenant: "ZtdProfileAssignedToOtherTenant",
		ztd.RegisteredByOther: "ZtdDeviceRegisteredByOtherTenant", ztd.NotFound: "ZtdDeviceNotFound",
		ztd.NotUnique: "ZtdDeviceIsNotUnique", ztd.AlreadyInDirectory: "ZtdDeviceAlreadyAadRegistered",
		ztd.NoProfile: "ZtdDeviceHasNoAssignedProfile", ztd.Mismatch: "SerialNumberMismatch",
	} {
		if got := ztd.Name(code); got != name {
			t.Errorf("%d: name %q, want %q", code, got, name)
		}
		if ztd.Remedy(code, "") == "" || ztd.Remedy(0, name) != ztd.Remedy(code, "") {
			t.Errorf("%d: remedy %q; by name %q", code, ztd.Remedy(code, ""), ztd.Remedy(0, name))
		}
	}
	for _, name := range []string{ztd.StorageError, ztd.Duplicated, ztd.BadHash, ztd.Not4K} {
		if ztd.Remedy(0, name) == "" {
			t.Errorf("%s: no remedy", name)
		}
	}
	if ztd.Remedy(0, "S_OK") != "" || ztd.Remedy(99, "") != "" || ztd.Name(99) != "" || ztd.Remedy(-1, "") != "" {
		t.Error("a remedy for what is not a code of the service")
	}
	if !ztd.Retryable(ztd.StorageError) || ztd.Retryable(ztd.Duplicated) {
		t.Error("StorageError passes, ZtdDeviceDuplicated does not")
	}
}
