// Package provision takes a device from a bare TPM to an enrolled device: it runs
// the steps of Windows Autopilot pre-provisioning, each of which is a client in a
// package of its own, and continues where an earlier run stopped.
//
//	p := &provision.Provisioner{
//		TPM:        tpm,
//		Tenant:     "contoso.com",
//		Management: "https://mdm.contoso.com/EnrollmentServer/Discovery.svc",
//		EKCert:     &ekcert.Client{Roots: roots},
//		Store:      provision.FileStore("state.json"),
//	}
//	state, err := p.Run(ctx)
//
// # What a run does
//
// By default a run takes the steps from [StepEK] to [StepEnroll]. [Technician]
// and [UserPhase] are the steps of the two phases of pre-provisioning, and any
// step can be taken alone. A step starts as soon as the results that it needs are
// present:
//
//	profile, if there is a hardware hash or a profile to get; then
//	ek ──► aik ──► token ──► join ──► enroll ──► session ──► seal
//	discover ─────►│         ▲
//	       keys ─────────────┘            then, for the user: rejoin ──► signin ──► owner
//
// [StepProfile] comes before all others: it compares the hardware hash with the TPM
// before anything is sent, and downloads the deployment profile, which gives the
// tenant, the steps and the device's name. See [Provisioner.Apply] for a profile
// from a file.
//
// The file flow.go holds this table, and the file step_NAME.go does the step of
// that name. [Provisioner.Do] replaces a step by a function, which works on the
// same [Run].
//
// # What is kept
//
// A [State] holds what a run has reached: wrapped keys, certificates and
// identifiers, but no token and no other secret. A [Store] keeps it; [FileStore]
// is one in a file. A state belongs to one TPM and one tenant. A run whose answer
// from a server was lost asks again with the same keys, so that the server sees
// the same device.
//
// # What is retried
//
// The clients neither repeat a request nor sleep. A run asks [Provisioner.Backoff]
// after an error that says that it is retryable, and repeats the step. Nothing else
// in this module repeats a request; package attest repeats a command that a busy
// TPM did not take.
//
// # What is reported
//
// [Provisioner.Observe] receives an [Event] at each change of a step. Package
// trace writes down every request and TPM command, and package diagnose explains
// the [Error] of a run.
//
// # Microsoft's public service
//
// How a device without a user proves its TPM to Microsoft's directory is not
// public. Against that service, set [Provisioner.JoinToken] to a device ticket from
// elsewhere, or take the steps of a user; a run without it ends with [ErrNoJoinToken]
// before anything is sent. StepToken speaks a documented profile of this module
// (ek-jwt-v1) with other services. An attestation goes only to these, too; see
// [Provisioner.Attestation].
//
// Package provisiontest is the other side: every party behind one listener, and
// emulated devices.
package provision
