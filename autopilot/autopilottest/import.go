package autopilottest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/internal/ztd"
)

// A record is a device under import.
type record struct {
	graph.Imported
	raw  []byte // the hash
	hash *autopilot.Hash
	due  time.Time
	last bool // the same hash is in the batch before it
}

// importType is the type that a device under import says to have.
const importType = "#microsoft.graph.importedWindowsAutopilotDeviceIdentity"

// An importBody is a device as clients send it.
type importBody struct {
	Type         string `json:"@odata.type"`
	ID           string `json:"id"`
	ImportID     string `json:"importId"`
	Serial       string `json:"serialNumber"`
	ProductKeyID string `json:"productKey"`
	Hash         string `json:"hardwareIdentifier"`
	GroupTag     string `json:"groupTag"`
	User         string `json:"assignedUserPrincipalName"`
	State        any    `json:"state"`
}

// serveImport takes devices. That they are taken says nothing of what becomes of
// them.
func (s *Server) serveImport(q *request) (any, error) {
	batch := strings.HasSuffix(q.URL.Path, "/import")
	var bodies []importBody
	if batch {
		var b struct {
			Devices []importBody `json:"importedWindowsAutopilotDeviceIdentities"`
		}
		if err := decode(q.body, &b); err != nil {
			return nil, err
		}
		bodies = b.Devices
	} else {
		bodies = make([]importBody, 1)
		if err := decode(q.body, &bodies[0]); err != nil {
			return nil, err
		}
	}
	if len(bodies) == 0 || len(bodies) > autopilot.MaxRows {
		return nil, bad("%d devices, and 1 to %d are allowed", len(bodies), autopilot.MaxRows)
	}
	var records []*record
	for _, b := range bodies {
		r, err := s.newRecord(b)
		if err != nil {
			return nil, err
		}
		for _, other := range records {
			r.last = r.last || len(r.raw) > 0 && bytes.Equal(r.raw, other.raw)
		}
		records = append(records, r)
	}
	s.imports = append(s.imports, records...)
	if !batch {
		return records[0].Imported, nil
	}
	out := make([]graph.Imported, len(records))
	for i, r := range records {
		out[i] = r.Imported
	}
	return map[string]any{"value": out}, nil
}

// decode reads JSON that has only what it should have.
func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return bad("the request body is not valid: %w", err)
	}
	return nil
}

// newRecord checks what Graph checks at once.
func (s *Server) newRecord(b importBody) (*record, error) {
	if b.Type != "" && b.Type != importType {
		return nil, bad("a type named %q could not be resolved by the model", b.Type)
	}
	raw, err := base64.StdEncoding.DecodeString(b.Hash)
	if err != nil {
		return nil, bad("Cannot convert the literal '%.20s…' to the expected type 'Edm.Binary'.", b.Hash)
	}
	r := &record{raw: raw, due: s.now().Add(s.fast(importTime))}
	id := newGUID() // also that of the batch if the client chose none (observed)
	r.Imported = graph.Imported{
		ID: id, ImportID: or(b.ImportID, id), Serial: b.Serial, ProductKeyID: b.ProductKeyID, GroupTag: b.GroupTag, User: b.User,
	}
	r.State.Status = "unknown" // which is what the real service says of an import that it works on
	r.hash, _ = autopilot.ParseHash(b.Hash)
	return r, nil
}

// settle brings everything up to date. The caller locks.
func (s *Server) settle() {
	now := s.now()
	for _, r := range s.imports {
		if !r.State.Done() && !now.Before(r.due) {
			s.finish(r)
		}
	}
}

// finish decides about an import.
func (s *Server) finish(r *record) {
	code, name := s.judge(r)
	var d *device
	if code == 0 && name == "" {
		d, code = s.register(r)
	}
	if code != 0 || name != "" {
		if name == "" {
			name = ztd.Name(code)
		}
		r.State = graph.ImportState{Status: "error", Code: code, Name: name}
		s.log.Add(s.Logger, "Import", fmt.Errorf("serial number %q: %d %s", r.Serial, code, name))
		return
	}
	r.State = graph.ImportState{Status: "complete", RegistrationID: d.ID}
}

// judge returns the code or the name with which a device is refused, or nothing.
func (s *Server) judge(r *record) (code int, name string) {
	switch {
	case len(r.raw) == 0 && r.Serial == "" && r.ProductKeyID == "":
		return ztd.MissingSerial, ""
	case len(r.raw) == 0:
		return ztd.NotFound, ""
	case r.hash == nil || r.hash.Verify() != nil:
		return ztd.InvalidHash, ""
	}
	if s.Refuse != nil {
		if code := s.Refuse("Import", r.hash); code != 0 {
			return code, ""
		}
	}
	w := r.hash.Hardware()
	for _, s := range []string{w.Serial, w.Manufacturer, w.Product, w.UUID} {
		if strings.TrimSpace(s) == "" {
			return ztd.InvalidHash, ""
		}
	}
	for _, h := range s.foreign {
		if h.Compare(r.hash).Verdict == autopilot.Same {
			return ztd.OtherTenant, ""
		}
	}
	if r.last {
		return 0, ztd.Duplicated
	}
	for _, d := range s.devices {
		if !related(d.says, w) {
			continue
		}
		switch d.hash.Compare(r.hash).Verdict {
		case autopilot.Same:
			return ztd.AlreadyAssigned, ""
		case autopilot.Other:
			if o := d.says; o.UUID == w.UUID && strings.EqualFold(o.Serial, w.Serial) {
				return ztd.NotUnique, ""
			}
		}
	}
	return 0, ""
}

// related reports whether two hashes may be of one device. With thousands of devices
// it spares most of the comparisons.
func related(a, b *autopilot.Hardware) bool {
	return a.UUID == b.UUID || strings.EqualFold(a.Serial, b.Serial) || len(a.EKModulus) > 0 && bytes.Equal(a.EKModulus, b.EKModulus) ||
		a.OfflineID != nil && b.OfflineID != nil && bytes.Equal(a.OfflineID.ID, b.OfflineID.ID)
}

// zeroGUID stands for an identifier that there is none of.
const zeroGUID = "00000000-0000-0000-0000-000000000000"

// register registers a device.
func (s *Server) register(r *record) (*device, int) {
	w := r.hash.Hardware()
	var ztdID, deviceID string
	if s.Precreate != nil {
		var err error
		if ztdID, deviceID, err = s.Precreate(r.hash, r.GroupTag); errors.Is(err, ErrInDirectory) {
			return nil, ztd.AlreadyInDirectory
		} else if err != nil {
			s.log.Add(s.Logger, "Precreate", err)
			return nil, ztd.InvalidHash
		}
	} else {
		deviceID = newGUID()
	}
	now := s.now()
	d := &device{hash: r.hash, says: w, since: now, shows: now.Add(s.fast(appearTime))}
	d.Device = graph.Device{
		ID: or(ztdID, newGUID()), ETag: s.etag(), Serial: or(r.Serial, w.Serial), ProductKeyID: or(r.ProductKeyID, w.ProductKeyID),
		GroupTag: r.GroupTag, User: r.User, Manufacturer: w.Manufacturer, Model: w.Product, SKU: w.SKU, Family: w.Family,
		EnrollmentState: "notContacted", DirectoryID: or(deviceID, zeroGUID), ManagedID: zeroGUID,
	}
	s.devices = append(s.devices, d)
	return d, 0
}

// serveImports lists the records.
func (s *Server) serveImports(q *request) (any, error) {
	id, filtered, err := filter(q, "importId eq ", "")
	if err != nil {
		return nil, err
	}
	out := []graph.Imported{}
	for _, r := range s.imports {
		if !filtered || strings.EqualFold(r.ImportID, id) {
			out = append(out, r.Imported)
		}
	}
	return page(q, s, out), nil
}

// serveRecord returns or deletes a record.
func (s *Server) serveRecord(q *request) (any, error) {
	for i, r := range s.imports {
		if !strings.EqualFold(r.ID, q.id) {
			continue
		}
		if q.op == "Forget" {
			s.imports = append(s.imports[:i], s.imports[i+1:]...)
			return nil, nil
		}
		return r.Imported, nil
	}
	return nil, refuse(http.StatusNotFound, "ResourceNotFound", "there is no import %q", q.id)
}
