package prove

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
)

// An Identity is a TPM with the keys and certificates by which it proves itself. Set the
// fields as they become known. Each method says which ones it uses; what it returns
// shares their slices. The methods may be called by several goroutines at once while
// the fields do not change.
type Identity struct {
	TPM *attest.TPM

	EK      *attest.EK          // endorsement key
	EKChain []*x509.Certificate // its certificate first, as ekcert.Report.Chain has it; may be empty

	AIK      *attest.Key         // attestation key
	AIKChain []*x509.Certificate // its certificate first, as aik.Client.Enroll returns it; may be empty
}

// EKRequest returns the request with which [ekcert.Client.Enroll] has the endorsement
// key certified by the maker's CA. It reads the TPM's maker, model and firmware version
// from the TPM. It uses TPM, EK and AIK. The error is that of [attest.TPM.Info].
func (id *Identity) EKRequest(ctx context.Context) (*ekcert.Request, error) {
	info, err := id.TPM.Info(ctx)
	if err != nil {
		return nil, err
	}
	return &ekcert.Request{
		Vendor: info.Manufacturer, Model: info.Vendor, Version: info.Firmware,
		EK: id.publicEK(), AIKCreation: (*ekcert.Statement)(id.AIK.Creation()), Activate: id.activate,
	}, nil
}

// AIKRequest returns the request with which [aik.Client.Enroll] has the attestation key
// certified. It uses TPM, EK, EKChain and AIK. AIK may be nil if the caller sets MakeAIK
// of the request to a function that makes the key and sets AIK to it.
func (id *Identity) AIKRequest() *aik.Request {
	return &aik.Request{EK: id.publicEK(), EKChain: id.EKChain, AIKCreation: id.AIK.Creation(), Activate: id.activate}
}

// Proof returns the proof for which [drs.Client.Authenticate] gets a device token. It
// uses all fields.
func (id *Identity) Proof() *drs.Proof {
	p := &drs.Proof{
		EK: id.publicEK(), EKChain: id.EKChain,
		AIKPublicArea: id.AIK.PublicArea(), AIKChain: id.AIKChain, Activate: id.activate,
	}
	if id.EK != nil {
		p.EKPublicArea = id.EK.PublicArea
	}
	return p
}

// JoinAttestation returns the attestation of a join (Request.Attestation of package drs)
// with the device key and the transport key of that request, which the attestation key
// certifies when the request is sent. nonce is DeviceToken.Nonce, or the bytes of the
// text that [drs.Client.Nonce] returned; it may be nil. It uses TPM, AIK and AIKChain.
func (id *Identity) JoinAttestation(device, transport *attest.Key, nonce []byte) *drs.Attestation {
	return &drs.Attestation{
		AIKPublicArea: id.AIK.PublicArea(), AIKChain: id.AIKChain, Nonce: nonce, AIKCreation: (*drs.Statement)(id.AIK.Creation()),
		Certify: func(ctx context.Context, usage string, qualifyingData []byte) (*drs.Statement, error) {
			key := device
			switch usage {
			case drs.UsageDevice:
			case drs.UsageTransport:
				key = transport
			default:
				return nil, fmt.Errorf("prove: there is no key for usage %q", usage)
			}
			s, err := id.TPM.Certify(ctx, key, id.AIK, qualifyingData)
			return (*drs.Statement)(s), err
		},
	}
}

// publicEK returns the endorsement key's public part, or nil if there is no such key.
func (id *Identity) publicEK() crypto.PublicKey {
	if id.EK == nil {
		return nil
	}
	return id.EK.Public
}

// activate opens a credential with the keys that id has when it is called: the
// attestation key may be made after the request that activate is part of.
func (id *Identity) activate(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error) {
	return id.TPM.Activator(id.EK, id.AIK)(ctx, blob, encryptedSecret)
}
