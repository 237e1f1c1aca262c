package provision

import (
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
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
	// Version is that of this structure. Run refuses all but its own.
	Version int `json:"version"`

	// Tenant is Provisioner.Tenant of the run that began the state, or that of the
	// profile if it was empty.
	Tenant string `json:"tenant"`

	// Profile is the deployment profile, and DeviceName the name that the device
	// made from its template. Set by StepProfile.
	Profile    *autopilot.Profile `json:"profile,omitempty"`
	DeviceName string             `json:"deviceName,omitempty"`

	// EKSHA256 is the SHA-256 of the endorsement key's SubjectPublicKeyInfo in
	// DER, and EKCertificates are its certificate and issuers. Set by StepEK.
	EKSHA256       []byte   `json:"ekSha256,omitempty"`
	EKCertificates [][]byte `json:"ekCertificates,omitempty"`

	// AIK is the attestation key with its creation statement, AIKName its TPM
	// name (the hash algorithm in 2 bytes, big-endian, then the digest) and
	// AIKCertificates its certificate and issuers. Set by StepAIK.
	AIK             string   `json:"aik,omitempty"`
	AIKName         []byte   `json:"aikName,omitempty"`
	AIKCertificates [][]byte `json:"aikCertificates,omitempty"`

	// DeviceKey signs and TransportKey decrypts. Set by StepKeys.
	DeviceKey    string `json:"deviceKey,omitempty"`
	TransportKey string `json:"transportKey,omitempty"`

	// ZTDID is the GUID of the registration for pre-provisioning, as the device
	// token names it. Set by StepToken.
	ZTDID string `json:"ztdId,omitempty"`

	// DeviceID is the GUID of the device in the directory, TenantID that of the
	// tenant. Set by StepJoin from DeviceCertificate. JoinServer is the URL at which
	// the device joined.
	DeviceID          string `json:"deviceId,omitempty"`
	TenantID          string `json:"tenantId,omitempty"`
	DeviceCertificate []byte `json:"deviceCertificate,omitempty"`
	JoinServer        string `json:"joinServer,omitempty"`

	// ManagementKey is the key of the first of ManagementCertificates, which
	// authenticates the device to the management sessions at the URL
	// ManagementServer. Set by StepEnroll; the key is made before that, while
	// StepJoin waits for the directory, and replaced if the management server's policy
	// wants a longer one.
	ManagementKey          string   `json:"managementKey,omitempty"`
	ManagementCertificates [][]byte `json:"managementCertificates,omitempty"`
	ManagementServer       string   `json:"managementServer,omitempty"`

	// ManagementDocument is the provisioning document and ManagementTree the
	// tree of nodes in JSON, each encrypted to the transport key: a 32-byte
	// key by RSA-OAEP with SHA-256, then the text by AES-256-GCM under that key,
	// as nonce, ciphertext and tag. Set by StepEnroll and StepSession.
	ManagementDocument []byte `json:"managementDocument,omitempty"`
	ManagementTree     []byte `json:"managementTree,omitempty"`

	// SetUp is when the enrollment status page reported success. Set by
	// StepSession.
	SetUp time.Time `json:"setUp,omitzero"`

	// Sealed is when the device left the tenant; see Window. Set by StepSeal.
	Sealed time.Time `json:"sealed,omitzero"`

	// User is nil before the user's phase.
	User *UserState `json:"user,omitempty"`
}

// A UserState is what the user's phase has reached. Its fields are encoded as
// those of [State], and empty ones mean the same.
type UserState struct {
	// Name is User.Name, once the user has a token of the directory; before that it is empty.
	Name string `json:"name"`

	// DeviceID is the GUID of the device in the directory. It is State.DeviceID,
	// unless the directory could not recognize the device. Set by StepRejoin.
	DeviceID string `json:"deviceId,omitempty"`

	// DeviceKey signs, TransportKey decrypts, and DeviceCertificate is for
	// DeviceKey. Set by StepRejoin.
	DeviceKey         string `json:"deviceKey,omitempty"`
	TransportKey      string `json:"transportKey,omitempty"`
	DeviceCertificate []byte `json:"deviceCertificate,omitempty"`

	// Session is the user's session, as drs.Session.Seal encrypts it to
	// TransportKey. Set by StepSignIn.
	Session []byte `json:"session,omitempty"`
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
		return unusable(remedyVersion, "its version is %d, not %d", s.Version, stateVersion)
	}
	if s.Tenant != p.Tenant && p.Tenant != "" {
		return unusable(remedyTenant, "it belongs to tenant %q, not %q", s.Tenant, p.Tenant)
	}
	return nil
}
