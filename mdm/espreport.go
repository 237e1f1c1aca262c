package mdm

import (
	"encoding/json"
	"fmt"
	"time"
)

// An ESPState is how far a part of the enrollment status page is.
type ESPState string

// The states, as Windows stores them.
const (
	ESPNotStarted ESPState = "notStarted"
	ESPInProgress ESPState = "inProgress"
	ESPSucceeded  ESPState = "succeeded"
	ESPFailed     ESPState = "failed"
)

// A step of device preparation that no node of the tree tells of, see
// [ESP.Begin] and [ESP.End].
const (
	ESPAttestation = "TpmAttestation" // fails after 7 minutes
	ESPJoin        = "Aadj"
	ESPEnrollment  = "MdmEnrollment"
)

// An ESPReport is the enrollment status page at one time.
type ESPReport struct {
	State    ESPState
	Code     uint32    // HRESULT of a failure: 0x800705B4 for a deadline
	Deadline time.Time // of the whole page; zero if there is no page
	Message  string    // CustomErrorText: the server's words for a failure
	Skipped  bool      // the server wants no page, or has set up none

	// What the user may do when it fails.
	MayReset, MayRetry, MayContinue bool

	Page ESPPage // of Windows 11's device preparation

	// Categories are device preparation, device setup and account setup.
	Categories []ESPCategory
}

// An ESPPage is what the DevicePreparation nodes say. Its zero value means that
// there are none.
type ESPPage struct {
	Enabled        bool
	Status         string // "Disabled", "Enabled", "InProgress", "ExitedOnSuccess", "ExitedOnFailure" or ""
	AgentInstalled bool   // MdmAgentInstalled
	Progress       string // MDMProvider/Progress, as the provider wrote it
}

// An ESPCategory is one of the three phases of the page.
type ESPCategory struct {
	Name  string // as Windows stores it: "DevicePreparation", "DeviceSetup", "AccountSetup"
	Title string // as the page shows it in English: "Device preparation"
	State ESPState
	Text  string // as the page shows it: "Working on it…", "Complete"
	Steps []ESPStep
}

// An ESPStep is a line of the page, a subcategory.
type ESPStep struct {
	Name  string // as Windows stores it, such as "TpmAttestation" or "Apps"
	Title string // as the page shows it: "Securing your hardware"
	State ESPState
	Text  string   // as the page shows it: "Complete", "1 of 3 installed"
	Done  int      // of Total
	Total int      // items; 0 for a step that is one thing
	Open  []string // LocURIs or names of items that are not done, at most 20
	Code  uint32   // HRESULT of a failure, if known
}

// Err returns the failure that the page shows as an *Error with operation
// "Setup", or nil if it shows none.
func (r *ESPReport) Err() error {
	if r.State != ESPFailed {
		return nil
	}
	what := "the device was not set up"
	for _, c := range r.Categories {
		for _, s := range c.Steps {
			if s.State == ESPFailed {
				what = fmt.Sprintf("%s: %s: %s", c.Title, s.Title, s.Text)
			}
		}
	}
	return &Error{Op: opSetup, Message: r.Message, Err: withCode(r.Code, "%s", what)}
}

// Progress returns how many of the page's items are done. A step that is one
// thing counts as one.
func (r *ESPReport) Progress() (done, total int) {
	for _, c := range r.Categories {
		for _, s := range c.Steps {
			switch {
			case s.Total > 0:
				done, total = done+s.Done, total+s.Total
			case s.State == ESPSucceeded:
				done, total = done+1, total+1
			default:
				total++
			}
		}
	}
	return done, total
}

// MarshalJSON writes a category in the form in which Windows stores it:
// categoryState, categoryStatusText and an object for each subcategory.
func (c ESPCategory) MarshalJSON() ([]byte, error) {
	fields := map[string]any{"categoryState": c.State, "categoryStatusText": c.Text}
	for _, s := range c.Steps {
		fields[c.Name+"."+s.Name+"Subcategory"] = map[string]any{"subcategoryState": s.State, "subcategoryStatusText": s.Text}
	}
	return json.Marshal(fields)
}

// sum gives a category the state of its steps.
func (c *ESPCategory) sum(began bool) {
	done, failed, going := 0, false, began
	for _, s := range c.Steps {
		switch s.State {
		case ESPFailed:
			failed = true
		case ESPSucceeded:
			done++
			going = true
		case ESPInProgress:
			going = true
		}
	}
	switch {
	case failed:
		c.State, c.Text = ESPFailed, "Failed"
	case done == len(c.Steps):
		c.State, c.Text = ESPSucceeded, "Complete"
	case going:
		c.State, c.Text = ESPInProgress, "Working on it…"
	default:
		c.State, c.Text = ESPNotStarted, "Waiting on previous step"
	}
}

// words gives a step its text.
func (s *ESPStep) words(verb string) {
	switch {
	case s.State == ESPFailed && s.Code != 0:
		s.Text = fmt.Sprintf("Failed (0x%08X)", s.Code)
	case s.State == ESPFailed:
		s.Text = "Failed"
	case s.State == ESPNotStarted:
		s.Text = "Waiting on previous step"
	case s.State == ESPSucceeded && s.Total == 0 && verb != "":
		s.Text = "No setup needed"
	case s.Total > 0 && verb != "":
		s.Text = fmt.Sprintf("%d of %d %s", s.Done, s.Total, verb)
	case s.State == ESPSucceeded:
		s.Text = "Complete"
	case verb != "":
		s.Text = "Identifying"
	default:
		s.Text = "Working on it…"
	}
}
