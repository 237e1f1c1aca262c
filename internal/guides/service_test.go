package guides_test

import (
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/roots"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/provision"
)

// What follows is in docs/service.md. Nothing here calls it: it would speak to Microsoft.

func publicService(tpm *attest.TPM, ticket drs.TokenSource) (*provision.Provisioner, error) {
	makers, intermediates, err := roots.Load()
	if err != nil {
		return nil, err
	}
	return &provision.Provisioner{
		TPM:        tpm,
		Tenant:     "contoso.com",
		Management: mdm.EntraDiscoveryURL,
		EKCert:     &ekcert.Client{Roots: makers, Pins: roots.Pins(), Intermediates: intermediates, FetchIssuers: true},
		JoinToken:  ticket, // nil ends the run before anything is sent
		Store:      provision.FileStore("state.json"),
	}, nil
}

var _ = publicService
