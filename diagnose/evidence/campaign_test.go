package evidence_test

import (
	"bytes"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/diagnose/evidence"
	"github.com/whiteglove/whiteglove/internal/evtx/evtxtest"
	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// rehearse runs a device against a server with a fault that does not pass, and
// returns what the run says.
func rehearse(t *testing.T, server *provisiontest.Server, fault provisiontest.Fault) diagnose.Diagnosis {
	t.Helper()
	device, err := server.NewDevice(t.Context(), attesttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	p := server.Provisioner(device)
	client := *server.Client()
	transport := client.Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // StepTLS spoils new connections
	client.Transport, client.Timeout = transport, time.Minute
	if fault.Kind == "timeout" {
		client.Timeout = 3 * time.Second
	}
	p.HTTPClient = &client
	p.Steps, p.EnrollEK = provision.Technician(), true
	p.Backoff = func(provision.Step, int, error) time.Duration { return 0 }
	server.SetFaults(fault)
	defer server.SetFaults()
	_, err = p.Run(t.Context())
	return diagnose.Explain(err)
}

// An entry is an event that Windows logs, with its code, and without one if it has
// none.
type entry struct {
	provider string
	id       uint16
	code     bool
}

// Names of providers.
const (
	autopilotLog    = "Microsoft-Windows-ModernDeployment-Diagnostics-Provider"
	registrationLog = "Microsoft-Windows-User Device Registration"
	managementLog   = "Microsoft-Windows-DeviceManagement-Enterprise-Diagnostics-Provider"
)

// logged is what Windows logs if a step fails.
var logged = map[string][]entry{
	"ek":       {{autopilotLog, 151, false}, {autopilotLog, 209, false}},
	"aik":      {{autopilotLog, 208, false}, {autopilotLog, 190, false}, {autopilotLog, 192, true}, {autopilotLog, 192, true}, {autopilotLog, 189, false}},
	"discover": {{autopilotLog, 169, false}, {registrationLog, 201, true}},
	"token":    {{autopilotLog, 169, false}, {registrationLog, 101, false}, {autopilotLog, 180, true}},
	"join":     {{registrationLog, 103, false}, {registrationLog, 204, true}, {autopilotLog, 180, true}},
	"enroll":   {{registrationLog, 105, false}, {managementLog, 71, true}, {autopilotLog, 180, true}},
	"session":  {{managementLog, 72, false}, {managementLog, 204, true}},
	"seal":     {{managementLog, 72, false}, {autopilotLog, 195, false}, {autopilotLog, 197, true}},
}

// TestCampaign rehearses faults, writes what Windows would leave of each, and finds
// what was planted. Without WHITEGLOVE_CAMPAIGN it takes one kind for each step.
func TestCampaign(t *testing.T) {
	server := provisiontest.NewServer()
	defer server.Close()
	// The findings that name a kind, and those that name it in a step.
	want := map[string][]string{
		"503": {"service-error", "directory-busy"}, "429": {"service-error", "directory-busy"}, "404": {"service-refuses"}, "400": {"service-refuses", "join-token"},
		"timeout": {"service-unreachable"}, "cut": {"answer-damaged", "service-unreachable"}, "truncate": {"answer-damaged"}, "garbage": {"answer-damaged"},
		"ek": {"ek-missing"}, "tls": {"tls-inspection"},
		"aik timeout": {"aik-host-blocked"}, "aik cut": {"aik-host-blocked"}, "aik 404": {"aik-unknown-maker"}, "aik 400": {"aik-refused"},
	}
	kinds := []string{"503", "timeout", "404", "cut", "garbage", "429", "400", "truncate", "expired"}
	planted, named := 0, 0
	for i, step := range provisiontest.FaultSteps() {
		for j, kind := range kinds {
			fault := provisiontest.Fault{Step: step, Kind: kind, Requests: -1}
			if kind == "expired" != (step == provisiontest.StepTLS) || !fault.Valid() {
				continue // a party whose clock is wrong refuses in its own words
			}
			if os.Getenv("WHITEGLOVE_CAMPAIGN") == "" && step != provisiontest.StepTLS && i%(len(kinds)-1) != j {
				continue
			}
			d := rehearse(t, server, fault)
			if d.Step == "" {
				continue // the step is not among the technician's, or does without the answer
			}
			if step == provisiontest.StepTLS && d.Step == "ek" {
				// Steps run side by side, and any fails first. Windows logs each.
				d.Step, d.HRESULT = "discover", hresult.SecureFailure
			}
			planted++
			list := want[kind]
			for _, key := range []string{string(step), string(step) + " " + kind} {
				if w, ok := want[key]; ok {
					list = w
				}
			}
			r := leave(t, d)
			if len(r.Findings) > 0 && slices.Contains(list, r.Findings[0].ID) {
				named++
				continue
			}
			t.Errorf("%s ended in step %s with 0x%08X; want %v\n%v", fault, d.Step, d.HRESULT, list, r.Findings)
		}
	}
	t.Logf("%d of %d faults were named", named, planted)
}

// leave returns the report on what Windows leaves of a failed run.
func leave(t *testing.T, d diagnose.Diagnosis) *evidence.Report {
	t.Helper()
	var c evidence.Case
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	logs := map[string][]evtxtest.Event{}
	for _, e := range logged[d.Step] {
		at = at.Add(10 * time.Second)
		ev := evtxtest.Event{Provider: e.provider, ID: e.id, Level: 2, Time: at, Data: []evtxtest.Datum{}}
		if e.code {
			ev.Data = append(ev.Data, evtxtest.Datum{Name: "HRESULT", Value: evtxtest.Hex32(d.HRESULT)})
		}
		logs[e.provider] = append(logs[e.provider], ev)
	}
	for _, provider := range []string{autopilotLog, registrationLog, managementLog} {
		if len(logs[provider]) == 0 {
			continue
		}
		if err := c.Add(t.Context(), provider+".evtx", bytes.NewReader(evtxtest.Log(logs[provider], evtxtest.Options{}))); err != nil {
			t.Fatal(err)
		}
	}
	return c.Report()
}
