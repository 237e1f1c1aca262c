package provision

import "context"

// A stepFunc does a step; see Provisioner.Do.
type stepFunc = func(ctx context.Context, r *Run) (resumed bool, err error)

// A stage is a step with its place in the flow.
type stage struct {
	step    Step
	needs   []Step            // steps whose results it uses; Run adds them
	after   []Step            // steps that come before it if they are taken
	done    func(*State) bool // reports whether the state holds its results; nil if they are never stored
	do      stepFunc          // nil if Provisioner.Do must have a function
	present func(*Run) bool   // reports whether the results that other steps rely on are present; nil if there are none
}

// tpmFree marks the moment from which the device's keys can be made. That is
// while the CA of the attestation key prepares its challenge. If the
// endorsement key is not persistent it is later, when that key is not needed
// any more: making other keys would push it out of the TPM, and making it again
// takes seconds. It has the type Step only so that a stage can wait for it.
const tpmFree Step = "tpm free"

// flow holds all stages, in order.
var flow = []stage{
	{
		// Run takes it alone before it selects the others, because the profile may
		// say which they are.
		step: StepProfile, do: fetchProfile,
		done: func(s *State) bool { return s.Profile != nil },
	},
	{
		step: StepEK, do: findEK,
		done:    func(s *State) bool { return len(s.EKSHA256) > 0 },
		present: func(r *Run) bool { return r.EK != nil && len(r.EKChain) > 0 },
	},
	{
		step: StepAIK, needs: []Step{StepEK}, do: certifyAIK,
		done:    func(s *State) bool { return len(s.AIKCertificates) > 0 },
		present: func(r *Run) bool { return r.AIK != nil && len(r.AIKChain) > 0 },
	},
	{
		step: StepDiscover, do: discover,
		present: func(r *Run) bool { return r.Discovery != nil || !r.needsDirectory() },
	},
	{
		step: StepToken, needs: []Step{StepAIK, StepDiscover}, do: authenticate,
		present: func(r *Run) bool { return r.Token != nil || r.State.joined() },
	},
	{
		step: StepKeys, after: []Step{tpmFree}, do: makeKeys,
		done:    func(s *State) bool { return s.DeviceKey != "" && s.TransportKey != "" },
		present: func(r *Run) bool { return r.DeviceKey != nil && r.TransportKey != nil },
	},
	{
		step: StepJoin, needs: []Step{StepToken, StepKeys}, do: join, done: (*State).joined,
		present: func(r *Run) bool { return r.State.joined() },
	},
	{
		step: StepEnroll, needs: []Step{StepJoin}, do: enroll, done: (*State).enrolled,
	},
	{
		step: StepSession, needs: []Step{StepEnroll}, do: holdSessions,
		done: func(s *State) bool { return !s.SetUp.IsZero() },
	},
	{
		step: StepSeal, needs: []Step{StepJoin}, after: []Step{StepEnroll, StepSession}, do: seal, done: (*State).sealed,
	},
	{
		step: StepRejoin, needs: []Step{StepAIK, StepDiscover, StepJoin}, after: []Step{StepSession, StepSeal}, do: rejoin, done: (*State).rejoined,
		present: func(r *Run) bool { return r.UserDeviceKey != nil && r.UserTransportKey != nil && r.State.rejoined() },
	},
	{
		step: StepSignIn, needs: []Step{StepRejoin}, do: signIn,
		done: func(s *State) bool { return s.rejoined() && len(s.User.Session) > 0 },
	},
	{
		step: StepOwner, needs: []Step{StepRejoin}, after: []Step{StepSignIn},
	},
}
