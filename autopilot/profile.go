package autopilot

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/whiteglove/whiteglove/internal/wide"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/internal/ztd"
)

// A Profile is a deployment profile as a device has it: in the file
// AutopilotDDSZTDFile.json, in which Windows keeps what it downloaded, and in
// AutopilotConfigurationFile.json, with which an administrator gives a profile to a
// device that is not registered ("existing devices"). The comments say which file
// has a field, and how the field is known. A field that is not in a file is zero.
type Profile struct {
	// TenantID is a GUID and TenantDomain the initial domain (both files,
	// CloudAssignedTenantId and CloudAssignedTenantDomain, documented).
	TenantID     string
	TenantDomain string

	// User is the user principal name of the user to whom the device is assigned;
	// empty if there is none (downloaded, CloudAssignedTenantUpn, documented). In
	// a file for existing devices it is part of ServerData.
	User string

	// RegistrationID is the ZTDID: the device's registration (downloaded,
	// ZtdRegistrationId, observed).
	RegistrationID string

	// DeviceID is the identifier of the object that the service created in the
	// directory; the device should have it once it has joined (downloaded,
	// AadDeviceId, observed; that it is kept is inferred).
	DeviceID string

	// CorrelationID identifies the download (downloaded,
	// AutopilotServiceCorrelationId, observed).
	CorrelationID string

	// ProfileID is the profile's identifier, a GUID (offline, ZtdCorrelationId,
	// documented).
	ProfileID string

	Name     string // of the profile (downloaded, DeploymentProfileName, observed)
	Explicit bool   // assigned to the device's group, not the default (downloaded, IsExplicitProfileAssignment, observed)

	// OOBEConfig is a set of bits (both, CloudAssignedOobeConfig; up to 16
	// documented, others observed). [Profile.Plan] tells what they mean.
	OOBEConfig int

	// DomainJoin is 0 for a join to Microsoft Entra, 1 for one to Active Directory
	// (both, CloudAssignedDomainJoinMethod, documented).
	DomainJoin int

	// ForcedEnrollment has setup insist on management (both,
	// CloudAssignedForcedEnrollment, documented).
	ForcedEnrollment bool

	// DeviceName is a template for the computer name, which may have the macros
	// %SERIAL% and %RAND:n% (both, CloudAssignedDeviceName, documented).
	DeviceName string

	ManagementID string // identifier of the management application, a GUID (downloaded, CloudAssignedMdmId, observed)

	Language string // of Windows, such as "de-DE" or "os-default" (both, CloudAssignedLanguage, documented)
	Region   string // likewise (both, CloudAssignedRegion, documented)

	UpdateDisabled bool          // Autopilot does not update itself (both, CloudAssignedAutopilotUpdateDisabled, documented)
	UpdateTimeout  time.Duration // for such an update (both, CloudAssignedAutopilotUpdateTimeout in milliseconds, documented)

	SkipDCCheck        bool // joins Active Directory without reaching it (both, HybridJoinSkipDCConnectivityCheck, documented)
	PrivacyDiagnostics int  // answer of the privacy page (downloaded, CloudAssignedPrivacyDiagnostics, observed)
	TelemetryLevel     int  // likewise (downloaded, CloudAssignedTelemetryLevel, observed)

	Downloaded time.Time // when, by the device's clock (downloaded, PolicyDownloadDate, observed)

	// ServerData repeats tenant, user and enrollment as a JSON text within the
	// JSON (offline, CloudAssignedAadServerData, documented). [Profile.Offline]
	// computes it if it is empty. [Profile.Plan] takes domain and user from it if
	// TenantDomain and User are empty.
	ServerData string

	Version int    // of the format, 2049, or 0 if the file does not say (offline, Version, documented)
	Comment string // for readers (offline, Comment_File, documented)

	// Other are fields that this package does not know. They are written as they
	// were read.
	Other map[string]json.RawMessage

	present map[string]bool // names of fields that were read, of known ones, too
	found   findings        // about the file's encoding
}

// A profileField ties a name in JSON to a field.
type profileField struct {
	name  string
	field func(p *Profile) any // a pointer to the field
}

// profileFields are all known fields in the order in which they are written.
var profileFields = []profileField{
	{"AutopilotServiceCorrelationId", func(p *Profile) any { return &p.CorrelationID }},
	{"ZtdRegistrationId", func(p *Profile) any { return &p.RegistrationID }},
	{"AadDeviceId", func(p *Profile) any { return &p.DeviceID }},
	{"CloudAssignedTenantId", func(p *Profile) any { return &p.TenantID }},
	{"CloudAssignedTenantDomain", func(p *Profile) any { return &p.TenantDomain }},
	{"CloudAssignedTenantUpn", func(p *Profile) any { return &p.User }},
	{"CloudAssignedDeviceName", func(p *Profile) any { return &p.DeviceName }},
	{"CloudAssignedOobeConfig", func(p *Profile) any { return &p.OOBEConfig }},
	{"CloudAssignedDomainJoinMethod", func(p *Profile) any { return &p.DomainJoin }},
	{"CloudAssignedForcedEnrollment", func(p *Profile) any { return &p.ForcedEnrollment }},
	{"CloudAssignedMdmId", func(p *Profile) any { return &p.ManagementID }},
	{"DeploymentProfileName", func(p *Profile) any { return &p.Name }},
	{"IsExplicitProfileAssignment", func(p *Profile) any { return (*plainBool)(&p.Explicit) }},
	{"CloudAssignedLanguage", func(p *Profile) any { return &p.Language }},
	{"CloudAssignedRegion", func(p *Profile) any { return &p.Region }},
	{"CloudAssignedAutopilotUpdateDisabled", func(p *Profile) any { return &p.UpdateDisabled }},
	{"CloudAssignedAutopilotUpdateTimeout", func(p *Profile) any { return &p.UpdateTimeout }},
	{"CloudAssignedPrivacyDiagnostics", func(p *Profile) any { return &p.PrivacyDiagnostics }},
	{"CloudAssignedTelemetryLevel", func(p *Profile) any { return &p.TelemetryLevel }},
	{"HybridJoinSkipDCConnectivityCheck", func(p *Profile) any { return &p.SkipDCCheck }},
	{"PolicyDownloadDate", func(p *Profile) any { return &p.Downloaded }},
	{"CloudAssignedAadServerData", func(p *Profile) any { return &p.ServerData }},
	{"ZtdCorrelationId", func(p *Profile) any { return &p.ProfileID }},
	{"Version", func(p *Profile) any { return &p.Version }},
	{"Comment_File", func(p *Profile) any { return &p.Comment }},
}

// plainBool is a field that JSON has as true or false, not as 1 or 0.
type plainBool bool

// maxProfile limits a profile, in bytes. Real ones have under 2000.
const maxProfile = 256 << 10

// ParseProfile reads a profile file of either kind: JSON in ASCII, UTF-8 or
// UTF-16. Numbers may be texts. Fields of other types than expected are kept in
// Other.
//
// The error is an [*Error]. It wraps [ErrMalformed] if the file is no JSON object or
// longer than 256 KiB, and [ErrNoProfile] if the file names no tenant, as it does
// until a profile is assigned; it has a Code and a Name if the file is what Windows
// keeps of the service's refusal.
func ParseProfile(file []byte) (*Profile, error) {
	p, err := parseProfile(file)
	if err != nil {
		var refusal *Error
		if e, ok := err.(*Error); ok {
			refusal = e
		} else {
			refusal = &Error{Err: err}
		}
		refusal.Op = "ParseProfile"
		return nil, refusal
	}
	return p, nil
}

// UnmarshalJSON reads a profile as [ParseProfile] does. The error is an [*Error] that
// wraps [ErrMalformed] or [ErrNoProfile] or has a Code.
func (p *Profile) UnmarshalJSON(file []byte) error {
	read, err := ParseProfile(file)
	if err != nil {
		return err
	}
	*p = *read
	return nil
}

// parseProfile is ParseProfile with errors that wrap a sentinel or are an *Error
// without an Op.
func parseProfile(file []byte) (*Profile, error) {
	if len(file) > maxProfile {
		return nil, malformed("a profile of %d bytes is too long", len(file))
	}
	p := &Profile{present: map[string]bool{}}
	file = p.decode(file)
	if len(bytes.TrimSpace(file)) == 0 {
		return nil, fmt.Errorf("%w: the file is empty", ErrNoProfile)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(file, &fields); err != nil {
		return nil, malformed("%w", err)
	}
	if refusal := refusal(fields); refusal != nil {
		return nil, refusal
	}
	for _, f := range profileFields {
		if raw, ok := fields[f.name]; ok && setField(f.field(p), raw) {
			p.present[f.name] = true
			delete(fields, f.name)
		}
	}
	if len(fields) > 0 {
		p.Other = fields
	}
	if p.TenantID == "" && p.TenantDomain == "" && p.serverData().Domain == "" {
		if len(p.present) == 0 {
			return nil, fmt.Errorf("%w: the JSON has no field of a profile", ErrNoProfile)
		}
		return nil, fmt.Errorf("%w: the profile names no tenant", ErrNoProfile)
	}
	return p, nil
}

// decode returns a file as UTF-8, and notes how it was encoded.
func (p *Profile) decode(file []byte) []byte {
	decode := func(order binary.ByteOrder, b []byte) []byte {
		p.found.add(true, true, "utf-16", "the file is UTF-16")
		return wide.Decode(b, order)
	}
	switch {
	case bytes.HasPrefix(file, []byte{0xFF, 0xFE}):
		return decode(binary.LittleEndian, file[2:])
	case bytes.HasPrefix(file, []byte{0xFE, 0xFF}):
		return decode(binary.BigEndian, file[2:])
	case bytes.HasPrefix(file, []byte("{\x00")):
		return decode(binary.LittleEndian, file)
	}
	if rest, ok := bytes.CutPrefix(file, []byte("\xEF\xBB\xBF")); ok {
		p.found.add(true, true, "byte-order-mark", "the file starts with a byte order mark")
		file = rest
	}
	p.found.add(bytes.ContainsFunc(file, func(r rune) bool { return r > unicode.MaxASCII }), true, "not-ascii", "the file is not ASCII")
	return file
}

// refusal returns the service's refusal if the object is one, without an Op.
func refusal(fields map[string]json.RawMessage) *Error {
	var code int
	if raw, ok := fields["ErrorCode"]; !ok || !setField(&code, raw) || code == 0 {
		return nil
	}
	e := &Error{Code: code, Name: ztd.Name(code)}
	setField(&e.Name, fields["ErrorReason"])
	setField(&e.RequestID, fields["AutopilotServiceCorrelationId"])
	setField(&e.Message, fields["ErrorMessage"])
	e.Name, e.RequestID, e.Message = wire.Words(e.Name), wire.Words(e.RequestID), wire.Words(e.Message)
	return e
}

// setField reads a JSON value into a field. It returns false if the value does not
// fit.
func setField(field any, raw json.RawMessage) bool {
	if len(raw) == 0 {
		return false
	}
	var s string
	isText := json.Unmarshal(raw, &s) == nil && raw[0] == '"'
	if !isText {
		s = string(raw)
	}
	switch f := field.(type) {
	case *string:
		if isText {
			*f = s
		}
		return isText || s == "null"
	case *int:
		n, err := strconv.ParseInt(s, 10, 32)
		*f = int(n)
		return err == nil
	case *bool:
		return setBool(f, s)
	case *plainBool:
		return setBool((*bool)(f), s)
	case *time.Duration:
		n, err := strconv.ParseUint(s, 10, 32)
		*f = time.Duration(n) * time.Millisecond
		return err == nil
	case *time.Time:
		t, err := time.Parse(time.RFC3339, s)
		if err != nil || t.UTC().Format(time.RFC3339) != s {
			return false // it would not be written as it was read
		}
		*f = t
		return true
	}
	return false
}

func setBool(f *bool, s string) bool {
	switch strings.ToLower(s) {
	case "1", "true":
		*f = true
	case "0", "false":
		*f = false
	default:
		return false
	}
	return true
}

// MarshalJSON writes the fields that are not zero or were in the file that was
// read, and Other, in a fixed order. The error wraps that of a value in Other which
// is not JSON.
func (p *Profile) MarshalJSON() ([]byte, error) {
	return p.write(func(name string, zero bool) bool { return !zero || p.present[name] })
}

// write writes the known fields that a function chooses, then Other.
func (p *Profile) write(want func(name string, zero bool) bool) ([]byte, error) {
	var b bytes.Buffer
	add := func(name string, raw []byte) error {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(asciiText(name) + ":")
		return json.Compact(&b, raw)
	}
	for _, f := range profileFields {
		raw, zero := fieldJSON(f.field(p))
		if !want(f.name, zero) {
			continue
		}
		if err := add(f.name, []byte(raw)); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Other)) {
		if err := add(name, p.Other[name]); err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
	}
	return slices.Concat([]byte("{"), b.Bytes(), []byte("}")), nil
}

// fieldJSON returns the value of a field, and whether it is zero.
func fieldJSON(field any) (raw string, zero bool) {
	number := func(n int64) (string, bool) { return strconv.FormatInt(n, 10), n == 0 }
	switch f := field.(type) {
	case *string:
		return asciiText(*f), *f == ""
	case *int:
		return number(int64(*f))
	case *bool:
		if *f {
			return "1", false
		}
		return "0", true
	case *plainBool:
		return strconv.FormatBool(bool(*f)), !bool(*f)
	case *time.Duration:
		return number(f.Milliseconds())
	case *time.Time:
		return asciiText(f.UTC().Format(time.RFC3339)), f.IsZero()
	}
	return "null", true
}

// asciiText returns a JSON text in which everything beyond ASCII is escaped.
func asciiText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		default:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}
