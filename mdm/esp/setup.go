package esp

import (
	"net/url"
	"slices"
	"strings"
)

// separator stands between the items of a list in one node.
const separator = "\uF000"

// setup returns device setup or account setup: the items that the server named
// in FirstSyncStatus, and the apps that policy providers track. It has not
// begun unless ready is set.
func (p *Page) setup(name, title string, set settings, ready bool) Category {
	c := Category{Name: name, Title: title}
	for _, s := range []struct {
		name, title, verb string
		lists             []string
	}{
		{"SecurityPolicies", "Security policies", "applied", []string{"ExpectedPolicies"}},
		{"Certificates", "Certificates", "applied", []string{"ExpectedSCEPCerts", "ExpectedPFXCerts"}},
		{"NetworkProfiles", "Network connections", "applied", []string{"ExpectedNetworkProfiles"}},
		{"Apps", "Apps", "installed", []string{"ExpectedMSIAppPackages", "ExpectedModernAppPackages"}},
	} {
		step := Step{Name: s.name, Title: s.title, State: NotStarted}
		complete := !set.there || set.finished
		for _, list := range s.lists {
			items, rest := p.expected(set.status + "/" + list)
			for _, item := range items {
				p.count(&step, item)
			}
			step.Total += rest // which are not looked for
		}
		if s.name == "Apps" {
			complete = p.tracked(&step, set.scope) && complete
		}
		if step.State != Failed && ready {
			step.State = InProgress
			if step.Done == step.Total && complete && set.up {
				step.State = Succeeded
			}
		}
		step.words(s.verb)
		c.Steps = append(c.Steps, step)
	}
	c.sum(ready)
	return c
}

// maxItems is how many items of one list are looked for.
const maxItems = 10000

// expected returns the first items of a list, and the number of the rest. The
// items are the parts of a value, or, as one server writes it, the paths of the
// leaves below the node.
func (p *Page) expected(uri string) (items []string, rest int) {
	v, there := p.Tree.Get(uri)
	if !there {
		return nil, 0
	}
	if v.Format != "node" {
		for item := range strings.SplitSeq(v.Data, separator) {
			switch item = strings.TrimSpace(item); {
			case item == "":
			case len(items) == maxItems:
				rest++
			default:
				items = append(items, item)
			}
		}
		return items, rest
	}
	below := p.leaves(uri)
	for _, path := range below[:min(len(below), maxItems)] {
		items = append(items, "./"+strings.TrimPrefix(strings.TrimPrefix(path, "."), "/"))
	}
	return items, len(below) - len(items)
}

// count counts an expected item, "uri" or "uri;count". A SCEP certificate or an
// MSI package has a node Status that tells whether it is done or has failed.
// Every other item is done if its node exists.
func (p *Page) count(s *Step, item string) {
	uri, _, _ := strings.Cut(item, ";")
	s.Total++
	status, ok := p.Tree.Get(uri)
	if !ok {
		s.open(uri)
		return
	}
	done, failed := "", []string(nil)
	switch {
	case strings.Contains(uri, "/SCEP/"):
		status, _ = p.Tree.Get(strings.TrimSuffix(uri, "/") + "/Status")
		done, failed = "1", []string{"16"}
	case strings.Contains(uri, "/EnterpriseDesktopAppManagement/MSI/"):
		if !strings.HasSuffix(uri, "/Status") {
			status, _ = p.Tree.Get(strings.TrimSuffix(uri, "/") + "/Status")
		}
		done, failed = "70", []string{"30", "60"} // enforcement completed; download failed, enforcement failed
	}
	if done == "" || strings.TrimSpace(status.Data) == done {
		s.Done++
		return
	}
	for _, f := range failed {
		if strings.TrimSpace(status.Data) == f {
			code, _ := p.Tree.Get(strings.TrimSuffix(uri, "/") + "/ErrorCode")
			s.fail(uri, readCode(strings.TrimSpace(code.Data)))
			return
		}
	}
	s.open(uri)
}

// tracked counts the apps that policy providers track in a scope. It reports
// whether every provider that tracks apps has said which.
func (p *Page) tracked(s *Step, scope string) bool {
	const providers = "./Device/Vendor/MSFT/EnrollmentStatusTracking/DevicePreparation/PolicyProviders"
	apps := scope + "/Vendor/MSFT/EnrollmentStatusTracking/Setup/Apps"
	complete := true
	text := func(uri string) string {
		v, _ := p.Tree.Get(uri)
		return strings.TrimSpace(v.Data)
	}
	for _, name := range p.Tree.Children(providers) {
		name = url.PathEscape(name)
		if isTrue(text(providers+"/"+name+"/TrackedResourceTypes/Apps")) && !isTrue(text(apps+"/PolicyProviders/"+name+"/TrackingPoliciesCreated")) {
			complete = false
		}
	}
	for _, provider := range p.Tree.Children(apps + "/Tracking") {
		at := apps + "/Tracking/" + url.PathEscape(provider)
		for _, app := range p.Tree.Children(at) {
			uri := at + "/" + url.PathEscape(app)
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

// leaves returns the paths of all leaves below a node, sorted and without the
// node's own path. The names in them are not escaped.
func (p *Page) leaves(uri string) []string {
	var all []string
	var walk func(at, path string)
	walk = func(at, path string) {
		below := p.Tree.Children(at)
		if len(below) == 0 && path != "" {
			all = append(all, path)
		}
		for _, name := range below {
			walk(at+"/"+url.PathEscape(name), strings.TrimPrefix(path+"/"+name, "/"))
		}
	}
	walk(uri, "")
	slices.Sort(all)
	return all
}
