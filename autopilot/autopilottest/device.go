package autopilottest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/internal/ztd"
)

// shown returns the devices that show. The caller locks.
func (s *Server) shown() []*device {
	var out []*device
	for _, d := range s.devices {
		if !s.now().Before(d.shows) {
			out = append(out, d)
		}
	}
	return out
}

// serveDevices lists the registered devices. The only filter is "contains", and not
// with hyphens, as reported of the real service.
func (s *Server) serveDevices(q *request) (any, error) {
	part, filtered, err := filter(q, "contains(serialNumber,", ")")
	if err != nil {
		return nil, err
	}
	if strings.Contains(part, "-") {
		return nil, bad("an error has occurred")
	}
	out := []graph.Device{}
	for _, d := range s.shown() {
		if !filtered || strings.Contains(strings.ToLower(d.Serial), strings.ToLower(part)) {
			out = append(out, d.Device)
		}
	}
	return page(q, s, out), nil
}

// serveDevice serves what is about one registered device.
func (s *Server) serveDevice(q *request) (any, error) {
	d := s.device(q.id)
	if d == nil || !slices.Contains(s.shown(), d) {
		return nil, notFound()
	}
	if tag := q.Header.Get("If-Match"); tag != "" && tag != d.ETag {
		return nil, refuse(http.StatusPreconditionFailed, "PreconditionFailed", "the ETag is %s", d.ETag)
	}
	switch q.op {
	case "Device":
		return d.Device, nil
	case "AssignmentBeta":
		return s.assignment(q, d), nil
	case "Delete":
		return nil, s.deleteDevice(d)
	case "UnblockBeta":
		d.blocked = false
		return nil, nil
	}
	return nil, s.changeDevice(q, d)
}

// changeDevice changes properties of a device.
func (s *Server) changeDevice(q *request, d *device) error {
	var p graph.Properties
	if q.op != "UnassignUser" {
		if err := decode(q.body, &p); err != nil {
			return err
		}
	}
	set := func(field *string, value string) {
		if value != "" {
			*field = value
		}
	}
	switch q.op {
	case "UnassignUser":
		d.User, d.UserName = "", ""
	case "AssignUser":
		if !strings.Contains(p.User, "@") {
			return bad("the user %q is not valid", p.User)
		}
		d.User, d.UserName = p.User, p.UserName
	default:
		set(&d.User, p.User)
		set(&d.UserName, p.UserName)
		set(&d.DisplayName, p.DisplayName)
		set(&d.GroupTag, p.GroupTag)
	}
	d.ETag = s.etag()
	return nil
}

// deleteDevice deletes a registration.
func (s *Server) deleteDevice(d *device) error {
	if s.Refuse != nil {
		if code := s.Refuse("Delete", d.hash); code != 0 {
			return bad("%d %s", code, ztd.Name(code))
		}
	}
	if slices.ContainsFunc(s.managed, func(m graph.ManagedDevice) bool { return strings.EqualFold(m.Serial, d.Serial) }) {
		return bad("the device is enrolled: delete it from management first")
	}
	s.devices = slices.DeleteFunc(s.devices, func(o *device) bool { return o == d })
	return nil
}

// assigned is when a device gets its profile: some time after a synchronization
// that came after it was registered. It is zero if that is not to be foreseen.
func (s *Server) assigned(d *device) time.Time {
	if s.Unassigned || s.synced.IsZero() || s.synced.Before(d.since) {
		return time.Time{}
	}
	return s.synced.Add(s.fast(assignTime))
}

// hasProfile reports whether a device has its profile.
func (s *Server) hasProfile(d *device) bool {
	at := s.assigned(d)
	return !at.IsZero() && !s.now().Before(at)
}

// assignment returns what the beta version shows.
func (s *Server) assignment(q *request, d *device) any {
	status := "notAssigned"
	at := s.assigned(d)
	switch {
	case s.hasProfile(d):
		status = "assignedUnkownSyncState" // [sic]
	case !at.IsZero() && !s.now().Before(s.synced.Add(s.fast(assignTime)/2)):
		status = "assignedOutOfSync"
	case !at.IsZero() && !s.now().Before(s.synced):
		status = "pending"
	}
	out := map[string]any{}
	raw, _ := json.Marshal(d.Device)
	_ = json.Unmarshal(raw, &out)
	out["deploymentProfileAssignmentStatus"], out["deploymentProfileAssignmentDetailedStatus"] = status, "none"
	out["remediationState"], out["userlessEnrollmentStatus"] = "noRemediationRequired", "unknown"
	if d.blocked {
		out["userlessEnrollmentStatus"] = "blocked"
	}
	expand := q.URL.Query().Get("$expand")
	if s.hasProfile(d) {
		out["deploymentProfileAssignedDateTime"] = at.UTC().Format(time.RFC3339)
		if strings.Contains(expand, "deploymentProfile") {
			out["deploymentProfile"] = s.deploymentJSON()
		}
	}
	if strings.Contains(expand, "intendedDeploymentProfile") && !s.Unassigned {
		out["intendedDeploymentProfile"] = s.deploymentJSON()
	}
	return out
}

// serveSync starts a synchronization, one in ten minutes.
func (s *Server) serveSync() error {
	now := s.now()
	switch {
	case now.Before(s.synced):
		return refuse(http.StatusConflict, "Conflict", "a synchronization is in progress")
	case !s.asked.IsZero() && now.Before(s.asked.Add(s.fast(syncThrottle))):
		return &refused{
			status: http.StatusTooManyRequests, code: "TooManyRequests", after: s.asked.Add(s.fast(syncThrottle)).Sub(now),
			reason: errTooSoon,
		}
	}
	s.asked, s.synced = now, now.Add(s.fast(syncTime))
	return nil
}

// syncStatus returns how far the last synchronization is.
func (s *Server) syncStatus() any {
	st := graph.SyncStatus{Status: "unknown", Triggered: s.asked}
	switch {
	case s.synced.IsZero():
	case s.now().Before(s.synced):
		st.Status = "inProgress"
	default:
		st.Status, st.LastSync = "completed", s.synced
	}
	return st
}

func (s *Server) serveManaged(q *request) (any, error) {
	serial, filtered, err := filter(q, "serialNumber eq ", "")
	if err != nil {
		return nil, err
	}
	out := []graph.ManagedDevice{}
	for _, m := range s.managed {
		if !filtered || strings.EqualFold(m.Serial, serial) {
			out = append(out, m)
		}
	}
	return page(q, s, out), nil
}

func (s *Server) deleteManaged(id string) error {
	n := len(s.managed)
	s.managed = slices.DeleteFunc(s.managed, func(m graph.ManagedDevice) bool { return strings.EqualFold(m.ID, id) })
	if len(s.managed) == n {
		return notFound()
	}
	return nil
}

// serveObjects lists objects of the directory. The filter needs the header
// ConsistencyLevel.
func (s *Server) serveObjects(q *request) (any, error) {
	id, filtered, err := filter(q, "physicalIds/any(p:p eq ", ")")
	if err != nil {
		return nil, err
	}
	ztdID, ok := strings.CutPrefix(id, "[ZTDID]:")
	if filtered && (!ok || q.Header.Get("ConsistencyLevel") != "eventual") {
		return nil, bad("unsupported query")
	}
	out := []graph.DirectoryDevice{}
	for _, d := range s.devices {
		if !filtered || strings.EqualFold(d.ID, ztdID) {
			out = append(out, s.objects(d)...)
		}
	}
	if filtered && len(out) == 0 && s.Objects != nil {
		out = append(out, s.Objects(ztdID)...)
	}
	return page(q, s, out), nil
}

// objects returns the objects of a registered device.
func (s *Server) objects(d *device) []graph.DirectoryDevice {
	if s.Objects != nil {
		return s.Objects(d.ID)
	}
	if d.DirectoryID == zeroGUID {
		return nil
	}
	ids := []string{"[ZTDID]:" + d.ID}
	if d.GroupTag != "" {
		ids = append(ids, "[OrderID]:"+d.GroupTag)
	}
	return []graph.DirectoryDevice{{ID: "object-" + d.DirectoryID, DeviceID: d.DirectoryID, Name: d.Serial, PhysicalIDs: ids}}
}

// deleteObject deletes an object, but not that of a registered device.
func (s *Server) deleteObject(id string) error {
	for _, d := range s.devices {
		for _, o := range s.objects(d) {
			if o.ID == id {
				return refuse(http.StatusForbidden, "Authorization_RequestDenied", "the device is registered for Autopilot")
			}
		}
	}
	if s.RemoveObject == nil || !s.RemoveObject(id) {
		return notFound()
	}
	return nil
}
