package provision

import (
	"fmt"
	"time"
)

// stateVersion is the only version of State that this package writes and reads.
const stateVersion = 2

// A State is what a run has reached, for a [Store] to keep. It holds no secret:
// its keys are wrapped by the TPM that made them and are useless to any other,
// what the management server sent is encrypted to that TPM, and tokens are left
// out. An empty field means that the run has not got that far.
//
// Certificates are DER. Where there is a list, it begins with the certificate of
// the key, and its issuers follow as far as they are known. Keys are TSS2 PEM, as
// attest.Key.MarshalText writes them.
type State struct {
	Version int    `json:"version"` // of this structure; Run refuses versions other than its own
	Tenant  string `json:"tenant"`  // Provisioner.Tenant of the run that began it

	EKSHA256       []byte   `json:"ekSha256,omitempty"` // SHA-256 of the EK's SubjectPublicKeyInfo in DER
	EKCertificates [][]byte `json:"ekCertificates,omitempty"`

	AIK             string   `json:"aik,omitempty"`
	AIKName         []byte   `json:"aikName,omitempty"` // TPM name: the algorithm, 2 bytes big-endian, and the digest
	AIKCertificates [][]byte `json:"aikCertificates,omitempty"`

	DeviceKey         string `json:"deviceKey,omitempty"`
	TransportKey      string `json:"transportKey,omitempty"`
	ZTDID             string `json:"ztdId,omitempty"`    // GUID of the registration for pre-provisioning
	DeviceID          string `json:"deviceId,omitempty"` // GUID of the device in the directory
	TenantID          string `json:"tenantId,omitempty"` // GUID of the tenant in the device certificate
	DeviceCertificate []byte `json:"deviceCertificate,omitempty"`

	ManagementKey          string   `json:"managementKey,omitempty"`
	ManagementCertificates [][]byte `json:"managementCertificates,omitempty"`
	ManagementServer       string   `json:"managementServer,omitempty"` // URL of the management sessions

	// ManagementDocument is the provisioning document and ManagementTree the
	// tree of nodes in JSON, each encrypted to the transport key: a 32-byte
	// key by RSA-OAEP with SHA-256, then the text by AES-256-GCM under that key,
	// as nonce, ciphertext and tag.
	ManagementDocument []byte `json:"managementDocument,omitempty"`
	ManagementTree     []byte `json:"managementTree,omitempty"`

	SetUp  time.Time `json:"setUp,omitzero"`  // when the enrollment status page reported success
	Sealed time.Time `json:"sealed,omitzero"` // when the device left the tenant; see Window

	User *UserState `json:"user,omitempty"` // nil before the user's phase
}

// A UserState is what the user's phase has reached. Its fields are encoded as
// those of [State], and empty ones mean the same.
type UserState struct {
	Name string `json:"name"` // User.Name

	DeviceKey         string `json:"deviceKey,omitempty"`
	TransportKey      string `json:"transportKey,omitempty"`
	DeviceCertificate []byte `json:"deviceCertificate,omitempty"`
	Session           []byte `json:"session,omitempty"` // as drs.Session.Seal encrypts it to TransportKey
}

func (s *State) joined() bool   { return len(s.DeviceCertificate) > 0 }
func (s *State) enrolled() bool { return len(s.ManagementCertificates) > 0 }
func (s *State) sealed() bool   { return !s.Sealed.IsZero() }
func (s *State) rejoined() bool { return s.User != nil && len(s.User.DeviceCertificate) > 0 }

// Window returns when a sealed device should be handed to its user: not in the
// first 90 minutes, in which the tenant may still show the old registration, and
// not after six months, when the enrollment may have lapsed. Microsoft advises
// such times but names no limits, so Run only warns. Both times are zero if the
// device is not sealed.
func (s *State) Window() (from, until time.Time) {
	if !s.sealed() {
		return time.Time{}, time.Time{}
	}
	return s.Sealed.Add(90 * time.Minute), s.Sealed.AddDate(0, 6, 0)
}

// check returns why p cannot continue a stored state, or nil if it can.
func (s *State) check(p *Provisioner) error {
	if s.Version != stateVersion {
		return fmt.Errorf("%w: its version is %d, not %d", ErrState, s.Version, stateVersion)
	}
	if s.Tenant != p.Tenant {
		return fmt.Errorf("%w: it belongs to tenant %q, not %q", ErrState, s.Tenant, p.Tenant)
	}
	return nil
}
