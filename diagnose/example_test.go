package diagnose_test

import (
	"fmt"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/scep"
)

// A failed run, said in one line: where it failed, what the server answered,
// which code Windows has for it and what helps.
func ExampleExplain() {
	err := &provision.Error{Step: provision.StepAIK, Err: &aik.Error{
		Op: "authority",
		Err: &scep.Error{
			Op: "GetCACaps", URL: "https://ca.example/templates/Aik/scep", HTTPStatus: 503, FailInfo: scep.NoFailInfo,
		},
	}}
	fmt.Println(diagnose.Explain(err))
	// Output:
	// aik: GetCACaps https://ca.example/templates/Aik/scep: HTTP status 503 (0x801901F7 HTTP_E_STATUS_SERVICE_UNAVAIL; setup screen 0x81039001); may pass. The service is busy, under maintenance or down: run again later, then ask its operator.
}

// The fields of a Diagnosis, for programs.
func ExampleDiagnosis() {
	err := &provision.Error{Step: provision.StepEnroll, Err: &mdm.Error{
		Op: "Enroll", URL: "https://mdm.example/enroll", HTTPStatus: 500,
		Fault: &mdm.Fault{Code: "s:Receiver", Subcode: "s:Authorization", Type: "DeviceCapReached"},
	}}
	d := diagnose.Explain(err)
	fmt.Printf("step %s, operation %s, %s\n", d.Step, d.Op, d.Protocol)
	fmt.Printf("%#x %s, retryable: %t\n", d.HRESULT, d.Symbol, d.Retryable)
	// Output:
	// step enroll, operation Enroll, SOAP s:Receiver/s:Authorization/DeviceCapReached
	// 0x80180013 MENROLL_E_DEVICECAPREACHED, retryable: false
}

// What the setup screen shows, decoded.
func ExampleDecode() {
	for _, m := range diagnose.Decode("Securing your hardware (Failed: 0x800705B4)") {
		fmt.Println(m.Name, m.Symbol, m.Steps)
		fmt.Println(m.Text)
		fmt.Println(m.Remedy)
	}
	// Output:
	// 0x800705B4 ERROR_TIMEOUT [ek aik session]
	// the operation timed out
	// Use a physical TPM 2.0, check the clock, check that the device can reach the EK and AIK hosts, then run again.
}

// A number alone may mean several things; the likeliest is first.
func ExampleMeaning() {
	for _, m := range diagnose.Decode("808") {
		fmt.Println(m.Name, m.Symbol, m.Source)
	}
	fmt.Println(diagnose.Decode("TPM_RC_LOCKOUT")[0])
	// Output:
	// ZTD 808 ZtdDeviceAssignedToOtherTenant documented
	// MD event 808  observed
	// 0x80280921 TPM_20_E_LOCKOUT: the TPM is locked after too many wrong authorizations; likely: wrong authorization values. Leave the machine on until the TPM's lockout time has passed, then run again. [TPM 2.0; documented]
}

// The whole table, as a search finds it.
func ExampleCodes() {
	for _, m := range diagnose.Codes() {
		if m.Source == "community" && m.Family == "device registration (DSREG)" {
			fmt.Println(m.Name, m.Text)
			break
		}
	}
	// Output:
	// 0x801C03ED the request was refused
}
