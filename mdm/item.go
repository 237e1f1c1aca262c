package mdm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// An Item is an item of the context of an enrollment request, in which the
// device describes itself and the occasion ([MS-MDE2] section 3.4.4.1.1.1).
// Name is required; both are UTF-8 without control characters. A boolean is
// "true" or "false".
type Item struct{ Name, Value string }

// BoolItem returns an item with a boolean value.
func BoolItem(name string, value bool) Item { return Item{name, strconv.FormatBool(value)} }

// Names of items that are not made of a [Device] or an [Attestation].
const (
	ItemZeroTouch   = "ZeroTouchProvisioning" // GUID of the device's Autopilot registration (ZTDID)
	ItemWhiteGlove  = "WhiteGlove"            // boolean: the device is pre-provisioned for an Entra join
	ItemHybrid      = "WhiteGloveHybridJoin"  // boolean: the device is pre-provisioned for a hybrid join
	ItemSelfDeploy  = "PlugandForget"         // boolean: the device deploys itself, without a user
	ItemAzureVM     = "AzVMIAMExtensionJoin"  // boolean: the device is a virtual machine that an Azure extension has joined; not in [MS-MDE2]
	ItemNotInOOBE   = "NotInOobe"             // boolean: the device is past its first setup
	ItemUXInitiated = "UXInitiated"           // boolean: a user started the enrollment
	ItemAzureBlob   = "AzureAttestationBlob"  // token of Azure Attestation, base64; it excludes an Attestation

	itemAIKCert  = "AIKCert"
	itemAIKPub   = "AIKPub"
	itemAIKClaim = "AIKAttestationClaim"
	itemAADClaim = "AadAIKAttestationClaim"
	itemAADPub   = "AADPub"
	itemVersion  = "RequestVersion"
)

// places has the items in the order of Windows 11. Items that recordings of it
// do not show stand beside similar ones, and the attestation stands first.
var places = []string{
	itemAIKPub, itemAIKClaim, itemAIKCert, itemAADPub, itemAADClaim, ItemAzureBlob, "AIKAlgorithm",
	ItemUXInitiated, "HWDevID", "Locale", "TargetedUserLoggedIn", "OSEdition", "DeviceName", "MAC", "IMEI", "DeviceID",
	"EnrollmentType", "DeviceType", "OSVersion", "ApplicationVersion", ItemNotInOOBE,
	ItemZeroTouch, "OfflineAutoPilotEnrollmentCorrelator", ItemSelfDeploy, ItemWhiteGlove, ItemHybrid,
	ItemAzureVM, "BulkAADJ", "BootstrapDomainJoin", "DomainName", "ExternalMgmtAgentHint", "EnrollmentData",
	"Manufacturer", "DeviceModel", "SerialNumber", "EmmDeviceId", itemVersion,
	"AttestationStatus", "AttestationStatusHResult", "AzureAttestationCorrelationVector",
}

// since returns the version from which on servers are sent an item. Older servers
// may refuse items that they do not know.
func since(name string) int {
	switch name {
	case itemAIKCert, itemAIKPub, itemAIKClaim, itemAADClaim, itemAADPub, "EmmDeviceId", itemVersion:
		return 5
	case ItemAzureBlob:
		return 6
	case "AttestationStatus", "AttestationStatusHResult", "AzureAttestationCorrelationVector":
		return 7
	case "AIKAlgorithm":
		return 9
	}
	return 0
}

// booleans are the items whose value is true or false.
var booleans = []string{
	ItemWhiteGlove, ItemHybrid, ItemSelfDeploy, ItemAzureVM, ItemNotInOOBE, ItemUXInitiated,
	"TargetedUserLoggedIn", "BulkAADJ", "BootstrapDomainJoin", "ExternalMgmtAgentHint",
}

// items returns the items made of the device and extra, in the order of
// Windows; unknown ones follow in the order of extra. An extra item takes the
// place of one made of the device that has the same name. Items that are too
// new for the server's version are left out.
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
		return nil, errors.New("context item DeviceID is taken from Device.ID and must not be given")
	}
	if named[ItemAzureBlob] && (named[itemAIKCert] || named[itemAIKPub] || named[itemAIKClaim] || named[itemAADClaim] || named[itemAADPub]) {
		return nil, fmt.Errorf("context item %s excludes the other attestation items", ItemAzureBlob)
	}
	own := slices.DeleteFunc(d.own(version), func(i Item) bool { return named[i.Name] })
	all := slices.DeleteFunc(append(own, extra...), func(i Item) bool { return since(i.Name) > level })
	slices.SortStableFunc(all, func(a, b Item) int { return cmp.Compare(place(a), place(b)) })
	return all, nil
}

// place returns the rank of an item in the order of Windows.
func place(i Item) int {
	if n := slices.Index(places, i.Name); n >= 0 {
		return n
	}
	return len(places)
}

// own returns the items that every server expects, and what else d tells.
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

// check returns an error if an item cannot be sent or has a value of the wrong
// kind.
func (i Item) check() error {
	switch {
	case i.Name == "" || !writable(i.Name) || !writable(i.Value):
		return fmt.Errorf("context item %.40q has an empty name or characters that XML cannot hold", i.Name)
	case slices.Contains(booleans, i.Name) && !strings.EqualFold(i.Value, "true") && !strings.EqualFold(i.Value, "false"):
		return fmt.Errorf("context item %s is %.40q, neither true nor false", i.Name, i.Value)
	case i.Name == ItemZeroTouch && !wire.IsGUID(i.Value):
		return fmt.Errorf("context item %s is %.60q, not a GUID", i.Name, i.Value)
	}
	return nil
}

// has reports whether items has a boolean item that is true.
func has(items []Item, name string) bool {
	return slices.ContainsFunc(items, func(i Item) bool { return i.Name == name && strings.EqualFold(i.Value, "true") })
}

// contextItems returns an AdditionalContext element without white space between
// its parts, because servers read it with patterns that allow none.
func contextItems(items []Item) string {
	var b strings.Builder
	b.WriteString(`<ac:AdditionalContext xmlns="` + nsContext + `">`)
	for _, item := range items {
		b.WriteString(`<ac:ContextItem Name="` + escape(item.Name) + `"><ac:Value>` + escape(item.Value) + `</ac:Value></ac:ContextItem>`)
	}
	b.WriteString(`</ac:AdditionalContext>`)
	return b.String()
}
