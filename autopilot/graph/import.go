package graph

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/internal/ztd"
)

// imports is the collection of devices under import.
const imports = "/deviceManagement/importedWindowsAutopilotDeviceIdentities"

const importType = "#microsoft.graph.importedWindowsAutopilotDeviceIdentity"

// Operations, as an Error names them.
const (
	opImport        = "Import"
	opImports       = "Imports"
	opImported      = "Imported"
	opForget        = "Forget"
	opDevices       = "Devices"
	opDevice        = "Device"
	opFind          = "Find"
	opUpdate        = "Update"
	opAssignUser    = "AssignUser"
	opUnassignUser  = "UnassignUser"
	opDelete        = "Delete"
	opSync          = "SyncBeta"
	opSyncStatus    = "SyncStatusBeta"
	opAssignment    = "AssignmentBeta"
	opProfiles      = "ProfilesBeta"
	opUnblock       = "UnblockBeta"
	opManaged       = "ManagedDevices"
	opDirectory     = "DirectoryDevices"
	opDeleteManaged = "DeleteManagedDevice"
	opDeleteObject  = "DeleteDirectoryDevice"
	opRegister      = "Register"
	opPlanCleanUp   = "PlanCleanUp"
)

// An Imported is a record of a device under import. The service deletes such records
// by itself after some time (observed).
type Imported struct {
	ID       string `json:"id"`       // of the record, a GUID
	ImportID string `json:"importId"` // of the batch; the client or the service chooses it
	Serial   string `json:"serialNumber"`
	GroupTag string `json:"groupTag"`
	User     string `json:"assignedUserPrincipalName"`

	ProductKeyID string      `json:"productKey"`
	State        ImportState `json:"state"`
}

// An ImportState tells how far an import is.
type ImportState struct {
	// Status is "unknown", "pending", "partial", "complete" or "error"
	// (documented). "unknown" means that the service still works (observed).
	Status string `json:"deviceImportStatus"`

	// RegistrationID is the ZTDID, the identifier of the device that will be among
	// the registered ones; empty unless Status is "complete".
	RegistrationID string `json:"deviceRegistrationId"`

	// Code and Name are the reason if Status is "error", such as 806 and
	// "ZtdDeviceAlreadyAssigned".
	Code int    `json:"deviceErrorCode"`
	Name string `json:"deviceErrorName"`
}

// Values of ImportState.Status.
const (
	statusComplete = "complete"
	statusError    = "error"
)

// Done reports whether the status will not change any more.
func (s ImportState) Done() bool {
	return strings.EqualFold(s.Status, statusComplete) || strings.EqualFold(s.Status, statusError)
}

// Err returns nil unless the import failed. Then the error is an [*Error] with the
// Code and the Name of the reason.
func (s ImportState) Err() error {
	if !strings.EqualFold(s.Status, statusError) && s.Code == 0 {
		return nil
	}
	name := s.Name
	if name == "" {
		name = ztd.Name(s.Code)
	}
	return &Error{Op: opImport, Code: s.Code, Name: wire.Words(name)}
}

// An importBody is a device as Import sends it.
type importBody struct {
	Type         string `json:"@odata.type"`
	ImportID     string `json:"importId,omitempty"`
	Serial       string `json:"serialNumber"`
	ProductKeyID string `json:"productKey"`
	Hash         string `json:"hardwareIdentifier"`
	GroupTag     string `json:"groupTag"`
	User         string `json:"assignedUserPrincipalName,omitempty"`
}

// Import asks the service to register devices: one with a request of its own,
// several with one request for all (at most [autopilot.MaxRows]). importID, a GUID,
// names the batch; if it is empty, [Client.Import] makes one up. The serial number
// may be empty if the hash has one.
//
// That the service took the request is no success: a record starts with the status
// "unknown", and only [Client.Imported] shows, minutes later, whether the device
// was registered (observed). [Registration] waits for that. The records come in the
// order of rows if the service keeps it.
//
// The error is an [*Error]. It wraps [ErrRefused] if a row has no usable hash, if
// there are none or too many rows, or if a hash is a mock and the service is not on
// the loopback interface, and the errors that all methods have: [ErrMalformed], the
// error of Token, and the error of ctx if that ended first.
func (c *Client) Import(ctx context.Context, importID string, rows ...autopilot.Row) ([]Imported, error) {
	if importID == "" {
		importID = newGUID()
	}
	bodies, err := c.importBodies(importID, rows)
	if err != nil {
		return nil, &Error{Op: opImport, Err: err}
	}
	k := &call{op: opImport, method: http.MethodPost, version: stable, path: imports}
	if len(bodies) == 1 {
		k.body = bodies[0]
		var one Imported
		k.valid = func() bool { return one.ID != "" }
		if err := c.do(ctx, k, &one); err != nil {
			return nil, err
		}
		return []Imported{one}, nil
	}
	k.path += "/import"
	k.body = map[string]any{"importedWindowsAutopilotDeviceIdentities": bodies}
	var answer struct{ Value []Imported }
	k.valid = func() bool {
		return answer.Value != nil && !slices.ContainsFunc(answer.Value, func(m Imported) bool { return m.ID == "" })
	}
	if err := c.do(ctx, k, &answer); err != nil {
		return nil, err
	}
	return answer.Value, nil
}

// importBodies returns what is sent of rows.
func (c *Client) importBodies(importID string, rows []autopilot.Row) ([]importBody, error) {
	if len(rows) == 0 || len(rows) > autopilot.MaxRows {
		return nil, fmt.Errorf("%w: %d devices, and 1 to %d are allowed", ErrRefused, len(rows), autopilot.MaxRows)
	}
	bodies := make([]importBody, len(rows))
	for i, r := range rows {
		h, err := c.usable(&r)
		if err != nil {
			return nil, fmt.Errorf("%w: device %d: %w", ErrRefused, i+1, err)
		}
		bodies[i] = importBody{importType, importID, serialOf(&r, h), r.ProductKeyID, h.String(), r.GroupTag, r.User}
	}
	return bodies, nil
}

// usable returns the hash of a row, or why it cannot be sent.
func (c *Client) usable(r *autopilot.Row) (*autopilot.Hash, error) {
	h, err := autopilot.ParseHash(r.Hash)
	switch {
	case r.Hash == "":
		return nil, errors.New("it has no hardware hash")
	case err != nil:
		return nil, err
	case h.Mock() && !wire.Loopback(c.base()):
		return nil, errors.New("it has a mock hash")
	}
	return h, nil
}

// serialOf returns the serial number of a row or, if it has none, of its hash, which
// may be nil. Firmware may put spaces around it.
func serialOf(r *autopilot.Row, h *autopilot.Hash) string {
	if serial := strings.TrimSpace(r.Serial); serial != "" || h == nil {
		return serial
	}
	return strings.TrimSpace(h.Hardware().Serial)
}

// Imported returns the record of an import by its identifier, with the state it
// has now. The error is an [*Error]. It wraps [ErrGone] if there is no such record,
// and the errors that all methods have; see [Client.Import].
func (c *Client) Imported(ctx context.Context, id string) (*Imported, error) {
	var r Imported
	err := c.do(ctx, &call{op: opImported, method: http.MethodGet, version: stable, path: item(imports, id), valid: same(&r.ID, id)}, &r)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// Imports yields the records of imports; with an importID those of one batch only.
// A failure is the last pair. The error is an [*Error] that wraps the errors that
// all methods have; see [Client.Import].
func (c *Client) Imports(ctx context.Context, importID string) iter.Seq2[*Imported, error] {
	k := &call{op: opImports, method: http.MethodGet, version: stable, path: imports}
	if importID != "" {
		k.query = url.Values{"$filter": {"importId eq " + quote(importID)}}
	}
	return pages[Imported](ctx, c, k)
}

// Forget deletes the record of an import. The device stays registered. The error
// is an [*Error]. It wraps [ErrGone] if there is no such record, and the errors that
// all methods have; see [Client.Import].
func (c *Client) Forget(ctx context.Context, id string) error {
	return c.do(ctx, &call{op: opForget, method: http.MethodDelete, version: stable, path: item(imports, id)}, nil)
}

// newGUID returns a random GUID (RFC 9562, version 4).
func newGUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
