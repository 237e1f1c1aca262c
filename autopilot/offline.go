package autopilot

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// offlineVersion is the Version of profiles in files (documented).
const offlineVersion = 2049

// offlineAlways are the fields that a file has even if they are zero.
var offlineAlways = []string{
	"CloudAssignedTenantId", "CloudAssignedTenantDomain", "CloudAssignedForcedEnrollment", "CloudAssignedAadServerData",
	"CloudAssignedDomainJoinMethod", "CloudAssignedOobeConfig", "Version", "Comment_File", "ZtdCorrelationId",
}

// offlineNever are the fields that only the service gives.
var offlineNever = []string{
	"AutopilotServiceCorrelationId", "ZtdRegistrationId", "AadDeviceId", "CloudAssignedTenantUpn",
	"CloudAssignedMdmId", "DeploymentProfileName", "IsExplicitProfileAssignment", "CloudAssignedPrivacyDiagnostics",
	"CloudAssignedTelemetryLevel", "PolicyDownloadDate",
}

// serverData is what CloudAssignedAadServerData holds.
type serverData struct {
	Domain           string `json:"CloudAssignedTenantDomain"`
	User             string `json:"CloudAssignedTenantUpn"`
	ForcedEnrollment *int   `json:"ForcedEnrollment"` // nil: it does not say
}

// serverData returns what ServerData says; nothing if it cannot be read.
func (p *Profile) serverData() serverData {
	data, _ := p.readServerData()
	return data
}

func (p *Profile) readServerData() (serverData, error) {
	var v struct{ ZeroTouchConfig serverData }
	if err := json.Unmarshal([]byte(p.ServerData), &v); err != nil {
		return serverData{}, err
	}
	return v.ZeroTouchConfig, nil
}

// domain returns the tenant's domain, from ServerData if need be.
func (p *Profile) domain() string { return or(p.TenantDomain, p.serverData().Domain) }

// Offline returns the profile as the file AutopilotConfigurationFile.json, which
// Windows reads from C:\Windows\Provisioning\Autopilot on a device that is not
// registered. It is ASCII, because Windows does not read it otherwise
// (documented). Fields that only the service gives are left out; Version, Comment
// and ServerData are filled in if they are empty.
//
// The error is an [*Error]. It wraps [ErrRefused] if the profile lacks the tenant's
// identifier and domain, if an identifier is not a GUID, if the profile is for
// self-deploying mode, which needs a registered device (documented), or if the name
// template is not allowed.
func (p *Profile) Offline() ([]byte, error) {
	own := *p
	if own.Version == 0 {
		own.Version = offlineVersion
	}
	if own.Comment == "" {
		own.Comment = "Profile " + or(own.Name, own.ProfileID)
	}
	if own.ServerData == "" {
		own.ServerData = own.makeServerData()
	}
	for _, f := range own.lintOffline() {
		if f.Refused {
			return nil, &Error{Op: "Offline", Err: fmt.Errorf("%w: %s", ErrRefused, f.Detail)}
		}
	}
	compact, err := own.write(func(name string, zero bool) bool {
		return !slices.Contains(offlineNever, name) && (!zero || slices.Contains(offlineAlways, name) || p.present[name])
	})
	if err != nil {
		return nil, &Error{Op: "Offline", Err: fmt.Errorf("%w: %w", ErrRefused, err)}
	}
	var fields json.RawMessage = compact
	out, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		return nil, &Error{Op: "Offline", Err: fmt.Errorf("%w: %w", ErrRefused, err)}
	}
	return append([]byte(asciiJSON(out)), '\n'), nil
}

// asciiJSON escapes what Other may have beyond ASCII. Outside of texts JSON is
// ASCII, so that escaping each character is right.
func asciiJSON(b []byte) string {
	var out strings.Builder
	for _, r := range string(b) {
		if r < 0x80 {
			out.WriteRune(r)
			continue
		}
		s := asciiText(string(r))
		out.WriteString(s[1 : len(s)-1])
	}
	return out.String()
}

// makeServerData returns what ServerData should be.
func (p *Profile) makeServerData() string {
	forced := 0
	if p.ForcedEnrollment {
		forced = 1
	}
	return fmt.Sprintf(`{"ZeroTouchConfig":{"CloudAssignedTenantUpn":%s,"ForcedEnrollment":%d,"CloudAssignedTenantDomain":%s}}`,
		asciiText(p.User), forced, asciiText(p.TenantDomain))
}

// Lint returns what keeps a profile from working, and what surprises people. The
// findings are
//
//	utf-16             refused in a file for existing devices: it is UTF-16 (documented)
//	byte-order-mark    refused in such a file: it starts with a byte order mark (documented)
//	not-ascii          refused in such a file: it is not ASCII (documented)
//	no-tenant          refused in such a file: tenant identifier or domain are missing
//	bad-guid           refused in such a file: an identifier is not a GUID, or has braces (documented; Windows logs event 313)
//	self-deploying     refused in such a file: the mode needs a registered device (documented)
//	version            the Version of such a file is there, and not 2049
//	server-data        ServerData says something else than the other fields
//	name-template      refused  the template of the name is not allowed (documented)
//	hybrid-name        a template has no effect with a join to Active Directory (documented)
//	hybrid-user        an assigned user has joins to Active Directory fail (0x80070774, documented)
//	hidden-start       region and keyboard are preset, so that pre-provisioning cannot be started (reported)
//	no-enrollment      setup does not insist on management
//	unknown-bits       OOBEConfig has bits that this package does not know
//	unknown-join       DomainJoin is neither 0 nor 1
//	unknown-field      a field that this package does not know, or whose value is of another kind
func (p *Profile) Lint() []Finding {
	var f findings
	offline := p.isOffline()
	for _, found := range p.found {
		found.Refused, found.Remedy = offline, remedyRewrite
		f = append(f, found)
	}
	if offline {
		f = append(f, p.lintOffline()...)
	} else {
		p.lintName(&f)
	}
	hybrid := p.DomainJoin == joinAD
	f.add(hybrid && p.DeviceName != "", false, "hybrid-name", "the template %q has no effect: management names a device of Active Directory", p.DeviceName)
	f.add(hybrid && p.User != "", false, "hybrid-user", "a user is assigned, with whom a join to Active Directory fails")
	f.add(!offline && p.Region != "" && p.bit(oobeSkipKeyboard), false, "hidden-start", "region and keyboard are preset: pre-provisioning cannot be started")
	f.add(!p.ForcedEnrollment, false, "no-enrollment", "setup does not insist on management")
	f.add(p.OOBEConfig&^oobeKnown != 0, false, "unknown-bits", "CloudAssignedOobeConfig has the unknown bits %d", p.OOBEConfig&^oobeKnown)
	f.add(p.DomainJoin != 0 && !hybrid, false, "unknown-join", "CloudAssignedDomainJoinMethod is %d", p.DomainJoin)
	p.lintOther(&f)
	return f
}

// lintOther names the fields that are not known, and those whose value is of another kind.
func (p *Profile) lintOther(f *findings) {
	var unknown, odd []string
	for _, name := range slices.Sorted(maps.Keys(p.Other)) {
		list := &unknown
		if slices.ContainsFunc(profileFields, func(f profileField) bool { return f.name == name }) {
			list = &odd
		}
		*list = append(*list, strconv.Quote(name))
	}
	f.add(len(unknown) > 0, false, "unknown-field", "not known: %s", some(unknown))
	f.add(len(odd) > 0, false, "unknown-field", "the value is not of the kind that it should be: %s", some(odd))
}

// some returns the first of some words.
func some(words []string) string {
	const most = 5
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}

func (p *Profile) lintName(f *findings) {
	if p.DeviceName == "" {
		return
	}
	_, err := p.ComputerName("SERIAL0")
	f.add(err != nil, true, "name-template", "the template %q is not allowed", p.DeviceName)
}

// lintOffline returns the findings of a file for existing devices.
func (p *Profile) lintOffline() findings {
	var f findings
	f.add(p.TenantID == "" || p.TenantDomain == "", true, "no-tenant", "the tenant's identifier or domain is missing")
	for _, id := range []struct{ name, value string }{
		{"CloudAssignedTenantId", p.TenantID}, {"ZtdCorrelationId", p.ProfileID},
	} {
		f.add(id.value != "" && !wire.IsGUID(id.value), true, "bad-guid", "%s is %q", id.name, id.value)
	}
	f.add(p.ProfileID == "", true, "bad-guid", "ZtdCorrelationId is missing")
	f.add(p.bit(oobeAttest) || p.bit(oobeDeviceToken), true, "self-deploying", "self-deploying mode needs a registered device")
	f.add(p.Version != 0 && p.Version != offlineVersion, false, "version", "Version is %d, not %d", p.Version, offlineVersion)
	p.lintName(&f)
	z, err := p.readServerData()
	f.add(err != nil || !strings.EqualFold(z.Domain, p.TenantDomain) || z.ForcedEnrollment != nil && (*z.ForcedEnrollment != 0) != p.ForcedEnrollment ||
		!strings.EqualFold(z.User, p.User) && p.User != "",
		false, "server-data", "CloudAssignedAadServerData does not say what the other fields say")
	return f
}
