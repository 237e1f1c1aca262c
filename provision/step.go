package provision

import (
	"context"
	"slices"
	"time"
)

// A Step is one step of a run.
type Step string

// The steps, in order.
const (
	StepEK       Step = "ek"       // find and check the endorsement key's certificate
	StepAIK      Step = "aik"      // have an attestation key certified
	StepDiscover Step = "discover" // find the tenant's services
	StepToken    Step = "token"    // prove the endorsement key to the tenant
	StepKeys     Step = "keys"     // make the device and transport keys
	StepJoin     Step = "join"     // join the tenant
	StepEnroll   Step = "enroll"   // enroll in management
	StepSession  Step = "session"  // hold management sessions until the device is set up
	StepSeal     Step = "seal"     // leave the tenant, still managed
	StepRejoin   Step = "rejoin"   // join the tenant again, for the user
	StepSignIn   Step = "signin"   // sign the user in
	StepOwner    Step = "owner"    // tell the tenant of the owner; see Provisioner.Do
)

// Technician returns the steps of the technician's phase, at the end of which
// the device can be handed to its user: from StepEK to StepSeal.
func Technician() []Step { return between(StepEK, StepSeal) }

// UserPhase returns the steps of the user's phase: StepRejoin and StepSignIn.
// How Windows goes on to tell the tenant of the owner is not public, so
// StepOwner is not among them; it needs a function in Provisioner.Do.
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

// A StepFunc does a step. It puts what it won into the fields of r, and what a
// later run can use into the state by r.Commit. resumed reports that an earlier
// run had done it all. Steps that do not need each other run at the same time.
type StepFunc func(ctx context.Context, r *Run) (resumed bool, err error)

// A stage is a step in the flow.
type stage struct {
	step  Step
	needs []Step            // whose results it uses
	after []Step            // that come before it, if they are taken
	done  func(*State) bool // reports whether the state has its results; nil if they are never stored
	do    StepFunc          // nil if there has to be one in Provisioner.Do
	won   func(*Run) bool   // reports whether what others rely on is there; nil if that is nothing
}

// tpmFree is when the device's keys can be made: while the CA of the
// attestation key is at work or, if the endorsement key is not persistent, when
// it is not needed any more, since it would lose its place in the TPM and take
// seconds to be made again. It is a Step only so that a stage can wait for it.
const tpmFree Step = "tpm free"

// flow is all stages, in order.
var flow = []stage{
	{
		step: StepEK, do: findEK,
		done: func(s *State) bool { return len(s.EKSHA256) > 0 },
		won:  func(r *Run) bool { return r.EK != nil && len(r.EKChain) > 0 },
	},
	{
		step: StepAIK, needs: []Step{StepEK}, do: certifyAIK,
		done: func(s *State) bool { return len(s.AIKCertificates) > 0 },
		won:  func(r *Run) bool { return r.AIK != nil && len(r.AIKChain) > 0 },
	},
	{
		step: StepDiscover, do: discover,
		won: func(r *Run) bool { return r.Discovery != nil || !r.needsDirectory() },
	},
	{
		step: StepToken, needs: []Step{StepAIK, StepDiscover}, do: authenticate,
		won: func(r *Run) bool { return r.Token != nil || r.State.joined() },
	},
	{
		step: StepKeys, after: []Step{tpmFree}, do: makeKeys,
		done: func(s *State) bool { return s.DeviceKey != "" && s.TransportKey != "" },
		won:  func(r *Run) bool { return r.DeviceKey != nil && r.TransportKey != nil },
	},
	{
		step: StepJoin, needs: []Step{StepToken, StepKeys}, do: join, done: (*State).joined,
		won: func(r *Run) bool { return r.State.joined() },
	},
	{
		step: StepEnroll, needs: []Step{StepJoin}, do: enroll, done: (*State).enrolled,
	},
	{
		step: StepSession, needs: []Step{StepEnroll}, do: setUp,
		done: func(s *State) bool { return !s.SetUp.IsZero() },
	},
	{
		step: StepSeal, needs: []Step{StepJoin}, after: []Step{StepEnroll, StepSession}, do: seal, done: (*State).sealed,
	},
	{
		step: StepRejoin, needs: []Step{StepAIK, StepDiscover, StepJoin}, after: []Step{StepSeal}, do: rejoin, done: (*State).rejoined,
		won: func(r *Run) bool { return r.UserDeviceKey != nil && r.UserTransportKey != nil && r.State.rejoined() },
	},
	{
		step: StepSignIn, needs: []Step{StepRejoin}, do: signIn,
		done: func(s *State) bool { return s.rejoined() && len(s.User.Session) > 0 },
	},
	{
		step: StepOwner, needs: []Step{StepRejoin}, after: []Step{StepSignIn},
	},
}

// stageOf returns the stage of a step, or nil.
func stageOf(step Step) *stage {
	i := slices.IndexFunc(flow, func(s stage) bool { return s.step == step })
	if i < 0 {
		return nil
	}
	return &flow[i]
}

// An Event is a change of a step.
type Event struct {
	Time     time.Time
	Step     Step
	Status   Status
	Attempt  int           // 1 at the first try
	Elapsed  time.Duration // of this try; 0 if Status is Started
	Wait     time.Duration // before the next try, if Status is Retrying
	Err      error         // if Status is Retrying, Failed or Stopped
	Warnings []string      // what is not as it should be, but no reason to fail
}

// A Status is what became of a step.
type Status string

// The statuses of a step.
const (
	Started Status = "started"
	Done    Status = "done"
	Resumed Status = "resumed" // done in an earlier run, and still good
	Failed  Status = "failed"
	Stopped Status = "stopped" // because another step failed

	Retrying Status = "retrying" // failed, and will be tried again after Wait
)

type stepKey struct{}

// StepOf returns the step on whose behalf a request is sent, or a TPM command
// by a transport that is asked with a context (see [attest.TPM]), or "".
func StepOf(ctx context.Context) Step {
	step, _ := ctx.Value(stepKey{}).(Step)
	return step
}
