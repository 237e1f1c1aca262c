package graph

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// devices is the collection of registered devices.
const devices = "/deviceManagement/windowsAutopilotDeviceIdentities"

// A Device is a registered device, as version 1.0 of Graph has it.
type Device struct {
	ID           string `json:"id"` // the ZTDID, a GUID
	ETag         string `json:"@odata.etag"`
	Serial       string `json:"serialNumber"`
	ProductKeyID string `json:"productKey"`
	GroupTag     string `json:"groupTag"`
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	SKU          string `json:"skuNumber"`
	Family       string `json:"systemFamily"`
	Order        string `json:"purchaseOrderIdentifier"`

	// EnrollmentState is "unknown", "enrolled", "pendingReset", "failed" or
	// "notContacted" (documented).
	EnrollmentState string    `json:"enrollmentState"`
	LastContact     time.Time `json:"lastContactedDateTime"`

	User        string `json:"userPrincipalName"`
	UserName    string `json:"addressableUserName"` // by which setup greets the user
	DisplayName string `json:"displayName"`

	DirectoryID string `json:"azureActiveDirectoryDeviceId"` // the device identifier in the directory, a GUID of zeros if there is none
	ManagedID   string `json:"managedDeviceId"`              // in management, likewise
}

// Devices yields the registered devices, page by page. A failure is the last pair.
// The error is an [*Error] that wraps the errors that all methods have; see
// [Client.Import].
func (c *Client) Devices(ctx context.Context) iter.Seq2[*Device, error] {
	return pages[Device](ctx, c, &call{op: opDevices, method: http.MethodGet, version: stable, path: devices})
}

// Device returns a registered device by its ZTDID. The error is an [*Error]. It
// wraps [ErrGone] if there is no such device, which may pass after an import, and
// the errors that all methods have; see [Client.Import].
func (c *Client) Device(ctx context.Context, id string) (*Device, error) {
	var d Device
	if err := c.do(ctx, &call{op: opDevice, method: http.MethodGet, version: stable, path: item(devices, id), valid: same(&d.ID, id)}, &d); err != nil {
		return nil, err
	}
	return &d, nil
}

// maxFound is how many devices Find returns at most.
const maxFound = 100

// Find returns the registered devices with a serial number, in any case, at most
// 100; none is no error. It asks with the filter "contains", the only one that the
// service takes, and goes through all devices if the service refuses the filter,
// as it does if there are hyphens in a serial number (both reported).
//
// The error is an [*Error] that wraps the errors that all methods have; see
// [Client.Import].
func (c *Client) Find(ctx context.Context, serial string) ([]Device, error) {
	same := func(d *Device) bool { return strings.EqualFold(d.Serial, serial) }
	k := &call{op: opFind, method: http.MethodGet, version: stable, path: devices}
	k.query = url.Values{"$filter": {"contains(serialNumber," + quote(serial) + ")"}}
	found, err := first(pages[Device](ctx, c, k), maxFound, same)
	var refused *Error
	if errors.As(err, &refused) && refused.HTTPStatus == http.StatusBadRequest {
		k.query = nil
		return first(pages[Device](ctx, c, k), maxFound, same)
	}
	return found, err
}

// Properties are what [Client.Update] changes. An empty field is left as it is.
type Properties struct {
	User        string `json:"userPrincipalName,omitempty"`
	UserName    string `json:"addressableUserName,omitempty"`
	DisplayName string `json:"displayName,omitempty"` // the computer name, for devices of Microsoft Entra
	GroupTag    string `json:"groupTag,omitempty"`
}

// Update changes properties of a registered device. The service applies them with
// a delay (observed). The error is an [*Error]. It wraps [ErrGone] if there is no
// such device, and the errors that all methods have; see [Client.Import].
func (c *Client) Update(ctx context.Context, id string, p Properties) error {
	return c.do(ctx, &call{op: opUpdate, method: http.MethodPost, version: stable, path: item(devices, id) + "/updateDeviceProperties", body: p}, nil)
}

// AssignUser assigns a device to a user, whom setup greets by name. The errors are
// those of [Client.Update].
func (c *Client) AssignUser(ctx context.Context, id, user, name string) error {
	body := map[string]string{"userPrincipalName": user, "addressableUserName": name}
	return c.do(ctx, &call{op: opAssignUser, method: http.MethodPost, version: stable, path: item(devices, id) + "/assignUserToDevice", body: body}, nil)
}

// UnassignUser takes a device from its user. The errors are those of
// [Client.Update].
func (c *Client) UnassignUser(ctx context.Context, id string) error {
	return c.do(ctx, &call{op: opUnassignUser, method: http.MethodPost, version: stable, path: item(devices, id) + "/unassignUserFromDevice"}, nil)
}

// Delete deletes the registration of a device. If d has an ETag the service is
// asked to do so only if the registration was not changed since d was read. The
// service deletes with a delay; while a registration is still being made it may
// refuse with the HTTP status 400 (observed). The device keeps its objects in
// management and in the directory; see [Client.PlanCleanUp].
//
// The error is an [*Error]. It wraps [ErrGone] if there is no such device,
// [ErrChanged] if it was changed, and the errors that all methods have; see
// [Client.Import].
func (c *Client) Delete(ctx context.Context, d *Device) error {
	return c.do(ctx, &call{op: opDelete, method: http.MethodDelete, version: stable, path: item(devices, d.ID), etag: d.ETag}, nil)
}
