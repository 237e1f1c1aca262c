package graph

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Collections of the beta version.
const (
	settings = "/deviceManagement/windowsAutopilotSettings"
	profiles = "/deviceManagement/windowsAutopilotDeploymentProfiles"
)

// A SyncStatus tells of the synchronization of the deployment service's devices
// with management.
type SyncStatus struct {
	Status    string    `json:"syncStatus"`                    // "unknown", "inProgress", "completed" or "failed"
	LastSync  time.Time `json:"lastSyncDateTime"`              // when the last one ended
	Triggered time.Time `json:"lastManualSyncTriggerDateTime"` // when the last one was asked for
}

// SyncBeta asks for a synchronization, after which a new device shows in
// management. It uses the beta version of Graph, which alone has it. The service
// allows one in ten minutes (documented).
//
// The error is an [*Error]. It wraps [ErrBusy] if one is in progress; it has the
// HTTP status 429 if the last one was less than ten minutes ago, and RetryAfter if
// the service says when to ask again. It wraps the errors that all methods have;
// see [Client.Import].
func (c *Client) SyncBeta(ctx context.Context) error {
	return c.do(ctx, &call{op: opSync, method: http.MethodPost, version: beta, path: settings + "/sync"}, nil)
}

// SyncStatusBeta tells of the last synchronization. It uses the beta version of
// Graph. The error is an [*Error] that wraps the errors that all methods have; see
// [Client.Import].
func (c *Client) SyncStatusBeta(ctx context.Context) (*SyncStatus, error) {
	var s SyncStatus
	known := func() bool { return s.Status != "" }
	if err := c.do(ctx, &call{op: opSyncStatus, method: http.MethodGet, version: beta, path: settings, valid: known}, &s); err != nil {
		return nil, err
	}
	return &s, nil
}

// A DeploymentProfile is a deployment profile as an administrator made it. What a
// device gets of it is an [autopilot.Profile].
type DeploymentProfile struct {
	// Type is "#microsoft.graph.azureADWindowsAutopilotDeploymentProfile", or
	// "#microsoft.graph.activeDirectoryWindowsAutopilotDeploymentProfile" for joins
	// to Active Directory.
	Type string `json:"@odata.type"`

	ID          string `json:"id"` // a GUID
	Name        string `json:"displayName"`
	Description string `json:"description"`
	NameFormat  string `json:"deviceNameTemplate"`

	// PreProvisioning is true if a technician may set the device up before its
	// user gets it. WhiteGlove is the same in answers that have the older name
	// (deprecated since May 2024).
	WhiteGlove      bool `json:"enableWhiteGlove"`
	PreProvisioning bool `json:"preprovisioningAllowed"`

	ExtractHash bool `json:"hardwareHashExtractionEnabled"` // all devices to which it is assigned are registered
	SkipDCCheck bool `json:"hybridAzureADJoinSkipConnectivityCheck"`

	// Experience is what setup shows. Its names in JSON are the older ones; an
	// answer may have the newer ones, too, or only those.
	Experience struct {
		// DeviceUsage is "singleUser" or, for self-deploying mode, "shared".
		DeviceUsage string `json:"deviceUsageType"`

		// UserType is "standard" or "administrator".
		UserType string `json:"userType"`

		HidePrivacy    bool `json:"hidePrivacySettings"`
		HideEULA       bool `json:"hideEULA"`
		SkipKeyboard   bool `json:"skipKeyboardSelectionPage"`
		HideEscapeLink bool `json:"hideEscapeLink"`
	} `json:"outOfBoxExperienceSettings"`
}

// UnmarshalJSON reads a profile with the older names of its members, with the newer
// ones, or with both, of which the newer ones count. The error is that of package
// json.
func (p *DeploymentProfile) UnmarshalJSON(text []byte) error {
	type plain DeploymentProfile // without this method
	var read struct {
		plain
		Extract bool `json:"extractHardwareHash"` // the older name
		Newer   *struct {
			DeviceUsage    string `json:"deviceUsageType"`
			UserType       string `json:"userType"`
			HidePrivacy    bool   `json:"privacySettingsHidden"`
			HideEULA       bool   `json:"eulaHidden"`
			SkipKeyboard   bool   `json:"keyboardSelectionPageSkipped"`
			HideEscapeLink bool   `json:"escapeLinkHidden"`
		} `json:"outOfBoxExperienceSetting"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*p = DeploymentProfile(read.plain)
	p.PreProvisioning, p.ExtractHash = p.PreProvisioning || p.WhiteGlove, p.ExtractHash || read.Extract
	if n := read.Newer; n != nil {
		x := &p.Experience
		x.DeviceUsage, x.UserType = n.DeviceUsage, n.UserType
		x.HidePrivacy, x.HideEULA, x.SkipKeyboard, x.HideEscapeLink = n.HidePrivacy, n.HideEULA, n.SkipKeyboard, n.HideEscapeLink
	}
	return nil
}

// An Assignment tells which profile a registered device has. Only the beta version
// of Graph shows it.
type Assignment struct {
	// Status is "unknown", "assignedInSync", "assignedOutOfSync",
	// "assignedUnkownSyncState" (spelled so), "notAssigned", "pending" or "failed"
	// (documented).
	Status string `json:"deploymentProfileAssignmentStatus"`

	// Detail is "none" or a reason, such as "hardwareRequirementsNotMet".
	Detail string `json:"deploymentProfileAssignmentDetailedStatus"`

	Assigned time.Time `json:"deploymentProfileAssignedDateTime"`

	Profile  *DeploymentProfile `json:"deploymentProfile"`         // nil if none is assigned
	Intended *DeploymentProfile `json:"intendedDeploymentProfile"` // what the groups say; nil if nothing

	// Remediation is "noRemediationRequired", or tells that a hardware change was
	// noticed.
	Remediation string `json:"remediationState"`

	// Userless is "allowed", or "blocked" after a pre-provisioning or
	// self-deploying enrollment, whose repetition fails with 0x80180014 until
	// [Client.UnblockBeta] is called; "unknown" otherwise.
	Userless string `json:"userlessEnrollmentStatus"`
}

// Ready reports whether the device will get its profile: the status is
// "assignedInSync" or "assignedUnkownSyncState".
func (a *Assignment) Ready() bool {
	return strings.HasPrefix(a.Status, "assigned") && !strings.EqualFold(a.Status, "assignedOutOfSync")
}

// AssignmentBeta returns which profile a registered device has. It uses the beta
// version of Graph. The error is an [*Error]. It wraps [ErrGone] if there is no such
// device, and the errors that all methods have; see [Client.Import].
func (c *Client) AssignmentBeta(ctx context.Context, id string) (*Assignment, error) {
	var a struct {
		ID string `json:"id"`
		Assignment
	}
	k := &call{op: opAssignment, method: http.MethodGet, version: beta, path: item(devices, id)}
	k.valid = func() bool { return strings.EqualFold(a.ID, id) && a.Status != "" }
	k.query = url.Values{"$expand": {"deploymentProfile,intendedDeploymentProfile"}}
	if err := c.do(ctx, k, &a); err != nil {
		return nil, err
	}
	return &a.Assignment, nil
}

// ProfilesBeta yields the deployment profiles of the tenant. It uses the beta
// version of Graph. A failure is the last pair. The error is an [*Error] that wraps
// the errors that all methods have; see [Client.Import].
func (c *Client) ProfilesBeta(ctx context.Context) iter.Seq2[*DeploymentProfile, error] {
	return pages[DeploymentProfile](ctx, c, &call{op: opProfiles, method: http.MethodGet, version: beta, path: profiles})
}

// UnblockBeta allows one more enrollment without a user, as "Unblock device" in the
// portal does. It uses the beta version of Graph, which alone has it (the action
// allowNextEnrollment; documented). The error is an [*Error]. It wraps [ErrGone] if
// there is no such device, and the errors that all methods have; see
// [Client.Import].
func (c *Client) UnblockBeta(ctx context.Context, id string) error {
	return c.do(ctx, &call{op: opUnblock, method: http.MethodPost, version: beta, path: item(devices, id) + "/allowNextEnrollment"}, nil)
}
