package omadm

import (
	"cmp"
	"context"
	"runtime"
	"strings"

	"github.com/whiteglove/whiteglove/internal/syncml"
	"github.com/whiteglove/whiteglove/mdm"
)

// devInfo are the nodes below ./DevInfo, in the order in which the first
// message of a session has them ([MS-MDM]).
var devInfo = []string{"DevId", "Man", "Mod", "DmV", "Lang"}

// SetDevice fills ./DevInfo and ./DevDetail from a description of the device.
// Nodes for what it does not tell, such as SMBIOSSerialNumber, are left out.
// Nodes that exist already keep their values, except ./DevInfo/DevId, so that a
// caller may set the manufacturer, for example. Servers may only read these
// nodes, unless the caller has given them a handler. Every session calls
// SetDevice, so callers need not.
func (t *Tree) SetDevice(d mdm.Device) {
	d = d.WithDefaults()
	architecture := map[string]string{"386": "0", "arm": "5", "arm64": "12"}[runtime.GOARCH]
	for _, n := range []struct{ uri, format, data string }{
		{"./DevInfo/Man", "", cmp.Or(d.Manufacturer, "Unknown")},
		{"./DevInfo/Mod", "", cmp.Or(d.Model, "Unknown")},
		{"./DevInfo/DmV", "", "1.3"},
		{"./DevInfo/Lang", "", cmp.Or(d.Locale, "en-US")},
		{"./DevDetail/SwV", "", d.OSVersion},
		{"./DevDetail/FwV", "", "Unknown"},
		{"./DevDetail/HwV", "", "Unknown"},
		{"./DevDetail/OEM", "", cmp.Or(d.Manufacturer, "Unknown")},
		{"./DevDetail/DevTyp", "", d.Type},
		{"./DevDetail/LrgObj", "bool", "false"},
		{"./DevDetail/URI/MaxDepth", "int", "0"},
		{"./DevDetail/URI/MaxTotLen", "int", "0"},
		{"./DevDetail/URI/MaxSegLen", "int", "0"},
		{"./DevDetail/Ext/Microsoft/DeviceName", "", d.Name},
		{"./DevDetail/Ext/Microsoft/DNSComputerName", "", d.Name},
		{"./DevDetail/Ext/Microsoft/SMBIOSSerialNumber", "", d.Serial},
		{"./DevDetail/Ext/Microsoft/AADDeviceID", "", d.DirectoryID},
		{"./DevDetail/Ext/DeviceHardwareData", "", d.HardwareHash},
		{"./DevDetail/Ext/Microsoft/OSPlatform", "", "Windows"},
		{"./DevDetail/Ext/Microsoft/ProcessorArchitecture", "int", cmp.Or(architecture, "9")},
	} {
		if _, there := t.Get(n.uri); !there && n.data != "" {
			t.Set(n.uri, Value{Format: n.format, Data: n.data})
		}
	}
	t.Set("./DevInfo/DevId", Value{Data: d.ID})
	t.handleOnce("./DevInfo", ReadOnly)
	t.handleOnce("./DevDetail", ReadOnly)
}

// handleOnce is [Tree.Handle], unless this LocURI has a handler already.
func (t *Tree) handleOnce(uri string, h Handler) {
	pattern, _ := splitPath(uri)
	t.mu.Lock()
	for _, there := range t.handlers {
		if strings.Join(there.pattern, "/") == strings.Join(pattern, "/") {
			t.mu.Unlock()
			return
		}
	}
	t.mu.Unlock()
	t.Handle(uri, h)
}

// ReadOnly is a [Handler] that lets a server read nodes and nothing else: any
// other command about them gets status 405.
func ReadOnly(_ context.Context, op *Operation) int {
	if op.Command != syncml.Get {
		return syncml.StatusNotAllowed
	}
	return 0
}

// Apply stores what a provisioning document sets besides the account and the
// certificates, such as the first settings of the enrollment status page. Each
// parameter becomes a value below ./Device/Vendor/MSFT. Parameters that no
// LocURI can name, or for which the tree has no room, are left out.
func (t *Tree) Apply(d *mdm.Document) {
	for _, c := range d.Characteristics {
		if !strings.EqualFold(c.Type, "APPLICATION") && !strings.EqualFold(c.Type, "CertificateStore") {
			t.apply([]string{rootDevice, "Vendor", "MSFT", c.Type}, c)
		}
	}
}

// formats has the formats of nodes by the data types of parameters.
var formats = map[string]string{"integer": "int", "boolean": "bool", "binary": "b64"}

// apply stores the parameters at and below c, whose path is names.
func (t *Tree) apply(names []string, c *mdm.Characteristic) {
	if c.Removed {
		t.Delete(joinPath(names))
		return
	}
	for _, p := range c.Parms {
		t.Set(joinPath(append(names[:len(names):len(names)], p.Name)),
			Value{Format: formats[strings.ToLower(p.DataType)], Data: p.Value})
	}
	for _, sub := range c.Characteristics {
		t.apply(append(names[:len(names):len(names)], sub.Type), sub)
	}
}
