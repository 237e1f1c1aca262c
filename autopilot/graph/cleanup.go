package graph

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

// Collections outside of registration.
const (
	managedDevices   = "/deviceManagement/managedDevices"
	directoryDevices = "/devices"
)

// A ManagedDevice is a device in management (Intune).
type ManagedDevice struct {
	ID          string `json:"id"`
	Name        string `json:"deviceName"`
	Serial      string `json:"serialNumber"`
	DirectoryID string `json:"azureADDeviceId"` // the device identifier in the directory
	User        string `json:"userPrincipalName"`
}

// ManagedDevices yields the devices of management with a serial number. It needs
// the permission DeviceManagementManagedDevices.Read.All. A failure is the last pair.
// The error is an [*Error] that wraps the errors that all methods have; see
// [Client.Import].
func (c *Client) ManagedDevices(ctx context.Context, serial string) iter.Seq2[*ManagedDevice, error] {
	k := &call{op: opManaged, method: http.MethodGet, version: stable, path: managedDevices}
	k.query = url.Values{"$filter": {"serialNumber eq " + quote(serial)}}
	return pages[ManagedDevice](ctx, c, k)
}

// DeleteManagedDevice deletes a device from management, which does not wipe it. It
// needs the permission DeviceManagementManagedDevices.ReadWrite.All. The error is
// an [*Error]. It wraps [ErrGone] if there is no such device, and the errors that all
// methods have; see [Client.Import].
func (c *Client) DeleteManagedDevice(ctx context.Context, id string) error {
	return c.do(ctx, &call{op: opDeleteManaged, method: http.MethodDelete, version: stable, path: item(managedDevices, id)}, nil)
}

// A DirectoryDevice is the object of a device in the directory (Microsoft Entra).
type DirectoryDevice struct {
	ID       string `json:"id"`       // of the object
	DeviceID string `json:"deviceId"` // of the device
	Name     string `json:"displayName"`
	Enabled  bool   `json:"accountEnabled"`

	// PhysicalIDs are texts such as "[ZTDID]:" with the ZTDID and "[OrderID]:" with
	// the group tag.
	PhysicalIDs []string `json:"physicalIds"`
}

// DirectoryDevices yields the objects that belong to a ZTDID. It needs the
// permission Device.Read.All. A failure is the last pair. The error is an [*Error]
// that wraps the errors that all methods have; see [Client.Import].
func (c *Client) DirectoryDevices(ctx context.Context, ztdID string) iter.Seq2[*DirectoryDevice, error] {
	k := &call{op: opDirectory, method: http.MethodGet, version: stable, path: directoryDevices}
	k.query = url.Values{"$filter": {"physicalIds/any(p:p eq " + quote("[ZTDID]:"+ztdID) + ")"}}
	return pages[DirectoryDevice](ctx, c, k)
}

// DeleteDirectoryDevice deletes an object of the directory, by the object's
// identifier. It needs the permission Device.ReadWrite.All. The directory refuses
// while the device is registered for Autopilot (reported). The error is an
// [*Error]. It wraps [ErrGone] if there is no such object, and the errors that all
// methods have; see [Client.Import].
func (c *Client) DeleteDirectoryDevice(ctx context.Context, id string) error {
	return c.do(ctx, &call{op: opDeleteObject, method: http.MethodDelete, version: stable, path: item(directoryDevices, id)}, nil)
}

// A CleanUp lists what there is of a device, to be looked at before it is deleted.
// What is to stay can be taken out of it.
type CleanUp struct {
	Serial        string
	Managed       []ManagedDevice
	Registrations []Device
	Directory     []DirectoryDevice
}

// Empty reports whether there is nothing to delete.
func (p *CleanUp) Empty() bool { return len(p.Managed)+len(p.Registrations)+len(p.Directory) == 0 }

// String returns what is listed, a line for each object.
func (p *CleanUp) String() string {
	var b strings.Builder
	for _, m := range p.Managed {
		fmt.Fprintf(&b, "management   %s %q\n", m.ID, m.Name)
	}
	for _, d := range p.Registrations {
		fmt.Fprintf(&b, "registration %s %q\n", d.ID, d.Serial)
	}
	for _, d := range p.Directory {
		fmt.Fprintf(&b, "directory    %s %q\n", d.ID, d.Name)
	}
	return b.String()
}

// PlanCleanUp lists what the tenant has of the device with a serial number: in
// management, registrations for Autopilot, and their objects in the directory. It
// deletes nothing. The error is an [*Error]. It wraps [ErrRefused] if serial is empty,
// which would be the serial number of many devices, and the errors that all methods
// have; see [Client.Import].
func (c *Client) PlanCleanUp(ctx context.Context, serial string) (*CleanUp, error) {
	if strings.TrimSpace(serial) == "" {
		return nil, &Error{Op: opPlanCleanUp, Err: fmt.Errorf("%w: there is no serial number", ErrRefused)}
	}
	p := &CleanUp{Serial: serial}
	var err error
	if p.Managed, err = first(c.ManagedDevices(ctx, serial), maxFound, func(m *ManagedDevice) bool { return strings.EqualFold(m.Serial, serial) }); err != nil {
		return nil, err
	}
	if p.Registrations, err = c.Find(ctx, serial); err != nil {
		return nil, err
	}
	for _, d := range p.Registrations {
		objects, err := first(c.DirectoryDevices(ctx, d.ID), maxFound, func(*DirectoryDevice) bool { return true })
		if err != nil {
			return nil, err
		}
		p.Directory = append(p.Directory, objects...)
	}
	return p, nil
}

// CleanUp deletes what a plan lists, in the order that the service allows: from
// management, then the registrations, then from the directory. What is gone already
// is no error. It stops at the first failure; deleted is how many objects were
// deleted until then.
//
// The error is an [*Error]. It wraps [ErrChanged] if a registration was changed since
// the plan was made, and the errors that all methods have; see [Client.Import].
func (c *Client) CleanUp(ctx context.Context, p *CleanUp) (deleted int, err error) {
	del := func(err error) bool {
		if err == nil {
			deleted++
		}
		return err != nil && !errors.Is(err, ErrGone)
	}
	for _, m := range p.Managed {
		if err := c.DeleteManagedDevice(ctx, m.ID); del(err) {
			return deleted, err
		}
	}
	for i := range p.Registrations {
		if err := c.Delete(ctx, &p.Registrations[i]); del(err) {
			return deleted, err
		}
	}
	for _, d := range p.Directory {
		if err := c.DeleteDirectoryDevice(ctx, d.ID); del(err) {
			return deleted, err
		}
	}
	return deleted, nil
}
