package esp

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/mdm"
)

// A State is the state of the page, of a category or of a step, as Windows
// stores it.
type State string

// The states. A step or category is [NotStarted] while it waits for an earlier
// one.
const (
	NotStarted State = "notStarted"
	InProgress State = "inProgress"
	Succeeded  State = "succeeded"
	Failed     State = "failed"
)

// Names of the steps of device preparation that no node of the tree tells of.
// The caller tells the page of them by [Page.Begin] and [Page.End].
const (
	Attestation = "TpmAttestation" // the proof of the TPM; it fails after 7 minutes
	Join        = "Aadj"           // the join to the directory
	Enrollment  = "MdmEnrollment"  // the enrollment in management
)

// A Report is the enrollment status page at one time.
type Report struct {
	// State is the state of the page as a whole: InProgress, Succeeded or
	// Failed.
	State State

	// Code is the HRESULT of the step that failed first, or 0x800705B4 if the
	// deadline has passed. It is 0 if nothing has failed, or the step has no
	// code.
	Code uint32

	// Deadline is when the page fails if it is not over. It is the zero time if
	// the server has set up no page.
	Deadline time.Time

	// Message is what the server wants to be shown after a failure
	// (CustomErrorText), without control characters and at most 1000 bytes. It
	// may be empty.
	Message string

	// Skipped reports that no page is to be shown: the server wants none, or
	// has set up none. The other fields are valid all the same.
	Skipped bool

	// MayReset, MayRetry and MayContinue report what the user may do after a
	// failure (BlockInStatusPage): reset the device, try again, use it all the
	// same.
	MayReset, MayRetry, MayContinue bool

	// Preparation is what the nodes of Windows 11's device preparation say.
	Preparation DevicePreparation `json:"Page"`

	// Categories are device preparation, device setup and, if it is part of the
	// page, account setup.
	Categories []Category
}

// A DevicePreparation has the nodes below
// ./Device/Vendor/MSFT/DevicePreparation, by which Windows 11 follows the same
// setup. The zero value means that there are none.
type DevicePreparation struct {
	Enabled        bool   // PageEnabled
	Status         string // PageStatus: "Disabled", "Enabled", "InProgress", "ExitedOnSuccess", "ExitedOnFailure"; else ""
	AgentInstalled bool   // MdmAgentInstalled
	Progress       string // MDMProvider/Progress, without control characters
}

// A Category is one of the phases of the page.
type Category struct {
	Name  string // as Windows stores it: "DevicePreparation", "DeviceSetup" or "AccountSetup"
	Title string // as the page shows it in English, such as "Device preparation"
	State State
	Text  string // the state as the page shows it, such as "Working on it…" or "Complete"
	Steps []Step // in the order of the page; never empty
}

// A Step is one line of the page, a subcategory.
type Step struct {
	Name  string // as Windows stores it, such as "TpmAttestation" or "Apps"
	Title string // as the page shows it in English, such as "Securing your hardware"
	State State
	Text  string // the state as the page shows it, such as "Complete" or "1 of 3 installed"

	// Done of Total items are done. Total is 0 if the step has no items. If a
	// list of the server names more than 10000, the rest counts as not done.
	Done  int
	Total int

	// Open has the LocURIs of items that are not done or have failed, at most
	// 20, without control characters.
	Open []string

	// Code is the HRESULT of a failure. It is 0 if there is none or it has no
	// code.
	Code uint32
}

// Err returns the failure that the page shows. It is nil unless r.State is
// [Failed]. The error is an [*mdm.Error] with the operation "Setup". It has
// r.Message, its HRESULT is r.Code, and it names the last step that failed.
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

// Progress returns how many of the items of all steps are done. A step without
// items counts as one.
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

// MarshalJSON implements [json.Marshaler]. It writes the category in the form
// in which Windows stores it: an object with categoryState, categoryStatusText,
// and an object with subcategoryState and subcategoryStatusText for each step.
// The error is always nil.
func (c Category) MarshalJSON() ([]byte, error) {
	fields := map[string]any{"categoryState": c.State, "categoryStatusText": c.Text}
	for _, s := range c.Steps {
		fields[c.Name+"."+s.Name+"Subcategory"] = map[string]any{"subcategoryState": s.State, "subcategoryStatusText": s.Text}
	}
	return json.Marshal(fields)
}
