package esp

import (
	"fmt"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// maxOpen bounds the open items that a report names for a step.
const maxOpen = 20

// fail makes an item the reason why the step failed. The first code that is not
// 0 stays.
func (s *Step) fail(item string, code uint32) {
	s.State = Failed
	if s.Code == 0 {
		s.Code = code
	}
	s.open(item)
}

// open notes an item that is not done.
func (s *Step) open(item string) {
	if len(s.Open) < maxOpen {
		s.Open = append(s.Open, wire.Words(item))
	}
}

// sum sets the state and the text of a category by its steps. If began is set,
// it has begun even if none of its steps has.
func (c *Category) sum(began bool) {
	done, failed, going := 0, false, began
	for _, s := range c.Steps {
		switch s.State {
		case Failed:
			failed = true
		case Succeeded:
			done++
			going = true
		case InProgress:
			going = true
		}
	}
	switch {
	case failed:
		c.State, c.Text = Failed, "Failed"
	case done == len(c.Steps):
		c.State, c.Text = Succeeded, "Complete"
	case going:
		c.State, c.Text = InProgress, "Working on it…"
	default:
		c.State, c.Text = NotStarted, "Waiting on previous step"
	}
}

// words sets the text of a step. The verb tells what happens to items; it is
// empty for steps of device preparation.
func (s *Step) words(verb string) {
	switch {
	case s.State == Failed && s.Code != 0:
		s.Text = fmt.Sprintf("Failed (0x%08X)", s.Code)
	case s.State == Failed:
		s.Text = "Failed"
	case s.State == NotStarted:
		s.Text = "Waiting on previous step"
	case s.State == Succeeded && s.Total == 0 && verb != "":
		s.Text = "No setup needed"
	case s.Total > 0 && verb != "":
		s.Text = fmt.Sprintf("%d of %d %s", s.Done, s.Total, verb)
	case s.State == Succeeded:
		s.Text = "Complete"
	case verb != "":
		s.Text = "Identifying"
	default:
		s.Text = "Working on it…"
	}
}
