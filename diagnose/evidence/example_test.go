package evidence_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/whiteglove/whiteglove/diagnose/evidence"
)

// A technician has the output of certreq and a proxy's log.
func ExampleCase() {
	ctx := context.Background()
	var c evidence.Case
	for name, text := range map[string]string{
		"CertReq_enrollaik_Output.txt": "GetCACaps: Bad Request\r\n0x80190190 (-2145844848 HTTP_E_STATUS_BAD_REQUEST)\r\n",
		"proxy.log":                    "2026-11-28T09:00:11Z CONNECT ekop.intel.com:443 denied\n",
	} {
		if err := c.Add(ctx, name, strings.NewReader(text)); err != nil {
			log.Fatal(err)
		}
	}
	for _, f := range c.Report().Findings {
		fmt.Println(f.Title)
		fmt.Println("  confidence:", f.Confidence, f.Because)
		fmt.Println("  evidence:  ", f.Evidence[0].Ref)
		fmt.Println("  remedy:    ", f.Remedy)
	}
	// Output:
	// The service of the TPM's maker for endorsement key certificates is blocked.
	//   confidence: certain []
	//   evidence:   proxy.log:1
	//   remedy:     Allow the host of the TPM's maker in the outbound firewall or proxy: ekop.intel.com, ftpm.amd.com or ekcert.spserv.microsoft.com (HTTPS). There is nothing to set in the cloud.
	// The attestation CA refuses the request: GetCACaps or the enrollment answers 400.
	//   confidence: certain [ek-service-blocked]
	//   evidence:   CertReq_enrollaik_Output.txt:1
	//   remedy:     Install the newest cumulative update, see that the endorsement key has its certificate, and run again.
}
