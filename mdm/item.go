package mdm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// An Item is an item of a request's context ([MS-MDE2] section 3.4.4.1.1.1).
type Item struct{ Name, Value string }

// BoolItem returns an item with a boolean, "true" or "false".
func BoolItem(name string, value bool) Item { return Item{name, strconv.FormatBool(value)} }

// Names of items besides those that a [Device] and an [Attestation] fill.
const (
	ItemZeroTouch   = "ZeroTouchProvisioning" // GUID of the registered device
	ItemWhiteGlove  = "WhiteGlove"            // boolean: pre-provisioning
	ItemSelfDeploy  = "PlugandForget"         // boolean: self-deploying
	ItemNotInOOBE   = "NotInOobe"             // boolean
	ItemUXInitiated = "UXInitiated"           // boolean: a user asked for it
	ItemAzureBlob   = "AzureAttestationBlob"  // instead of the items of an Attestation

	itemAIKCert  = "AIKCert"
	itemAIKPub   = "AIKPub"
	itemAIKClaim = "AIKAttestationClaim"
	itemAADClaim = "AadAIKAttestationClaim"
	itemAADPub   = "AADPub"
	itemHybrid   = "WhiteGloveHybridJoin"
	itemVersion  = "RequestVersion"
)

// places has the items in the order of Windows 11. The order of those that its
// recordings do not have is ours: attestation, then at what is like them.
var places = index(
	itemAIKPub, itemAIKClaim, itemAIKCert, itemAADPub, itemAADClaim, ItemAzureBlob, "AIKAlgorithm",
	ItemUXInitiated, "HWDevID", "Locale", "TargetedUserLoggedIn", "OSEdition", "DeviceName", "MAC", "IMEI", "DeviceID",
	"EnrollmentType", "DeviceType", "OSVersion", "ApplicationVersion", ItemNotInOOBE,
	ItemZeroTouch, "OfflineAutoPilotEnrollmentCorrelator", ItemSelfDeploy, ItemWhiteGlove, itemHybrid,
	"BulkAADJ", "BootstrapDomainJoin", "DomainName", "ExternalMgmtAgentHint", "EnrollmentData",
	"Manufacturer", "DeviceModel", "SerialNumber", "EmmDeviceId", itemVersion,
	"AttestationStatus", "AttestationStatusHResult", "AzureAttestationCorrelationVector",
)

func index(names ...string) map[string]int {
	m := make(map[string]int, len(names))
	for i, name := range names {
		m[name] = i + 1
	}
	return m
}

// since has the items that only servers of a version (or later) are sent: older
// ones may refuse what they do not know.
var since = map[string]int{
	itemAIKCert: 5, itemAIKPub: 5, itemAIKClaim: 5, itemAADClaim: 5, itemAADPub: 5,
	"EmmDeviceId": 5, itemVersion: 5, ItemAzureBlob: 6,
	"AttestationStatus": 7, "AttestationStatusHResult": 7, "AzureAttestationCorrelationVector": 7, "AIKAlgorithm": 9,
}

var booleans = []string{
	ItemWhiteGlove, itemHybrid, ItemSelfDeploy, ItemNotInOOBE, ItemUXInitiated, "TargetedUserLoggedIn", "BulkAADJ", "BootstrapDomainJoin",
}

// items returns the device's own items and extra, in the order of Windows;
// unknown ones follow in the caller's. An extra item of the same name takes the
// place of the device's; one that the server is too old for is left out.
func (d Device) items(extra []Item, version string) ([]Item, error) {
	version = or(version, "3.0")
	level, err := major(version)
	if err != nil {
		return nil, err
	}
	named := make(map[string]bool)
	for _, item := range extra {
		if err := item.check(); err != nil {
			return nil, err
		}
		named[item.Name] = true
	}
	if named["DeviceID"] {
		return nil, errors.New("context item DeviceID is Device.ID and cannot be another")
	}
	if named[ItemAzureBlob] && (named[itemAIKCert] || named[itemAIKPub] || named[itemAIKClaim] || named[itemAADClaim] || named[itemAADPub]) {
		return nil, fmt.Errorf("context item %s excludes the other attestation items", ItemAzureBlob)
	}
	own := slices.DeleteFunc(d.own(version), func(i Item) bool { return named[i.Name] })
	all := slices.DeleteFunc(append(own, extra...), func(i Item) bool { return since[i.Name] > level })
	slices.SortStableFunc(all, func(a, b Item) int { return cmp.Compare(place(a), place(b)) })
	return all, nil
}

// place returns where an item stands among others.
func place(i Item) int {
	if n := places[i.Name]; n > 0 {
		return n
	}
	return len(places) + 1
}

// own returns the eight items that every server wants, and what else d has.
func (d Device) own(version string) []Item {
	all := []Item{
		{"HWDevID", d.HardwareID},
		{"OSEdition", strconv.Itoa(d.OSEdition)},
		{"DeviceName", d.Name},
		{"DeviceID", d.ID},
		{"EnrollmentType", d.EnrollmentType},
		{"DeviceType", d.Type},
		{"OSVersion", d.OSVersion},
		{"ApplicationVersion", d.ApplicationVersion},
		{itemVersion, version},
	}
	for _, mac := range d.MACs {
		all = append(all, Item{"MAC", mac})
	}
	for _, i := range []Item{
		{"Locale", d.Locale}, {"Manufacturer", d.Manufacturer}, {"DeviceModel", d.Model}, {"SerialNumber", d.Serial},
	} {
		if i.Value != "" {
			all = append(all, i)
		}
	}
	return all
}

func (i Item) check() error {
	switch {
	case i.Name == "" || !writable(i.Name) || !writable(i.Value):
		return fmt.Errorf("context item %.40q has no name or characters that XML cannot hold", i.Name)
	case slices.Contains(booleans, i.Name) && !strings.EqualFold(i.Value, "true") && !strings.EqualFold(i.Value, "false"):
		return fmt.Errorf("context item %s is %.40q, neither true nor false", i.Name, i.Value)
	case i.Name == ItemZeroTouch && !isGUID(i.Value):
		return fmt.Errorf("context item %s is %.60q, no GUID", i.Name, i.Value)
	}
	return nil
}

// isGUID reports whether s is like "3f0d6c1e-52a4-4b8e-9a57-1c2d7be04f69".
func isGUID(s string) bool {
	for i, r := range s {
		if hyphen := i == 8 || i == 13 || i == 18 || i == 23; hyphen != (r == '-') || !hyphen && !strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return false
		}
	}
	return len(s) == 36
}

// has reports whether a boolean item is true.
func has(items []Item, name string) bool {
	return slices.ContainsFunc(items, func(i Item) bool { return i.Name == name && strings.EqualFold(i.Value, "true") })
}

// contextItems writes items without any white space: servers read them with
// patterns that allow none.
func contextItems(items []Item) string {
	var b strings.Builder
	b.WriteString(`<ac:AdditionalContext xmlns="` + nsContext + `">`)
	for _, item := range items {
		b.WriteString(`<ac:ContextItem Name="` + escape(item.Name) + `"><ac:Value>` + escape(item.Value) + `</ac:Value></ac:ContextItem>`)
	}
	b.WriteString(`</ac:AdditionalContext>`)
	return b.String()
}
