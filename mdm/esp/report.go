package esp

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/mdm"
)

// A State is how far a part of the enrollment status page is.
type State string

// The states, as Windows stores them.
const (
	NotStarted State = "notStarted"
	InProgress State = "inProgress"
	Succeeded  State = "succeeded"
	Failed     State = "failed"
)

// A step of device preparation that no node of the tree tells of, see
// [Page.Begin] and [Page.End].
const (
	Attestation = "TpmAttestation" // fails after 7 minutes
	Join        = "Aadj"
	Enrollment  = "MdmEnrollment"
)

// A Report is the enrollment status page at one time.
type Report struct {
	State    State
	Code     uint32    // HRESULT of a failure: 0x800705B4 for a deadline
	Deadline time.Time // of the whole page; zero if there is no page
	Message  string    // CustomErrorText: the server's words for a failure
	Skipped  bool      // the server wants no page, or has set up none

	// What the user may do when it fails.
	MayReset, MayRetry, MayContinue bool

	Preparation DevicePreparation `json:"Page"` // of Windows 11

	// Categories are device preparation, device setup and account setup.
	Categories []Category
}

// A DevicePreparation is what the nodes below ./Device/Vendor/MSFT/DevicePreparation
// say. Its zero value means that there are none.
type DevicePreparation struct {
	Enabled        bool
	Status         string // "Disabled", "Enabled", "InProgress", "ExitedOnSuccess", "ExitedOnFailure" or ""
	AgentInstalled bool   // MdmAgentInstalled
	Progress       string // MDMProvider/Progress, as the provider wrote it
}

// A Category is one of the three phases of the page.
type Category struct {
	Name  string // as Windows stores it: "DevicePreparation", "DeviceSetup", "AccountSetup"
	Title string // as the page shows it in English: "Device preparation"
	State State
	Text  string // as the page shows it: "Working on it…", "Complete"
	Steps []Step
}

// A Step is a line of the page, a subcategory.
type Step struct {
	Name  string // as Windows stores it, such as "TpmAttestation" or "Apps"
	Title string // as the page shows it: "Securing your hardware"
	State State
	Text  string   // as the page shows it: "Complete", "1 of 3 installed"
	Done  int      // of Total
	Total int      // items; 0 for a step that is one thing
	Open  []string // LocURIs or names of items that are not done, at most 20
	Code  uint32   // HRESULT of a failure, if known
}

// Err returns nil unless r.State is [Failed]. The error is then a [*mdm.Error]
// with the operation "Setup": it has r.Message and r.Code, and names the last
// step that failed.
func (r *Report) Err() error {
	if r.State != Failed {
		return nil
	}
	what := "the device was not set up"
	for _, c := range r.Categories {
		for _, s := range c.Steps {
			if s.State == Failed {
				what = fmt.Sprintf("%s: %s: %s", c.Title, s.Title, s.Text)
			}
		}
	}
	return &mdm.Error{Op: "Setup", Message: r.Message, Err: hresult.Errorf(r.Code, "%s", what)}
}

// Progress returns how many of the page's items are done. A step that is one
// thing counts as one.
func (r *Report) Progress() (done, total int) {
	for _, c := range r.Categories {
		for _, s := range c.Steps {
			switch {
			case s.Total > 0:
				done, total = done+s.Done, total+s.Total
			case s.State == Succeeded:
				done, total = done+1, total+1
			default:
				total++
			}
		}
	}
	return done, total
}

// MarshalJSON writes a category in the form in which Windows stores it:
// categoryState, categoryStatusText and an object for each subcategory. The
// error is always nil.
func (c Category) MarshalJSON() ([]byte, error) {
	fields := map[string]any{"categoryState": c.State, "categoryStatusText": c.Text}
	for _, s := range c.Steps {
		fields[c.Name+"."+s.Name+"Subcategory"] = map[string]any{"subcategoryState": s.State, "subcategoryStatusText": s.Text}
	}
	return json.Marshal(fields)
}
