package mdm

import (
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// maxOpen bounds the items that a report names.
const maxOpen = 20

// An espPage is what a server has set for the page of one scope.
type espPage struct {
	scope    string
	status   string // LocURI of FirstSyncStatus
	there    bool   // FirstSyncStatus has been written
	up       bool   // there is a user, or the scope is the device's
	finished bool   // the server is done
	skip     bool   // the server wants no page
	limit    time.Duration
	block    int // BlockInStatusPage
	words    string
}

// read reads the settings of a scope. The caller holds e.mu.
func (e *ESP) read(scope string) espPage {
	p := espPage{scope: scope, status: e.firstSync(scope), up: scope == "./Device" || e.Tree.userContext()}
	p.there = len(e.Tree.Children(p.status)) > 0
	text := func(leaf string) string {
		v, _ := e.Tree.Get(p.status + "/" + leaf)
		return strings.TrimSpace(v.Data)
	}
	p.finished = isTrue(text("ServerHasFinishedProvisioning"))
	p.words = text("CustomErrorText")
	p.skip = isTrue(text("SkipDeviceStatusPage"))
	if scope == "./User" {
		device, _ := e.Tree.Get(e.firstSync("./Device") + "/SkipUserStatusPage")
		p.skip = isTrue(text("SkipUserStatusPage")) || isTrue(device.Data)
	}
	p.limit = time.Duration(minutes(text("TimeOutUntilSyncFailure"), defaultPageMinutes, maxPageMinutes)) * time.Minute
	if p.block, _ = strconv.Atoi(text("BlockInStatusPage")); p.block == 0 && isTrue(text("BlockInStatusPage")) {
		p.block = 1 // written as a truth value by some
	}
	return p
}

// minutes reads a time, of at least one minute and at most most.
func minutes(text string, other, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return other
	}
	return min(n, most)
}

func isTrue(s string) bool {
	return strings.EqualFold(strings.TrimSpace(s), "true") || strings.TrimSpace(s) == "1"
}

// preparation is device preparation: three steps that the caller tells of, and
// the policy providers, of which the tree does.
func (e *ESP) preparation() ESPCategory {
	c := ESPCategory{Name: "DevicePreparation", Title: "Device preparation"}
	for _, s := range []struct{ name, title string }{
		{ESPAttestation, "Securing your hardware"},
		{ESPJoin, "Joining your organization's network"},
		{ESPEnrollment, "Registering your device for mobile management"},
	} {
		told := e.steps[s.name]
		if told == nil {
			continue // no part of this run
		}
		step := ESPStep{Name: s.name, Title: s.title, State: told.state, Code: told.code}
		if s.name == ESPAttestation && told.state == ESPInProgress && !now(e.Now).Before(told.began.Add(attestationTime)) {
			step.State, step.Code = ESPFailed, hresult.Timeout
		}
		step.words("")
		c.Steps = append(c.Steps, step)
	}
	waiting := false
	for _, s := range c.Steps {
		waiting = waiting || s.State != ESPSucceeded
	}
	c.Steps = append(c.Steps, e.providers(waiting))
	c.sum(len(e.steps) > 0)
	return c
}

// providers is the step that waits for those who say what is to be installed.
func (e *ESP) providers(waiting bool) ESPStep {
	const root = "./Device/Vendor/MSFT/EnrollmentStatusTracking/DevicePreparation/PolicyProviders"
	s := ESPStep{Name: "EspProviderInstallation", Title: "Preparing your device for mobile management", State: ESPInProgress}
	for _, name := range e.Tree.Children(root) {
		at := root + "/" + escapeName(name)
		text := func(leaf string) string {
			v, _ := e.Tree.Get(at + "/" + leaf)
			return strings.TrimSpace(v.Data)
		}
		if e.seen == nil {
			e.seen = make(map[string]time.Time)
		}
		if _, known := e.seen[name]; !known {
			e.seen[name] = now(e.Now)
		}
		limit := time.Duration(minutes(text("Timeout"), int(defaultProviderTime/time.Minute), maxPageMinutes)) * time.Minute
		s.Total++
		switch state := text("InstallationState"); {
		case state == "4":
			s.fail(at, readCode(text("LastError")))
		case state == "2", state == "3":
			s.Done++
		case !now(e.Now).Before(e.seen[name].Add(limit)):
			s.fail(at, hresult.Timeout)
		default:
			s.open(at)
		}
	}
	if s.State != ESPFailed && s.Done == s.Total {
		s.State = ESPSucceeded
	}
	if e.page().Status == "ExitedOnFailure" {
		s.fail("./Device/Vendor/MSFT/DevicePreparation/PageStatus", 0)
	}
	if waiting && s.State != ESPFailed {
		s.State = ESPNotStarted
	}
	s.words("")
	return s
}

// readCode reads an HRESULT in decimal, with or without sign, or hexadecimal.
func readCode(text string) uint32 {
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil || n < -1<<31 || n >= 1<<32 {
		return 0
	}
	return uint32(n)
}

func (s *ESPStep) fail(item string, code uint32) {
	s.State = ESPFailed
	if s.Code == 0 {
		s.Code = code
	}
	s.open(item)
}

func (s *ESPStep) open(item string) {
	if len(s.Open) < maxOpen {
		s.Open = append(s.Open, item)
	}
}

// pageStatus are the values of PageStatus.
var pageStatus = map[string]string{
	"0": "Disabled", "1": "Enabled", "2": "InProgress", "3": "ExitedOnSuccess", "4": "ExitedOnFailure",
}

// page reads the DevicePreparation nodes.
func (e *ESP) page() ESPPage {
	text := func(leaf string) string {
		v, _ := e.Tree.Get("./Device/Vendor/MSFT/DevicePreparation/" + leaf)
		return strings.TrimSpace(v.Data)
	}
	return ESPPage{
		Enabled: isTrue(text("PageEnabled")), Status: pageStatus[text("PageStatus")],
		AgentInstalled: isTrue(text("MdmAgentInstalled")), Progress: text("MDMProvider/Progress"),
	}
}
