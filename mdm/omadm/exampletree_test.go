package omadm_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// The nodes that a provisioning document sets, stored and loaded again.
func ExampleTree() {
	document, err := mdm.ParseDocument([]byte(`<wap-provisioningdoc version="1.1"><characteristic type="DMClient">
		<characteristic type="Provider"><characteristic type="Contoso"><parm name="EntDMID" value="7"/></characteristic></characteristic>
		</characteristic></wap-provisioningdoc>`))
	if err != nil {
		log.Fatal(err)
	}
	var tree, later omadm.Tree
	tree.Apply(document)
	stored, err := json.Marshal(&tree)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.Unmarshal(stored, &later); err != nil {
		log.Fatal(err)
	}
	fmt.Println(later.Children("./Vendor/MSFT/DMClient/Provider"))
	id, ok := later.Get("./Device/Vendor/MSFT/DMClient/Provider/Contoso/EntDMID")
	fmt.Println(id.Data, ok)
	// Output:
	// [Contoso]
	// 7 true
}

// A function carries out the server's SCEP orders. Package scep has the client
// for it; here the CA needs time, so the order stays pending.
func ExampleTree_HandleSCEP() {
	server := &mdmtest.Server{
		Passwords: func(_, password string) bool { return password == "secret" },
		Session: mdmtest.SessionConfig{Commands: mdmtest.Order("wifi", map[string]string{
			"ServerURL": "https://ca.contoso.test/scep", "SubjectName": "CN=unit-7", "Challenge": "once",
		})},
	}
	h := httptest.NewUnstartedServer(server)
	h.TLS = server.TLSConfig(nil)
	h.StartTLS()
	defer h.Close()

	ctx := context.Background()
	device := mdm.Device{ID: "unit-7", EnrollmentType: "Full"}
	enrolled, key, err := exampleEnroll(ctx, h, device)
	if err != nil {
		log.Fatal(err)
	}
	cert := enrolled.Certificate
	tree := new(omadm.Tree)
	tree.HandleSCEP(func(_ context.Context, o *omadm.SCEPOrder) (*x509.Certificate, error) {
		fmt.Println(o.ID, "for", o.Subject, "from", o.URLs[0], "with challenge", o.Challenge)
		return nil, omadm.ErrPending
	})
	session := &omadm.Session{
		Server: enrolled.Server, Device: device, Certificate: cert, Key: key, Tree: tree, HTTPClient: h.Client(),
	}
	if _, err := session.Run(ctx); err != nil {
		log.Fatal(err)
	}
	status, _ := tree.Get("./Vendor/MSFT/ClientCertificateInstall/SCEP/wifi/Status")
	fmt.Println("status:", status.Data)
	// Output:
	// wifi for CN=unit-7 from https://ca.contoso.test/scep with challenge [token]
	// status: 2
}
