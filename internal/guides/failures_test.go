package guides_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/trace"
)

// What follows is in docs/failures.md.

// The attestation CA has an outage, and the run does not wait for its end.
func Example_explain() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	device, err := server.NewDevice(ctx, attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	server.SetFaults(provisiontest.Fault{Step: provision.StepAIK, Kind: "503", Requests: -1})
	p := server.Provisioner(device)

	_, err = p.Run(ctx)
	d := diagnose.Explain(err)
	fmt.Println(d.Step, d.Op, d.HTTPStatus)                      // where
	fmt.Printf("0x%08X on screen 0x%08X\n", d.HRESULT, d.Screen) // what Windows would show
	fmt.Println(d.Retryable)                                     // whether waiting may help
	// Output:
	// aik GetCACaps 503
	// 0x801901F7 on screen 0x81039001
	// true
}

// A run is recorded, also its requests with the device's certificate.
func Example_traced() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	device, err := server.NewDevice(ctx, attesttest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	p := server.Provisioner(device)
	p.Steps = provision.Technician()

	t := record(p, server.RootPool())
	if _, err := p.Run(ctx); err != nil {
		log.Fatal(err)
	}
	var page strings.Builder
	if err := t.WriteMarkdown(&page); err != nil { // or WriteHTML, WriteHAR
		log.Fatal(err)
	}
	fmt.Println(strings.Count(page.String(), "\n## "), "steps", strings.Contains(page.String(), "TPM2_ActivateCredential"))
	// Output:
	// 9 steps true
}

func record(p *provision.Provisioner, roots *x509.CertPool) *trace.Trace {
	t := new(trace.Trace)
	transport := func(config *tls.Config) http.RoundTripper {
		config.RootCAs = roots // nil: those of the system
		c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config}}
		return t.HTTP(c).Transport
	}
	p.TPM.Transport = t.TPM(p.TPM.Transport)
	p.HTTPClient = &http.Client{Transport: transport(new(tls.Config))}
	p.MutualTLS = transport // for the steps session and seal
	p.Observe = t.Observe
	return t
}
