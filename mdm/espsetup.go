package mdm

import (
	"net/url"
	"slices"
	"strings"
)

// separator is between the items of a list in one node.
const separator = "\uF000"

// escapeName writes the name of a node as a LocURI has it.
func escapeName(name string) string { return url.PathEscape(name) }

// setup is device setup or account setup: the items that the server named in
// FirstSyncStatus, and the apps that policy providers track.
func (e *ESP) setup(name, title string, p espPage, ready bool) ESPCategory {
	c := ESPCategory{Name: name, Title: title}
	for _, s := range []struct {
		name, title, verb string
		lists             []string
	}{
		{"SecurityPolicies", "Security policies", "applied", []string{"ExpectedPolicies"}},
		{"Certificates", "Certificates", "applied", []string{"ExpectedSCEPCerts", "ExpectedPFXCerts"}},
		{"NetworkProfiles", "Network connections", "applied", []string{"ExpectedNetworkProfiles"}},
		{"Apps", "Apps", "installed", []string{"ExpectedMSIAppPackages", "ExpectedModernAppPackages"}},
	} {
		step := ESPStep{Name: s.name, Title: s.title, State: ESPNotStarted}
		complete := !p.there || p.finished
		for _, list := range s.lists {
			for _, item := range e.expected(p.status + "/" + list) {
				e.count(&step, item)
			}
		}
		if s.name == "Apps" {
			complete = e.tracked(&step, p.scope) && complete
		}
		if step.State != ESPFailed && ready {
			step.State = ESPInProgress
			if step.Done == step.Total && complete && p.up {
				step.State = ESPSucceeded
			}
		}
		step.words(s.verb)
		c.Steps = append(c.Steps, step)
	}
	c.sum(ready)
	return c
}

// expected returns the LocURIs in a list: a value with separators, or, as one
// server writes it, nodes below.
func (e *ESP) expected(uri string) []string {
	v, there := e.Tree.Get(uri)
	if !there {
		return nil
	}
	if v.Format != formatNode {
		return split(v.Data, separator)
	}
	var items []string
	for _, below := range e.Tree.leaves(uri) {
		items = append(items, "./"+strings.TrimPrefix(strings.TrimPrefix(below, "."), "/"))
	}
	return items
}

// count counts an expected item: "uri" or "uri;count". A certificate of SCEP
// and an MSI package say by a node Status how they are; all else need only be
// there.
func (e *ESP) count(s *ESPStep, item string) {
	uri, _, _ := strings.Cut(item, ";")
	s.Total++
	status, ok := e.Tree.Get(uri)
	if !ok {
		s.open(uri)
		return
	}
	done, failed := "", []string(nil)
	switch {
	case strings.Contains(uri, "/SCEP/"):
		status, _ = e.Tree.Get(strings.TrimSuffix(uri, "/") + "/Status")
		done, failed = "1", []string{"16"}
	case strings.Contains(uri, "/EnterpriseDesktopAppManagement/MSI/"):
		if !strings.HasSuffix(uri, "/Status") {
			status, _ = e.Tree.Get(strings.TrimSuffix(uri, "/") + "/Status")
		}
		done, failed = "70", []string{"30", "60"} // enforcement completed; download, enforcement failed
	}
	if done == "" || strings.TrimSpace(status.Data) == done {
		s.Done++
		return
	}
	for _, f := range failed {
		if strings.TrimSpace(status.Data) == f {
			code, _ := e.Tree.Get(strings.TrimSuffix(uri, "/") + "/ErrorCode")
			s.fail(uri, readCode(strings.TrimSpace(code.Data)))
			return
		}
	}
	s.open(uri)
}

// tracked counts the apps that policy providers track in a scope, and reports
// whether all providers have said which these are.
func (e *ESP) tracked(s *ESPStep, scope string) bool {
	const providers = "./Device/Vendor/MSFT/EnrollmentStatusTracking/DevicePreparation/PolicyProviders"
	apps := scope + "/Vendor/MSFT/EnrollmentStatusTracking/Setup/Apps"
	complete := true
	text := func(uri string) string {
		v, _ := e.Tree.Get(uri)
		return strings.TrimSpace(v.Data)
	}
	for _, name := range e.Tree.Children(providers) {
		name = escapeName(name)
		if isTrue(text(providers+"/"+name+"/TrackedResourceTypes/Apps")) && !isTrue(text(apps+"/PolicyProviders/"+name+"/TrackingPoliciesCreated")) {
			complete = false
		}
	}
	for _, provider := range e.Tree.Children(apps + "/Tracking") {
		at := apps + "/Tracking/" + escapeName(provider)
		for _, app := range e.Tree.Children(at) {
			uri := at + "/" + escapeName(app)
			s.Total++
			switch text(uri + "/InstallationState") {
			case "3":
				s.Done++
			case "4":
				s.fail(uri, 0)
			default:
				s.open(uri)
			}
		}
	}
	return complete
}

// leaves returns the paths of all leaves below a node, without the node's own.
func (t *Tree) leaves(uri string) []string {
	names, _ := splitPath(uri)
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	var walk func(n *node, path string)
	walk = func(n *node, path string) {
		if n == nil {
			return
		}
		if len(n.children) == 0 && path != "" {
			all = append(all, path)
		}
		for name, c := range n.children {
			walk(c, strings.TrimPrefix(path+"/"+name, "/"))
		}
	}
	walk(t.find(names), "")
	slices.Sort(all)
	return all
}
