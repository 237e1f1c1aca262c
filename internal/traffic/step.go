package traffic

import (
	"fmt"
	"strings"
)

// Lines of the setup page.
const (
	PageSecuring    = "Securing your hardware"
	PageRegistering = "Registering your device for mobile management"
	PagePreparing   = "Preparing your device for mobile management"
	PageSetup       = "Device setup"
	PageAccount     = "Account setup"
)

// Phases of a preflight, which sum up steps.
const (
	PhaseBase       = "base"
	PhaseTicket     = "ticket"
	PhaseProfile    = "profile"
	PhaseActivation = "activation"
	PhaseUpdate     = "update"
	PhaseTPM        = "tpm"
	PhaseEntra      = "entra"
	PhaseIntune     = "intune"
	PhaseContent    = "content"
	PhasePush       = "push"
	PhaseRevocation = "revocation"
	phaseOther      = "other"
)

// A Step is a part of the flow, in which a device asks some hosts.
type Step struct {
	Name  string
	Phase string
	Page  string // the line of the setup page, "" if there is none

	// Always tells that every pre-provisioning asks a host of this step, so that
	// a capture without one misses something.
	Always bool

	// Breaks says what fails later if the hosts are blocked, in a whole sentence.
	Breaks string

	// Screen is what the setup screen shows then, "" if it shows no code. {code}
	// stands for the code of the failed connection.
	Screen string

	// Source says how Breaks and Screen are known, in the form of the rules of
	// package evidence: D documented, C observed, I inferred, X reported.
	Source string
}

const (
	screenTries   = PageSecuring + " (Failed: 0x81039001)"
	screenTimeout = PageSecuring + " (Failed: 0x800705B4)"
)

// steps are in the order of the flow.
var steps = []Step{
	{
		Name: "network", Phase: PhaseBase, Breaks: "Setup finds no internet and stays at the page for the network.",
		Source: "C: events 164 to 167 of Autopilot",
	},
	{
		Name: "clock", Phase: PhaseBase, Breaks: "The clock stays as it is. If it is off by more than five minutes, tickets and certificates are refused.", Screen: screenTimeout,
		Source: "C: events 750 to 753 of Autopilot; X: five minutes",
	},
	{
		Name: "ticket", Phase: PhaseTicket, Always: true, Breaks: "The device gets no ticket, so it gets no profile, and nothing confirms its TPM.", Screen: screenTimeout,
		Source: "C: events 154 and 710 of Autopilot, and the page's wait of seven minutes",
	},
	{
		Name: "profile", Phase: PhaseProfile, Always: true, Breaks: "The device finds no profile and sets itself up as a personal one, without pre-provisioning.",
		Source: "C: events 314, 315 and 701 of Autopilot; D: an empty profile is kept until the next start",
	},
	{Name: "activation", Phase: PhaseActivation, Breaks: "Windows is activated later.", Source: "D: network requirements of Autopilot"},
	{
		Name: "update", Phase: PhaseUpdate, Breaks: "Setup goes on without updates, and a root that is new to this build stays unknown.",
		Source: "D: network requirements of Autopilot; I: roots",
	},
	{
		Name: "ek", Phase: PhaseTPM, Page: PageSecuring, Breaks: "The endorsement key gets no certificate, so the attestation CA refuses the TPM until the tries are used up.", Screen: screenTries,
		Source: "D: E_AUTOPILOT_CLIENT_TPM_MAX_ATTESTATION_RETRY_EXCEEDED; C: events 192 and 209 of Autopilot",
	},
	{
		Name: "aik", Phase: PhaseTPM, Page: PageSecuring, Always: true, Breaks: "The attestation key gets no certificate until the tries, or seven minutes (0x800705B4), are used up.", Screen: screenTries,
		Source: "D: E_AUTOPILOT_CLIENT_TPM_MAX_ATTESTATION_RETRY_EXCEEDED; C: events 189 and 192 of Autopilot, and the page's wait of seven minutes",
	},
	{
		Name: "join", Phase: PhaseEntra, Page: PageRegistering, Always: true, Breaks: "The registration service is not found, so the device does not join.", Screen: PageRegistering + " (Failed: 4, 0x801C000C)",
		Source: "D: DSREG_E_DISCOVERY_FAILED; C: dispositions of events 178 to 181 of Autopilot; I: the screen",
	},
	{
		Name: "token", Phase: PhaseEntra, Page: PageRegistering, Always: true, Breaks: "The device gets no token for its join and its enrollment.", Screen: PageRegistering + " (Failed: 5, {code})",
		Source: "C: dispositions of events 178 to 181 of Autopilot; I: the screen",
	},
	{
		Name: "enroll", Phase: PhaseIntune, Page: PageRegistering, Always: true, Breaks: "The device does not enroll in management.", Screen: PageRegistering + " (Failed: 6, {code})",
		Source: "C: dispositions of events 178 to 181 of Autopilot; I: the screen",
	},
	{
		Name: "provider", Phase: PhaseIntune, Page: PagePreparing, Breaks: "Management sends no policies, and its extension is not installed in its 15 minutes.", Screen: PagePreparing + " (Failed: 0x800705B4)",
		Source: "D: EnrollmentStatusTracking CSP; C: event 289 of Autopilot",
	},
	{
		Name: "setup", Phase: PhaseContent, Page: PageSetup, Breaks: "Apps and scripts from there do not arrive while the status page waits for them.", Screen: "Apps (Failed: 0x81036502)",
		Source: "D: troubleshooting of the status page",
	},
	{Name: "push", Phase: PhasePush, Page: PageSetup, Breaks: "The device is not told to check in, and does so at its own times.", Source: "D: network requirements of Autopilot"},
	{
		Name: "signin", Phase: PhaseEntra, Page: PageAccount, Breaks: "The page for the user's sign-in stays empty or incomplete.",
		Source: "X: OOBEIDPS stands for a page that is not reached",
	},
	{Name: "logs", Phase: PhaseIntune, Breaks: "The device cannot send its logs to management.", Source: "D: network requirements of Autopilot"},
	{
		Name: "revocation", Phase: PhaseRevocation, Breaks: "If these hosts are silent, each TLS connection waits for them, and seven minutes may pass before the TPM is confirmed.", Screen: screenTimeout,
		Source: "I: Windows asks for revocation at each TLS connection",
	},
	{Name: "telemetry", Phase: phaseOther, Breaks: "Nothing in setup waits for it.", Source: "D: network requirements of Autopilot"},
	{Name: "desktop", Phase: phaseOther, Breaks: "Nothing in setup waits for it.", Source: "X: annotated traffic of a run"},
}

// Steps returns the steps in the order of the flow. The caller must not change them.
func Steps() []Step { return steps }

// StepOf returns a step by its name, and an empty one for another name.
func StepOf(name string) *Step {
	for i := range steps {
		if steps[i].Name == name {
			return &steps[i]
		}
	}
	return &Step{}
}

// Says returns what the setup screen shows after a connection failed with a code, or
// "" if it shows no code.
func (s *Step) Says(code uint32) string {
	return strings.ReplaceAll(s.Screen, "{code}", fmt.Sprintf("0x%08X", code))
}

// Later says in whole sentences what fails after a connection failed with a code.
func (s *Step) Later(code uint32) string {
	if s.Screen == "" {
		return s.Breaks
	}
	return s.Breaks + " The screen then shows: " + s.Says(code) + "."
}

// Hosts returns the names of the hosts of a step, as the table has them.
func (s *Step) Hosts() (list []string) {
	for i := range hosts {
		if hosts[i].Step == s.Name {
			list = append(list, hosts[i].Name)
		}
	}
	return list
}
