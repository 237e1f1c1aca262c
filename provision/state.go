package provision

import (
	"fmt"
	"time"
)

// stateVersion is the version of State that this package writes and reads.
const stateVersion = 2

// State is what a run has reached. It holds no secret: its keys are wrapped by
// the TPM that made them and of use to no other, and tokens are left out.
// Certificates are in DER, the subject's first, then issuers as far as known.
// Keys are PEM, as attest.Key encodes them. What is empty was not reached.
type State struct {
	Version int    `json:"version"`
	Tenant  string `json:"tenant"`

	EKSHA256       []byte   `json:"ekSha256,omitempty"` // of the EK's SubjectPublicKeyInfo
	EKCertificates [][]byte `json:"ekCertificates,omitempty"`

	AIK             string   `json:"aik,omitempty"`
	AIKName         []byte   `json:"aikName,omitempty"` // TPM name: nameAlg and digest
	AIKCertificates [][]byte `json:"aikCertificates,omitempty"`

	DeviceKey         string `json:"deviceKey,omitempty"`
	TransportKey      string `json:"transportKey,omitempty"`
	ZTDID             string `json:"ztdId,omitempty"` // of the registration for pre-provisioning
	DeviceID          string `json:"deviceId,omitempty"`
	TenantID          string `json:"tenantId,omitempty"`
	DeviceCertificate []byte `json:"deviceCertificate,omitempty"`

	ManagementKey          string   `json:"managementKey,omitempty"`
	ManagementCertificates [][]byte `json:"managementCertificates,omitempty"`
	ManagementServer       string   `json:"managementServer,omitempty"` // the session's URL

	// The provisioning document and the tree of nodes, encrypted so that only
	// the TPM with the transport key opens them.
	ManagementDocument []byte `json:"managementDocument,omitempty"`
	ManagementTree     []byte `json:"managementTree,omitempty"`

	SetUp  time.Time `json:"setUp,omitzero"`  // when management had set the device up
	Sealed time.Time `json:"sealed,omitzero"` // when the device left the tenant; see Window

	User *UserState `json:"user,omitempty"` // nil before the user's phase
}

// A UserState is what the user's phase has reached.
type UserState struct {
	Name string `json:"name"`

	DeviceKey         string `json:"deviceKey,omitempty"`
	TransportKey      string `json:"transportKey,omitempty"`
	DeviceCertificate []byte `json:"deviceCertificate,omitempty"`
	Session           []byte `json:"session,omitempty"` // drs.Session.Seal: only the transport key opens it
}

func (s *State) joined() bool   { return len(s.DeviceCertificate) > 0 }
func (s *State) enrolled() bool { return len(s.ManagementCertificates) > 0 }
func (s *State) sealed() bool   { return !s.Sealed.IsZero() }
func (s *State) rejoined() bool { return s.User != nil && len(s.User.DeviceCertificate) > 0 }

// Window returns when a sealed device should be handed to its user: not in the
// first 90 minutes, while the tenant takes notice, nor after six months, when
// its enrollment may have lapsed. Microsoft advises such times but names no
// limits. They are zero if the device is not sealed.
func (s *State) Window() (from, until time.Time) {
	if !s.sealed() {
		return time.Time{}, time.Time{}
	}
	return s.Sealed.Add(90 * time.Minute), s.Sealed.AddDate(0, 6, 0)
}

// check reports whether p can go on from a stored state.
func (s *State) check(p *Provisioner) error {
	if s.Version != stateVersion {
		return fmt.Errorf("%w: it has version %d, not %d", ErrState, s.Version, stateVersion)
	}
	if s.Tenant != p.Tenant {
		return fmt.Errorf("%w: it is of tenant %q, not %q", ErrState, s.Tenant, p.Tenant)
	}
	return nil
}
