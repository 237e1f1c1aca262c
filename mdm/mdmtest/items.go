package mdmtest

import (
	"errors"
	"regexp"
	"strings"
)

var (
	deviceID   = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)
	hardwareID = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
	anything   = regexp.MustCompile(`^.{1,255}$`)
	boolean    = regexp.MustCompile(`^(?i:true|false)$`)
	base64Text = regexp.MustCompile(`^[0-9A-Za-z+/]+={0,2}$`)
)

// required has the form of the items that every request must have once.
var required = map[string]*regexp.Regexp{
	"OSEdition": decimal, "OSVersion": fourNumbers, "ApplicationVersion": fourNumbers,
	"DeviceID": deviceID, "HWDevID": hardwareID, "DeviceName": anything,
	"DeviceType": regexp.MustCompile("^(" + strings.Join(deviceTypes, "|") + ")$"),
	// Full is for users.
	"EnrollmentType": regexp.MustCompile("^(Device|Full)$"),
}

// optional has the form of items that a request may have once.
var optional = map[string]*regexp.Regexp{
	"ZeroTouchProvisioning": guid, "WhiteGlove": boolean, "WhiteGloveHybridJoin": boolean, "PlugandForget": boolean,
	"AzVMIAMExtensionJoin": boolean, "NotInOobe": boolean, "UXInitiated": boolean, "ExternalMgmtAgentHint": boolean,
	"BulkAADJ": boolean, "BootstrapDomainJoin": boolean, "TargetedUserLoggedIn": boolean,
	"AIKCert": base64Text, "AIKPub": base64Text, "AIKAttestationClaim": base64Text,
	"AADPub": base64Text, "AadAIKAttestationClaim": base64Text,
	"RequestVersion": version,
}

// items are the values of the context items of a request, by name.
type items map[string][]string

// get returns the first value of an item, or "".
func (i items) get(name string) string {
	if len(i[name]) == 0 {
		return ""
	}
	return i[name][0]
}

func (i items) has(name string) bool { return len(i[name]) > 0 }

func (i items) isTrue(name string) bool { return strings.EqualFold(i.get(name), "true") }

// check returns an error if an item is missing, repeated or of another form.
func (i items) check() error {
	for name, form := range required {
		if len(i[name]) != 1 {
			return badItem("context item %s appears %d times", name, len(i[name]))
		}
		if !form.MatchString(i.get(name)) {
			return badItem("context item %s is %.100q", name, i.get(name))
		}
	}
	for name, form := range optional {
		switch {
		case len(i[name]) > 1:
			return badItem("context item %s appears %d times", name, len(i[name]))
		case i.has(name) && !form.MatchString(i.get(name)):
			return badItem("context item %s is %.100q", name, i.get(name))
		}
	}
	return nil
}

// checkKind returns an error if the items do not suit the caller, or the device
// is not registered although it must be. A device enrolls only by
// pre-provisioning, by self-deployment or as a virtual machine of Azure, and a
// user by neither of the first two. Only those two need a registration.
func (s *Server) checkKind(i items, who *caller) error {
	kind := i.isTrue("WhiteGlove") || i.isTrue("WhiteGloveHybridJoin") || i.isTrue("PlugandForget")
	if !who.user && (i.get("EnrollmentType") != "Device" || !kind && !i.isTrue("AzVMIAMExtensionJoin")) {
		return malformed("device based token is not supported for enrollment type UserCorporateWithAAD: it wants EnrollmentType Device, " +
			"and WhiteGlove, WhiteGloveHybridJoin, PlugandForget or AzVMIAMExtensionJoin")
	}
	if who.user && kind {
		return malformed("a user's credential is not supported for this enrollment type")
	}
	ztdID := strings.ToLower(i.get("ZeroTouchProvisioning"))
	if s.Registered != nil && (kind || ztdID != "") && (ztdID == "" || !s.Registered(ztdID)) {
		return &fault{subcode: authorizationFault, errorType: "DeviceNotSupported", reason: errors.New("device identifier not preregistered")}
	}
	return nil
}
