package provision

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/mdm"
)

// Values of mdm.Policy.AttestationFailure, and how long attempts go on where the
// policy does not say ([MS-MDE2] section 3.3).
const (
	failOnError   = "FailOnError"
	ignoreOnError = "IgnoreOnError"
	retryTime     = 100 * time.Second
)

// An enrollment is what StepEnroll knows before it sends its request.
type enrollment struct {
	client *mdm.Client
	at     *mdm.Discovery
	policy *mdm.Policy
	key    *attest.Key // of the management certificate
}

// attestEnrollment adds to a request the proof that the TPM holds its key, if the policy asks
// for one. As the policy says, a failure is an error, or a warning, also after more
// attempts.
func (r *Run) attestEnrollment(ctx context.Context, e *enrollment, req *mdm.Request) error {
	if !e.policy.AsksAttestation() {
		return nil
	}
	end := r.Provisioner.Now().Add(cmp.Or(e.policy.AttestationTimeout, retryTime))
	for n := 1; ; n++ {
		err := r.proveEnrollment(ctx, e, req)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return err
		case e.policy.AttestationFailure == failOnError:
			return fmt.Errorf("the management server requires a proof that a TPM holds the management key: %w", err)
		}
		wait := time.Duration(0)
		if e.policy.AttestationFailure != ignoreOnError && (&Error{Err: err}).Retryable() {
			wait = r.Provisioner.Backoff(StepEnroll, n, err)
		}
		if wait <= 0 || !r.Provisioner.Now().Add(wait).Before(end) {
			r.Warn(ctx, "the management server asks for a proof that a TPM holds the management key, and does not get it: %v", err)
			req.Context = append(req.Context, failedAttestation(err)...)
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// failedAttestation returns the context items that tell a server of version 7.0 or
// later why there is no attestation.
func failedAttestation(err error) []mdm.Item {
	text := strings.Map(func(c rune) rune {
		if c < ' ' || c == ';' || c == 0x7F {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(err.Error(), "?"))
	return []mdm.Item{
		{Name: "AttestationStatus", Value: "Status=AttestationResultNoAttestation;AttestationErrorMsg=" + text[:min(len(text), 200)]},
		{Name: "AttestationStatusHResult", Value: fmt.Sprintf("0x%08X", hresult.Of(err))},
	}
}

// proveEnrollment sets the attestation of a request: a report of Azure Attestation if the
// policy names a service, and else the claims of the TPM.
func (r *Run) proveEnrollment(ctx context.Context, e *enrollment, req *mdm.Request) error {
	if _, ok := r.AIK.Public().(*rsa.PublicKey); !ok {
		return errors.New("the run has no attestation key of the kind RSA in the TPM; StepAIK makes one, or its function in Provisioner.Do sets Run.AIK")
	}
	if e.policy.Azure != nil {
		blob, err := e.client.AttestAzure(ctx, e.at, e.policy, r.identity().AzureEvidence(e.key.WithContext(ctx), r.DeviceKey))
		if err == nil {
			req.Context = append(req.Context, blob)
		}
		return err
	}
	a, err := r.identity().EnrollAttestation(ctx, e.key, r.DeviceKey)
	if err == nil {
		req.Attestation = a
	}
	return err
}
