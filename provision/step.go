package provision

import (
	"context"
	"slices"
)

// A Step names one step of a run. Steps print and compare as strings, such as
// "ek".
type Step string

// The steps, in their order. StepProfile is taken by itself if Provisioner.Hash or
// Provisioner.Profile is set.
const (
	StepProfile  Step = "profile"  // compare the hardware hash with the TPM, and download the deployment profile
	StepEK       Step = "ek"       // find the endorsement key's certificate and check it
	StepAIK      Step = "aik"      // obtain a certificate for an attestation key
	StepDiscover Step = "discover" // find the tenant's services
	StepToken    Step = "token"    // prove the endorsement key to the tenant and get a device token
	StepKeys     Step = "keys"     // make the device key and the transport key
	StepJoin     Step = "join"     // join the tenant
	StepEnroll   Step = "enroll"   // enroll in management
	StepSession  Step = "session"  // hold management sessions until the device is set up
	StepSeal     Step = "seal"     // leave the tenant but stay enrolled
	StepRejoin   Step = "rejoin"   // join the tenant again, for the user
	StepSignIn   Step = "signin"   // sign the user in
	StepOwner    Step = "owner"    // tell the tenant who owns the device; see Provisioner.Do
)

// Technician returns the steps of the technician's phase, from [StepEK] to
// [StepSeal]. At its end the device can be handed to its user. The caller owns
// the slice.
func Technician() []Step { return between(StepEK, StepSeal) }

// UserPhase returns the steps of the user's phase, [StepRejoin] and
// [StepSignIn]. The caller owns the slice. How Windows tells the tenant who
// owns the device is not public, so [StepOwner] is not among them; it needs a
// function in Provisioner.Do.
func UserPhase() []Step { return between(StepRejoin, StepSignIn) }

// between returns the steps from first to last.
func between(first, last Step) []Step {
	var list []Step
	for _, s := range flow {
		if s.step == first || len(list) > 0 {
			list = append(list, s.step)
		}
		if s.step == last {
			break
		}
	}
	return list
}

// stageOf returns the stage of a step, or nil if there is no such step.
func stageOf(step Step) *stage {
	i := slices.IndexFunc(flow, func(s stage) bool { return s.step == step })
	if i < 0 {
		return nil
	}
	return &flow[i]
}

// stepKey is the key of a context's step.
type stepKey struct{}

// StepOf returns the step on whose behalf an HTTP request or a TPM command is
// sent, or "" outside a step. A [net/http.RoundTripper] finds ctx in the
// request; a TPM transport gets it if it has a SendContext method, see
// [github.com/whiteglove/whiteglove/attest.TPM].
func StepOf(ctx context.Context) Step {
	step, _ := ctx.Value(stepKey{}).(Step)
	return step
}
