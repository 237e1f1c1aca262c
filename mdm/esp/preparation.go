package esp

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// preparation returns device preparation: the steps that the caller told of,
// and the policy providers, which the tree tells of.
func (p *Page) preparation() Category {
	c := Category{Name: "DevicePreparation", Title: "Device preparation"}
	for _, s := range []struct{ name, title string }{
		{Attestation, "Securing your hardware"},
		{Join, "Joining your organization's network"},
		{Enrollment, "Registering your device for mobile management"},
	} {
		told := p.steps[s.name]
		if told == nil {
			continue // not part of this enrollment
		}
		step := Step{Name: s.name, Title: s.title, State: told.state, Code: told.code}
		if s.name == Attestation && told.state == InProgress && !p.now().Before(told.began.Add(attestationTime)) {
			step.State, step.Code = Failed, hresult.Timeout
		}
		step.words("")
		c.Steps = append(c.Steps, step)
	}
	waiting := false
	for _, s := range c.Steps {
		waiting = waiting || s.State != Succeeded
	}
	c.Steps = append(c.Steps, p.providers(waiting))
	c.sum(len(p.steps) > 0)
	return c
}

// providers returns the step that waits for the policy providers, which install
// what the server wants and say which apps that is. If waiting is set, an
// earlier step is not over.
func (p *Page) providers(waiting bool) Step {
	const root = "./Device/Vendor/MSFT/EnrollmentStatusTracking/DevicePreparation/PolicyProviders"
	s := Step{Name: "EspProviderInstallation", Title: "Preparing your device for mobile management", State: InProgress}
	seen := make(map[string]time.Time) // without providers that are gone
	defer func() { p.seen = seen }()
	for _, name := range p.Tree.Children(root) {
		at := root + "/" + url.PathEscape(name)
		text := func(leaf string) string {
			v, _ := p.Tree.Get(at + "/" + leaf)
			return strings.TrimSpace(v.Data)
		}
		first, known := p.seen[name]
		if !known {
			first = p.now()
		}
		seen[name] = first
		limit := time.Duration(minutes(text("Timeout"), int(defaultProviderTime/time.Minute), maxPageMinutes)) * time.Minute
		s.Total++
		switch state := text("InstallationState"); {
		case state == "4":
			s.fail(at, readCode(text("LastError")))
		case state == "2", state == "3":
			s.Done++
		case !p.now().Before(first.Add(limit)):
			s.fail(at, hresult.Timeout)
		default:
			s.open(at)
		}
	}
	if s.State != Failed && s.Done == s.Total {
		s.State = Succeeded
	}
	if p.devicePreparation().Status == "ExitedOnFailure" {
		s.fail("./Device/Vendor/MSFT/DevicePreparation/PageStatus", 0)
	}
	if waiting && s.State != Failed {
		s.State = NotStarted
	}
	s.words("")
	return s
}

// readCode reads an HRESULT in decimal, with or without sign, or in
// hexadecimal. It returns 0 if text is none.
func readCode(text string) uint32 {
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil || n < -1<<31 || n >= 1<<32 {
		return 0
	}
	return uint32(n)
}

// pageStatus has the names of the values of PageStatus.
var pageStatus = map[string]string{
	"0": "Disabled", "1": "Enabled", "2": "InProgress", "3": "ExitedOnSuccess", "4": "ExitedOnFailure",
}

// devicePreparation reads the DevicePreparation nodes.
func (p *Page) devicePreparation() DevicePreparation {
	text := func(leaf string) string {
		v, _ := p.Tree.Get("./Device/Vendor/MSFT/DevicePreparation/" + leaf)
		return strings.TrimSpace(v.Data)
	}
	return DevicePreparation{
		Enabled: isTrue(text("PageEnabled")), Status: pageStatus[text("PageStatus")],
		AgentInstalled: isTrue(text("MdmAgentInstalled")), Progress: wire.Words(text("MDMProvider/Progress")),
	}
}
