package esp_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/esp"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A device is managed until the enrollment status page is over.
func Example() {
	// The server: it sets up the page and the policy that the page waits for.
	const camera = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera"
	server := &mdmtest.Server{
		Passwords: func(_, password string) bool { return password == "secret" },
		Session: mdmtest.SessionConfig{Commands: []mdmtest.Command{
			mdmtest.Page(map[string]string{"ExpectedPolicies": camera, "ServerHasFinishedProvisioning": "true"}),
			mdmtest.Atomic(mdmtest.Write("Replace", camera, "int", "0")),
		}},
	}
	h := httptest.NewUnstartedServer(server)
	h.TLS = server.TLSConfig(nil) // it asks for client certificates
	h.StartTLS()
	defer h.Close()

	ctx := context.Background()
	session, account, err := exampleSession(ctx, h)
	if err != nil {
		log.Fatal(err)
	}
	page := &esp.Page{Tree: session.Tree, Provider: account.ProviderID}
	page.Watch()
	page.End(esp.Enrollment, nil)
	for {
		if _, err := session.Run(ctx); err != nil {
			log.Fatal(err)
		}
		report := page.Report()
		done, total := report.Progress()
		fmt.Println(report.State, done, "of", total)
		for _, c := range report.Categories {
			fmt.Println(c.Title+":", c.Text)
		}
		if err := report.Err(); err != nil {
			log.Fatal(err)
		}
		if report.State == esp.Succeeded {
			break
		}
	}
	// Output:
	// succeeded 6 of 6
	// Device preparation: Complete
	// Device setup: Complete
}

// exampleSession enrolls a device and returns its sessions, with the nodes that
// the provisioning document sets.
func exampleSession(ctx context.Context, h *httptest.Server) (*omadm.Session, *mdm.Account, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	client := &mdm.Client{Device: mdm.Device{ID: "unit-7", EnrollmentType: "Full"}, HTTPClient: h.Client()}
	services, err := client.Discover(ctx, h.URL+mdmtest.DiscoveryPath, "")
	if err != nil {
		return nil, nil, err
	}
	enrolled, err := client.Enroll(ctx, services, nil, &mdm.Request{
		Credential: mdm.Password{User: "user@contoso.test", Secret: "secret"}, Key: key,
	})
	if err != nil {
		return nil, nil, err
	}
	document, err := mdm.ParseDocument(enrolled.Document)
	if err != nil {
		return nil, nil, err
	}
	account, err := document.Account()
	if err != nil {
		return nil, nil, err
	}
	session := &omadm.Session{
		Server: account.Address, Device: client.Device,
		Certificate: enrolled.Certificate, Issuers: enrolled.Issuers, Key: key,
		Tree: new(omadm.Tree), HTTPClient: h.Client(),
	}
	session.Tree.Apply(document)
	return session, account, nil
}

// A failure of an app, as the page shows it and as an error.
func ExampleReport_Err() {
	tree := new(omadm.Tree)
	page := &esp.Page{Tree: tree, Provider: "Contoso"}
	tree.Set("./Vendor/MSFT/DMClient/Provider/Contoso/FirstSyncStatus/CustomErrorText", omadm.Value{Data: "Call 1234."})
	tree.Set("./Vendor/MSFT/EnrollmentStatusTracking/Setup/Apps/Tracking/Agent/office/InstallationState", omadm.Value{Data: "4"})
	fmt.Println(page.Report().Err())
	// Output:
	// mdm: Setup: Device setup: Apps: Failed: "Call 1234."
}
