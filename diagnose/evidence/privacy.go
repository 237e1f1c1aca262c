package evidence

import (
	"regexp"
	"slices"
	"strings"
)

// privacy replaces personal data. It learns names from the evidence: of the computer,
// serial numbers, users and tenants.
type privacy struct {
	words map[string]string // what to replace, and by what
}

// patterns are personal data by their form.
var patterns = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]+`), "<token>"},
	{regexp.MustCompile(`[A-Za-z0-9+/_=-]{120,}`), "<data>"},
	{regexp.MustCompile(`[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`), "<user>"},
	{regexp.MustCompile(`(?i)\b[a-z0-9-]+\.onmicrosoft\.com\b`), "<tenant>"},
	{regexp.MustCompile(`S-1-(5-21|12-1)(-\d+)+`), "<sid>"},
	{regexp.MustCompile(`(?i)([a-z]:\\+users\\+)(?:defaultuser0|public|default)?[^\\\s"<]*`), "${1}<user>"},
	{regexp.MustCompile(`(?i)\{?\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b\}?`), "<guid>"},
	{regexp.MustCompile(`(?i)\b([0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b`), "<address>"},
}

// personal are the names of values that are personal, and what to write for them.
var personal = map[string]string{
	"serial": "<serial>", "serialnumber": "<serial>", "smbiossystemserialnumber": "<serial>", "deviceserialnumber": "<serial>",
	"user": "<user>", "username": "<user>", "upn": "<user>", "cloudassignedtenantupn": "<user>", "executingaccountname": "<user>", "useremail": "<user>",
	"tenantname": "<tenant>", "domainname": "<tenant>", "domain": "<tenant>", "tenantdomain": "<tenant>", "idpdomain": "<tenant>", "cloudassignedtenantdomain": "<tenant>", "aadtenantid": "<tenant>",
	"devicename": "<computer>", "computername": "<computer>", "hostname": "<computer>", "cloudassigneddevicename": "<computer>",
}

// common are values that are nobody's, and stand in many other places.
var common = map[string]bool{
	"none": true, "null": true, "true": true, "false": true, "system": true, "administrator": true, "defaultuser0": true, "not set": true,
	"workgroup": true, "windows": true, "desktop": true, "microsoft": true, "unknown": true, "default": true, "default string": true,
}

// learn has a word replaced. Short words stay, because they occur in others.
func (p *privacy) learn(word, with string) {
	word = strings.TrimSpace(word)
	if len(word) < 4 || len(word) > 200 || len(p.words) >= 1000 {
		return
	}
	if p.words == nil {
		p.words = map[string]string{}
	}
	p.words[word] = with
}

func (p *privacy) computer(name string) {
	if name, _, _ := strings.Cut(name, "."); name != "" {
		p.learn(name, "<computer>")
	}
	p.learn(name, "<computer>")
}

// value learns a value by its name.
func (p *privacy) value(name, value string) {
	if with := personal[normal(name)]; with != "" && !common[strings.ToLower(strings.TrimSpace(value))] {
		p.learn(value, with)
	}
}

// replacer returns a function that replaces what is personal in a text.
func (p *privacy) replacer() func(string) string {
	var list []string
	for w := range p.words {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) }) // the longest first
	var quoted []string
	for _, w := range list {
		quoted = append(quoted, regexp.QuoteMeta(w))
	}
	var learned *regexp.Regexp
	if len(quoted) > 0 {
		learned = regexp.MustCompile(`(?i)(` + strings.Join(quoted, "|") + `)`)
	}
	folded := map[string]string{}
	for w, with := range p.words {
		folded[strings.ToLower(w)] = with
	}
	seen := map[string]string{} // many entries of a time line have the same text
	return func(text string) string {
		if hidden, ok := seen[text]; ok {
			return hidden
		}
		s := text
		for _, x := range patterns[:3] {
			s = x.re.ReplaceAllString(s, x.with)
		}
		if learned != nil {
			s = learned.ReplaceAllStringFunc(s, func(w string) string { return folded[strings.ToLower(w)] })
		}
		for _, x := range patterns[3:] {
			s = x.re.ReplaceAllString(s, x.with)
		}
		seen[text] = s
		return s
	}
}

// report replaces what is personal in a report.
func (p *privacy) report(r *Report) {
	hide := p.replacer()
	for i := range r.Sources {
		s := &r.Sources[i]
		s.Name = hide(s.Name)
		for j := range s.Problems {
			s.Problems[j] = hide(s.Problems[j])
		}
	}
	for i := range r.Findings {
		for j := range r.Findings[i].Evidence {
			e := &r.Findings[i].Evidence[j]
			e.Text, e.File = hide(e.Text), hide(e.File)
		}
	}
	for i := range r.Timeline {
		e := &r.Timeline[i]
		e.Text, e.Detail, e.File = hide(e.Text), hide(e.Detail), hide(e.File)
	}
}
