package autopilot

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// Bits of OOBEConfig. Those up to 16 are documented, the others were seen in code.
const (
	oobeSkipCortana   = 1
	oobeNotAdmin      = 2
	oobeSkipExpress   = 4
	oobeSkipOEM       = 8
	oobeSkipEULA      = 16
	oobeAttest        = 32
	oobeDeviceToken   = 64
	oobeRequireTPM    = 128
	oobeSkipUpgrade   = 256
	oobePatchDownload = 512
	oobeSkipKeyboard  = 1024
	oobeKnown         = 2*oobeSkipKeyboard - 1
)

// joinAD is the DomainJoin of a join to Active Directory.
const joinAD = 1

// A Plan says what a device with a profile does when it is set up. What is only
// known from code or reports is marked in the comments.
type Plan struct {
	// Mode is "user-driven" or, if the profile has the device attest its TPM and
	// join with its own token (observed bits 32 and 64), "self-deploying".
	Mode string `json:"mode"`

	// Hybrid is true if the device joins Active Directory first, and Microsoft
	// Entra through it.
	Hybrid bool `json:"hybrid"`

	Tenant string `json:"tenant"` // the identifier, else the domain
	User   string `json:"user,omitempty"`

	// DeviceName is the computer name. Random digits, which each device makes up
	// for itself, are "#"; it is empty if Windows makes up the whole name.
	DeviceName string `json:"deviceName,omitempty"`

	// Enroll is true if setup insists on management.
	Enroll bool `json:"enroll"`

	// Attest is true if the profile itself has the device prove its TPM.
	// Pre-provisioning has it prove its TPM in any case (observed).
	Attest bool `json:"attest"`

	// PreProvisioning says whether a technician can set the device up before its
	// user gets it ("white glove"), and if not, why. The profile does not say
	// whether the administrator allows it (observed).
	PreProvisioning string `json:"preProvisioning"`

	// SkippedPages are the pages of setup that do not appear.
	SkippedPages []string `json:"skippedPages,omitempty"`

	// Steps tell what happens, in order, in whole sentences.
	Steps []string `json:"steps"`
}

// bit reports whether OOBEConfig has a bit.
func (p *Profile) bit(n int) bool { return p.OOBEConfig&n != 0 }

// Plan tells what a device with this profile does, for a device with the SMBIOS
// serial number given; if that is empty, the macro stays in the name.
func (p *Profile) Plan(serial string) *Plan {
	plan := &Plan{
		Mode: "user-driven", Hybrid: p.DomainJoin == joinAD, Tenant: or(p.TenantID, p.domain()), User: or(p.User, p.serverData().User),
		Enroll: p.ForcedEnrollment, Attest: p.bit(oobeAttest),
	}
	if p.bit(oobeAttest) && p.bit(oobeDeviceToken) {
		plan.Mode = "self-deploying"
	}
	plan.DeviceName, _ = expandName(p.DeviceName, serial, func(n int) string { return strings.Repeat("#", n) })
	for _, page := range []struct {
		skipped bool
		name    string
	}{
		{p.Region != "", "region"},
		{p.Language != "", "language"},
		{p.bit(oobeSkipKeyboard), "keyboard"},
		{p.bit(oobeSkipEULA), "license terms"},
		{p.bit(oobeSkipExpress), "privacy settings"},
		{p.bit(oobeSkipOEM), "registration with the maker"},
		{p.bit(oobeSkipCortana), "Cortana"},
		{p.bit(oobeSkipUpgrade), "Windows upgrade"},
	} {
		if page.skipped {
			plan.SkippedPages = append(plan.SkippedPages, page.name)
		}
	}
	plan.PreProvisioning = p.preProvisioning(plan)
	plan.Steps = p.steps(plan)
	return plan
}

func (p *Profile) preProvisioning(plan *Plan) string {
	switch {
	case p.isOffline():
		return "not possible: a profile in a file does not allow it"
	case plan.Mode == "self-deploying":
		return "possible if the administrator allows it, but of little use: the device needs no user"
	case p.Region != "" && p.bit(oobeSkipKeyboard):
		return "cannot be started: region and keyboard are preset, so that the page on which the Windows key is pressed five times does not appear"
	case plan.Hybrid:
		return "possible if the administrator allows it, but the device does not join by its TPM then"
	}
	return "possible if the administrator allows it: press the Windows key five times on the first page"
}

func (p *Profile) steps(plan *Plan) []string {
	var steps []string
	say := func(ok bool, format string, args ...any) {
		if ok {
			steps = append(steps, fmt.Sprintf(format, args...))
		}
	}
	say(len(plan.SkippedPages) > 0, "Setup skips these pages: %s.", strings.Join(plan.SkippedPages, ", "))
	say(!p.UpdateDisabled, "Autopilot updates itself.")
	say(p.bit(oobePatchDownload), "Windows downloads patches.")
	say(plan.DeviceName != "", "The device takes the name %s and restarts.", plan.DeviceName)
	say(p.bit(oobeRequireTPM), "Setup stops without a TPM.")
	say(plan.Attest, "The device proves its TPM to Microsoft's services.")
	tenant := or(p.domain(), p.TenantID)
	switch {
	case plan.Hybrid:
		say(true, "The device gets a blob for an offline join of Active Directory from management, and joins.")
		say(!p.SkipDCCheck, "It waits until it reaches a domain controller.")
		say(true, "It registers with %s through its domain later.", tenant)
	case plan.Mode == "self-deploying":
		say(true, "The device joins %s by itself, with a token for its TPM.", tenant)
	default:
		say(plan.User == "", "A user of %s signs in, and the device joins in the user's name.", tenant)
		say(plan.User != "", "%s signs in, and the device joins %s in the user's name.", plan.User, tenant)
	}
	say(plan.Enroll, "The device enrolls in management%s; setup does not go on without.", suffix(p.ManagementID, " by application "))
	say(!plan.Enroll, "The device enrolls in management if the tenant has it so.")
	say(plan.Mode == "user-driven" && p.bit(oobeNotAdmin), "The user is no administrator of the device.")
	say(plan.Mode == "user-driven" && !p.bit(oobeNotAdmin), "The user is an administrator of the device.")
	return steps
}

// suffix returns before and s, or "" if s is empty.
func suffix(s, before string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// isOffline reports whether p is in a file that an administrator made.
func (p *Profile) isOffline() bool {
	return p.RegistrationID == "" && p.CorrelationID == "" && (p.Version != 0 || p.ServerData != "" || p.ProfileID != "")
}

// String returns the plan as text, a line for each fact and step, in a form for
// people that may change.
func (p *Plan) String() string {
	var b strings.Builder
	join := "Microsoft Entra"
	if p.Hybrid {
		join = "Active Directory, and Microsoft Entra through it"
	}
	for _, l := range [][2]string{
		{"mode", p.Mode}, {"join", join}, {"tenant", p.Tenant}, {"user", p.User}, {"name", p.DeviceName}, {"pre-provisioning", p.PreProvisioning},
	} {
		if l[1] != "" {
			fmt.Fprintf(&b, "%-17s %s\n", l[0], wire.Visible(l[1]))
		}
	}
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%17d %s\n", i+1, wire.Visible(s))
	}
	return b.String()
}

// maxName is the longest name of a computer (NetBIOS).
const maxName = 15

// ComputerName makes the device's name from the template DeviceName and the SMBIOS
// serial number, with digits from crypto/rand for %RAND:n%. The serial number loses
// what a name cannot have (inferred), and as many characters at its beginning as
// the name would be too long (from the documentation of the Accounts CSP, not
// checked again). It returns "" if there is no template.
//
// The error is an [*Error]. It wraps [ErrMalformed] if the template or the name is
// not allowed: over 15 characters, other characters than letters, digits and
// hyphens, digits only, an unknown macro, or a serial number that leaves nothing.
func (p *Profile) ComputerName(serial string) (string, error) {
	name, err := expandName(p.DeviceName, serial, randomDigits)
	if err == nil && p.DeviceName != "" {
		err = checkName(name)
	}
	if err != nil {
		return "", &Error{Op: "ComputerName", Err: err}
	}
	return name, nil
}

// randomDigits returns n random digits.
func randomDigits(n int) string {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	v, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return strings.Repeat("0", n) // crypto/rand never fails
	}
	return fmt.Sprintf("%0*s", n, v)
}

// expandName expands the macros of a template.
func expandName(template, serial string, random func(n int) string) (string, error) {
	const macroSerial = "%SERIAL%"
	if strings.Trim(template, " ") == "" {
		return "", nil
	}
	rest := template
	var b strings.Builder
	at := -1 // where the serial number goes
	for rest != "" {
		start := strings.IndexByte(rest, '%')
		if start < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:start])
		end := strings.IndexByte(rest[start+1:], '%')
		if end < 0 {
			return b.String() + rest[start:], malformed("the name template %q has a macro without end", template)
		}
		macro := rest[start : start+1+end+1]
		rest = rest[start+len(macro):]
		n, isRandom := strings.CutPrefix(strings.ToUpper(strings.Trim(macro, "%")), "RAND:")
		digits, err := strconv.Atoi(n)
		switch {
		case isRandom && err == nil && digits > 0 && digits <= maxName:
			b.WriteString(random(digits))
		case strings.EqualFold(macro, macroSerial) && serial == "":
			b.WriteString(macroSerial)
		case strings.EqualFold(macro, macroSerial) && at < 0:
			at = b.Len()
		default:
			return b.String() + macro + rest, malformed("the name template %q has the unknown macro %s", template, macro)
		}
	}
	name := b.String()
	if at >= 0 {
		serial = strings.Map(nameRune, serial)
		serial = serial[max(0, len(serial)-max(0, maxName-len(name))):]
		name = name[:at] + serial + name[at:]
	}
	return name, nil
}

// nameRune returns a character of a serial number that a name may have, or -1.
func nameRune(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' {
		return r
	}
	return -1
}

// checkName checks a computer name.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxName:
		return malformed("the name %q has %d characters, and 1 to %d are allowed", name, len(name), maxName)
	case strings.Map(nameRune, name) != name:
		return malformed("the name %q has other characters than letters, digits and hyphens", name)
	case strings.Trim(name, "0123456789") == "":
		return malformed("the name %q has digits only", name)
	}
	return nil
}
