package autopilottest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/internal/ztd"
)

var errTooSoon = errors.New("a synchronization is allowed every ten minutes")

// vector is the form of a correlation vector.
var vector = regexp.MustCompile(`^[A-Za-z0-9+/]{16,22}(\.[0-9]+)+$`)

// template returns the profile that devices get, without identifiers.
func (s *Server) template() autopilot.Profile {
	if s.Profile != nil {
		return *s.Profile
	}
	return autopilot.Profile{Name: "Mock profile", OOBEConfig: 286, ForcedEnrollment: true, Explicit: true, DeviceName: "MOCK-%RAND:5%"}
}

// profileID returns the identifier of the profile. The caller locks.
func (s *Server) profileID() string {
	if s.profile == "" {
		s.profile = newGUID()
	}
	return s.profile
}

// deployment returns the profile as an administrator sees it. The caller locks.
func (s *Server) deployment() graph.DeploymentProfile {
	p := s.template()
	d := graph.DeploymentProfile{
		Type: "#microsoft.graph.azureADWindowsAutopilotDeploymentProfile", ID: s.profileID(), Name: p.Name, NameFormat: p.DeviceName,
		PreProvisioning: true, WhiteGlove: true, SkipDCCheck: p.SkipDCCheck,
	}
	if p.DomainJoin == 1 {
		d.Type = "#microsoft.graph.activeDirectoryWindowsAutopilotDeploymentProfile"
	}
	d.Experience.DeviceUsage, d.Experience.UserType = "singleUser", "administrator"
	if p.OOBEConfig&64 != 0 {
		d.Experience.DeviceUsage = "shared"
	}
	if p.OOBEConfig&2 != 0 {
		d.Experience.UserType = "standard"
	}
	d.Experience.HidePrivacy, d.Experience.HideEULA, d.Experience.SkipKeyboard = p.OOBEConfig&4 != 0, p.OOBEConfig&16 != 0, p.OOBEConfig&1024 != 0
	return d
}

// deploymentJSON returns the profile as the beta version of Graph has it, with the
// older and the newer names of its members. The caller locks.
func (s *Server) deploymentJSON() map[string]any {
	d := s.deployment()
	out := map[string]any{}
	raw, _ := json.Marshal(d)
	_ = json.Unmarshal(raw, &out)
	out["extractHardwareHash"] = d.ExtractHash
	out["outOfBoxExperienceSetting"] = map[string]any{
		"privacySettingsHidden": d.Experience.HidePrivacy, "eulaHidden": d.Experience.HideEULA, "userType": d.Experience.UserType,
		"deviceUsageType": d.Experience.DeviceUsage, "keyboardSelectionPageSkipped": d.Experience.SkipKeyboard, "escapeLinkHidden": d.Experience.HideEscapeLink,
	}
	return out
}

// serveDownload answers a device that asks for its profile.
func (s *Server) serveDownload(w http.ResponseWriter, q *request, err error) {
	if err != nil {
		s.refuseDevice(w, http.StatusBadRequest, ztd.InvalidBody, err)
		return
	}
	if q.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.refuseDevice(w, http.StatusMethodNotAllowed, ztd.InvalidBody, fmt.Errorf("method %s", q.Method))
		return
	}
	var body struct {
		Hash *autopilot.Hash `json:"hardwareHash"`
	}
	err = decode(q.body, &body)
	switch {
	case err != nil || body.Hash == nil || !vector.MatchString(q.Header.Get("MS-CV")):
		s.refuseDevice(w, http.StatusBadRequest, ztd.InvalidBody, fmt.Errorf("body or MS-CV %q: %w", q.Header.Get("MS-CV"), err))
		return
	case body.Hash.Verify() != nil:
		s.refuseDevice(w, http.StatusOK, ztd.InvalidHash, body.Hash.Verify())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	asking := s.tickets[q.Header.Get("X-Device-Token")]
	if asking == nil {
		s.refuseDevice(w, http.StatusUnauthorized, 0, errors.New("the device ticket is not known"))
		return
	}
	d, code := s.lookUp(body.Hash, asking)
	switch {
	case code != 0:
		s.refuseDevice(w, http.StatusOK, code, errors.New(ztd.Name(code)))
	case d == nil:
		writeJSON(w, http.StatusOK, map[string]any{})
	default:
		writeJSON(w, http.StatusOK, s.profileOf(d))
	}
}

// lookUp finds the device of a hash, or the code with which it is refused. Neither
// is a device without a profile.
func (s *Server) lookUp(h, asking *autopilot.Hash) (*device, int) {
	if s.Refuse != nil {
		if code := s.Refuse("Download", h); code != 0 {
			return nil, code
		}
	}
	// The device of the ticket must be that of the hash.
	if asking.Compare(h).Verdict != autopilot.Same {
		return nil, ztd.OtherTenant
	}
	for _, f := range s.foreign {
		if f.Compare(h).Verdict == autopilot.Same {
			return nil, ztd.OtherTenant
		}
	}
	var found *device
	for _, d := range s.devices {
		switch d.hash.Compare(h).Verdict {
		case autopilot.Same:
			found = d
		case autopilot.Other:
			if strings.EqualFold(d.hash.Hardware().Serial, h.Hardware().Serial) && found == nil {
				return nil, ztd.Mismatch
			}
		}
	}
	switch {
	case found == nil:
		return nil, ztd.NotRegistered
	case !s.hasProfile(found) && s.Blank:
		return nil, 0
	case !s.hasProfile(found):
		return nil, ztd.NoProfile
	case s.deleted:
		return nil, ztd.UnknownProfile
	}
	found.EnrollmentState, found.LastContact = "notContacted", s.now()
	return found, 0
}

// profileOf returns the profile of a device as the device gets it.
func (s *Server) profileOf(d *device) *autopilot.Profile {
	p := s.template()
	p.CorrelationID, p.RegistrationID, p.TenantID, p.TenantDomain = newGUID(), d.ID, s.tenantID(), s.tenant()
	p.User = d.User
	if d.DirectoryID != zeroGUID {
		p.DeviceID = d.DirectoryID
	}
	if p.ManagementID == "" {
		p.ManagementID = "0000000a-0000-0000-c000-000000000000"
	}
	return &p
}

// refuseDevice answers a device that is not served.
func (s *Server) refuseDevice(w http.ResponseWriter, status, code int, reason error) {
	s.log.Add(s.Logger, "Download", reason)
	if code == 0 {
		http.Error(w, "unauthorized", status)
		return
	}
	body, _ := json.Marshal(map[string]any{"AutopilotServiceCorrelationId": newGUID(), "ErrorCode": code, "ErrorReason": ztd.Name(code)})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
