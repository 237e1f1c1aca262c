package provision_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/roots"
	"github.com/whiteglove/whiteglove/provision"
)

// The machine's own TPM is provisioned against services elsewhere. This is not
// run as a test: only a program that names a real TPM opens it.
func Example_realTPM() {
	var (
		ctx      = context.Background()
		services = "https://services.contoso.test" // where yours are
		aikRoots = x509.NewCertPool()              // add the roots of the attestation CA; its operator has them
	)

	tpm, err := attest.Open("") // the machine's TPM
	if err != nil {
		log.Fatal(diagnose.Explain(err))
	}
	defer tpm.Close()
	makers, intermediates, err := roots.Load() // roots of eight TPM makers
	if err != nil {
		log.Fatal(err)
	}
	p := &provision.Provisioner{
		TPM:        tpm,
		Tenant:     "contoso.test",
		Management: services + "/mdm/EnrollmentServer/Discovery.svc",
		EKCert:     &ekcert.Client{Roots: makers, Pins: roots.Pins(), Intermediates: intermediates},
		AIK:        &aik.Client{URL: services + "/aik/{authority}", Roots: aikRoots},
		DRS:        &drs.Client{BaseURL: services + "/drs"},
		Store:      provision.FileStore("state.json"),
		Observe:    func(ev provision.Event) { fmt.Println(ev.Status, ev.Step) },
	}
	state, err := p.Run(ctx)
	if err != nil {
		log.Fatal(diagnose.Explain(err))
	}
	fmt.Println("joined as", state.DeviceID)
}
