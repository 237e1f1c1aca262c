package mdm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// An Item is an item of a request's context ([MS-MDE2] section 3.4.4.1.1.1).
type Item struct{ Name, Value string }

// Names of items that pre-provisioning sends besides those a [Device] fills.
// Booleans are written "true" and "false", bytes in base64.
const (
	ItemZeroTouch    = "ZeroTouchProvisioning"    // GUID of the registered device
	ItemWhiteGlove   = "WhiteGlove"               // boolean: pre-provisioning
	ItemSelfDeploy   = "PlugandForget"            // boolean: self-deploying
	ItemNotInOOBE    = "NotInOobe"                // boolean
	ItemAIKCert      = "AIKCert"                  // certificate of the attestation key
	ItemAIKPub       = "AIKPub"                   // its public key
	ItemAIKClaim     = "AIKAttestationClaim"      // over the management key
	ItemAADClaim     = "AadAIKAttestationClaim"   // over the device key
	ItemAADPub       = "AADPub"                   // public key of the device key
	ItemAzureBlob    = "AzureAttestationBlob"     // instead of the five above
	itemEmmDeviceID  = "EmmDeviceId"              // of an earlier enrollment
	itemRequest      = "RequestVersion"           // of the protocol
	itemStatus       = "AttestationStatus"        // text
	itemStatusResult = "AttestationStatusHResult" // text
)

// since has the items that only servers of a version (or later) are sent: older
// ones may refuse what they do not know.
var since = map[string]int{
	ItemAIKCert: 5, ItemAIKPub: 5, ItemAIKClaim: 5, ItemAADClaim: 5, ItemAADPub: 5,
	itemEmmDeviceID: 5, itemRequest: 5, ItemAzureBlob: 6, itemStatus: 7, itemStatusResult: 7,
}

// items returns the eight items that every server wants, in the order of
// Windows, then extra. An extra item of the same name takes the place of one of
// the eight; one that the server is too old for is left out.
func (d Device) items(extra []Item, version string) ([]Item, error) {
	level, err := major(or(version, "3.0"))
	if err != nil {
		return nil, err
	}
	own := []Item{
		{"HWDevID", d.HardwareID},
		{"OSEdition", strconv.Itoa(d.OSEdition)},
		{"DeviceName", d.Name},
		{"DeviceID", d.ID},
		{"EnrollmentType", d.EnrollmentType},
		{"DeviceType", d.Type},
		{"OSVersion", d.OSVersion},
		{"ApplicationVersion", d.ApplicationVersion},
	}
	named := make(map[string]bool)
	var more []Item
	for _, item := range extra {
		if err := item.check(); err != nil {
			return nil, err
		}
		if named[item.Name] = true; since[item.Name] <= level {
			more = append(more, item)
		}
	}
	if named["DeviceID"] {
		return nil, errors.New("context item DeviceID is Device.ID and cannot be another")
	}
	if named[ItemAzureBlob] && (named[ItemAIKCert] || named[ItemAIKPub] || named[ItemAIKClaim] || named[ItemAADClaim] || named[ItemAADPub]) {
		return nil, fmt.Errorf("context item %s excludes the other attestation items", ItemAzureBlob)
	}
	all := make([]Item, 0, len(own)+len(more))
	for _, item := range own {
		if !named[item.Name] {
			all = append(all, item)
		}
	}
	return append(all, more...), nil
}

func (i Item) check() error {
	if i.Name == "" || !writable(i.Name) || !writable(i.Value) {
		return fmt.Errorf("context item %.40q has no name or characters that XML cannot hold", i.Name)
	}
	return nil
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
