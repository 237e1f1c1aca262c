package autopilot_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log"
	"math/big"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
)

// A hash is read and verified. ParseHash is content with a wrong checksum, so that
// a damaged hash can be looked at.
func ExampleParseHash() {
	text := autopilottest.Device{Serial: "MOCK-0007"}.Text()
	h, err := autopilot.ParseHash(text)
	if err != nil {
		log.Fatal(err)
	}
	if err := h.Verify(); err != nil {
		log.Fatal(err)
	}
	w := h.Hardware()
	fmt.Println(w.Manufacturer, w.Product, w.Serial)
	for _, f := range h.Lint() {
		fmt.Println(f)
	}
	// Output:
	// Mock Manufacturer Mock Book 14 MOCK-0007
	// no-tpm: the hash knows of no TPM
	// mock: the hash belongs to no device; no real service gets it
}

// A hash that belongs to another mainboard is noticed before anything is sent.
func ExampleHash_Match() {
	ek, err := rsa.GenerateKey(rand.Reader, 2048) // stands for the TPM's endorsement key
	if err != nil {
		log.Fatal(err)
	}
	other := &rsa.PublicKey{N: new(big.Int).Add(ek.N, big.NewInt(2)), E: ek.E}
	fmt.Println(autopilottest.Device{EK: ek.Public()}.Hash().Match(ek.Public()))
	fmt.Println(autopilottest.Device{EK: other}.Hash().Match(ek.Public()))
	fmt.Println(autopilottest.Device{}.Hash().Match(ek.Public()))
	// Output:
	// same device: the endorsement key is the one in the hash
	// another mainboard: the endorsement key is not the one in the hash
	// cannot tell: the hash holds no endorsement key: the TPM was off or not ready when the hash was taken
}

// Two hashes of one device are never equal as texts.
func ExampleHash_Compare() {
	d := autopilottest.Device{Serial: "MOCK-0007"}
	first := d.Hash()
	d.Taken = time.Date(2026, time.May, 1, 8, 0, 0, 0, time.UTC)
	fmt.Println(first.String() == d.Hash().String())
	fmt.Println(first.Compare(d.Hash()))
	// Output:
	// false
	// same device: both have the same UUID and serial number; the endorsement key is not in both; different: time
}

// A file that a spreadsheet spoiled is read, what the portal would refuse is
// reported, and a file that the portal takes is written.
func ExampleReadCSV() {
	hash := autopilottest.Device{Serial: "MOCK-0007"}.Text()
	file := "\ufeff\"Device Serial Number\";\"Windows Product ID\";\"Hardware Hash\"\n\"MOCK-0007\";\"\";\"" + hash + "\"\n"
	s, err := autopilot.ReadCSV(strings.NewReader(file))
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range s.Findings {
		fmt.Println(f)
	}
	var out strings.Builder
	if err := autopilot.WriteCSV(&out, autopilot.Intune, s.Rows); err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		fmt.Printf("%.60q\n", line)
	}
	// Output:
	// byte-order-mark (refused): the file starts with a byte order mark
	// line 1: separator (refused): fields are separated by ';'
	// quotes (refused): fields are in quotation marks
	// "Device Serial Number,Windows Product ID,Hardware Hash\r\n"
	// "MOCK-0007,,T0EaAgEAHAAAAAoAzgb0ZQAACgDOBvRlwG/qMAACCQkCABAAC"
}

// What will this device do?
func ExampleProfile_Plan() {
	p, err := autopilot.ParseProfile([]byte(`{"CloudAssignedTenantDomain":"contoso.com","CloudAssignedOobeConfig":1310,
		"CloudAssignedForcedEnrollment":1,"CloudAssignedDeviceName":"PC-%SERIAL%","CloudAssignedAutopilotUpdateDisabled":1}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(p.Plan("5CD8068X5C"))
	// Output:
	// mode              user-driven
	// join              Microsoft Entra
	// tenant            contoso.com
	// name              PC-5CD8068X5C
	// pre-provisioning  possible if the administrator allows it: press the Windows key five times on the first page
	//                 1 Setup skips these pages: keyboard, license terms, privacy settings, registration with the maker, Windows upgrade.
	//                 2 The device takes the name PC-5CD8068X5C and restarts.
	//                 3 A user of contoso.com signs in, and the device joins in the user's name.
	//                 4 The device enrolls in management; setup does not go on without.
	//                 5 The user is no administrator of the device.
}

// A profile for a device that is not registered.
func ExampleProfile_Offline() {
	p := &autopilot.Profile{
		TenantID: "44444444-4444-4444-8444-444444444444", TenantDomain: "contoso.onmicrosoft.com",
		ProfileID: "66666666-6666-4666-8666-666666666666", Name: "Büro", OOBEConfig: 28, ForcedEnrollment: true,
	}
	file, err := p.Offline()
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(file)
	// Output:
	// {
	//   "CloudAssignedTenantId": "44444444-4444-4444-8444-444444444444",
	//   "CloudAssignedTenantDomain": "contoso.onmicrosoft.com",
	//   "CloudAssignedOobeConfig": 28,
	//   "CloudAssignedDomainJoinMethod": 0,
	//   "CloudAssignedForcedEnrollment": 1,
	//   "CloudAssignedAadServerData": "{\"ZeroTouchConfig\":{\"CloudAssignedTenantUpn\":\"\",\"ForcedEnrollment\":1,\"CloudAssignedTenantDomain\":\"contoso.onmicrosoft.com\"}}",
	//   "ZtdCorrelationId": "66666666-6666-4666-8666-666666666666",
	//   "Version": 2049,
	//   "Comment_File": "Profile B\u00fcro"
	// }
}

// A device asks for its profile, and learns that it is not registered.
func ExampleProfileClient() {
	service := &autopilottest.Server{}
	server := httptest.NewServer(service)
	defer server.Close()
	h := autopilottest.Device{}.Hash()
	c := &autopilot.ProfileClient{
		URL:    server.URL + autopilottest.ProfilePath,
		Ticket: func(context.Context) (string, error) { return service.Ticket(h), nil },
	}
	_, err := c.Download(context.Background(), h)
	fmt.Println(strings.ReplaceAll(err.Error(), server.URL, "https://profile.example"))
	// Output:
	// autopilot: Download https://profile.example/ztd/v1/profile: ZTD 807/ZtdDeviceIsNotRegistered
}
