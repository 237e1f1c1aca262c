package autopilottest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/internal/refusal"
)

// The tenant of a Server with empty fields: that of package drstest.
const (
	DefaultTenant   = "contoso.test"
	DefaultTenantID = "3f0d6c1e-52a4-4b8e-9a57-1c2d7be04f69"
)

// ProfilePath is where a Server answers devices that ask for their profile.
const ProfilePath = "/ztd/v1/profile"

// DefaultSpeed is how many times faster than the real service a Server is if Speed
// is 0.
const DefaultSpeed = 1000

// How long the real service takes (observed, but for the throttle, which is
// documented).
const (
	importTime   = 95 * time.Second // until an import is done
	appearTime   = 20 * time.Second // until the device shows
	syncTime     = time.Minute
	syncThrottle = 10 * time.Minute // between synchronizations
	assignTime   = 3 * time.Minute  // after a synchronization, until a profile is assigned
)

// ErrInDirectory is what [Server.Precreate] returns if the directory has an object
// of the device that was not made for it. The import fails with 814.
var ErrInDirectory = errors.New("the directory has this device already")

// A Server is the service with which devices are registered: Microsoft Graph as
// far as package graph uses it, at /v1.0/ and /beta/, and the profile service at
// [ProfilePath]. It has one tenant. Its zero value is ready to use, at the root of a
// [net/http/httptest.Server] or, with BaseURL, below any path. It is safe for
// concurrent use; its fields are not to be changed once it serves.
type Server struct {
	// BaseURL is where the server is reached, without a slash at its end. If empty,
	// it is the root of the host of each request.
	BaseURL string

	Tenant   string // the tenant's domain; if empty, DefaultTenant
	TenantID string // a GUID; if empty, DefaultTenantID

	// Speed is how many times faster than the real service it is, whose imports
	// take 95 seconds and synchronizations a minute. If 0, it is DefaultSpeed.
	Speed int

	// Profile is the profile that devices get; its identifiers are filled in. If
	// nil, it is one for a user-driven join of Microsoft Entra.
	Profile *autopilot.Profile

	// Unassigned has devices never get a profile, and Blank has the profile
	// service answer such a device by an empty profile instead of error 815.
	Unassigned, Blank bool

	// Token checks the access token of a call of Graph, which has the characters of
	// one. If nil, any is good.
	Token func(token string) error

	// Refuse, if set, may refuse a device with a code of the deployment service,
	// from 801 to 908; 0 is no refusal. op is "Import", "Download" or "Delete".
	Refuse func(op string, h *autopilot.Hash) int

	// Precreate, if set, makes the object of a newly registered device in the
	// directory, and returns its ZTDID and its device identifier. An empty ZTDID
	// is made up. If Precreate is nil, both are made up.
	Precreate func(h *autopilot.Hash, groupTag string) (ztdID, deviceID string, err error)

	// Objects, if set, returns the objects that the directory has for a ZTDID, and
	// RemoveObject deletes one and reports whether there was one.
	Objects      func(ztdID string) []graph.DirectoryDevice
	RemoveObject func(objectID string) bool

	// PageSize is how many objects a page has; if 0, 50.
	PageSize int

	// Fail, if set, may answer an operation in the server's place; it returns
	// whether it did. Operations are named as the methods of graph.Client, and
	// "Download".
	Fail func(op string, w http.ResponseWriter) bool

	Now    func() time.Time // if nil, time.Now
	Logger *slog.Logger     // if nil, nothing is logged

	log refusal.Log

	mu       sync.Mutex
	imports  []*record
	devices  []*device
	foreign  []*autopilot.Hash
	managed  []graph.ManagedDevice
	tickets  map[string]*autopilot.Hash
	synced   time.Time // when the last synchronization ends; zero before the first
	asked    time.Time // when it was asked for
	profile  string    // its identifier
	deleted  bool      // the profile was
	revision int       // of the newest ETag
}

// A device is a registered one.
type device struct {
	graph.Device
	hash    *autopilot.Hash
	says    *autopilot.Hardware // what the hash says
	shows   time.Time           // from then on
	since   time.Time           // when it was registered
	blocked bool
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// fast returns how long the server takes for what takes the real service d.
func (s *Server) fast(d time.Duration) time.Duration {
	if s.Speed > 0 {
		return d / time.Duration(s.Speed)
	}
	return d / DefaultSpeed
}

func (s *Server) tenant() string   { return or(s.Tenant, DefaultTenant) }
func (s *Server) tenantID() string { return strings.ToLower(or(s.TenantID, DefaultTenantID)) }

// base returns the URL under which a request reached the server.
func (s *Server) base(r *http.Request) string {
	if s.BaseURL != "" {
		return strings.TrimSuffix(s.BaseURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// path returns the path of a request below the server's base.
func (s *Server) path(r *http.Request) string {
	base, err := url.Parse(s.BaseURL)
	if err != nil {
		return r.URL.Path
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, strings.TrimSuffix(base.Path, "/")); ok && strings.HasPrefix(rest, "/") {
		return rest
	}
	return r.URL.Path
}

// Elsewhere says that a device belongs to another tenant. Its import is taken, and
// fails with 808 when it is done.
func (s *Server) Elsewhere(h *autopilot.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.foreign = append(s.foreign, h)
}

// AddManaged puts a device into management.
func (s *Server) AddManaged(d graph.ManagedDevice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.ID == "" {
		d.ID = newGUID()
	}
	s.managed = append(s.managed, d)
}

// Ticket returns a device ticket for the device with a hash, which the Microsoft
// account service would issue. It is good for the profile service of this server.
func (s *Server) Ticket(h *autopilot.Hash) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tickets == nil {
		s.tickets = map[string]*autopilot.Hash{}
	}
	ticket := "t=" + newGUID()
	s.tickets[ticket] = h
	return ticket
}

// DeleteProfile deletes the profile that devices have. Devices that had it are
// refused with 809.
func (s *Server) DeleteProfile() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted = true
}

// Block has the next enrollment without a user of a device refused, as management
// does after the first one. Allowed tells.
func (s *Server) Block(ztdID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.device(ztdID); d != nil {
		d.blocked = true
	}
}

// Allowed reports whether a device is registered and not blocked.
func (s *Server) Allowed(ztdID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	d := s.device(ztdID)
	return d != nil && !d.blocked
}

// Devices returns the registered devices, the oldest first, also those that do not
// show yet.
func (s *Server) Devices() []graph.Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	all := make([]graph.Device, len(s.devices))
	for i, d := range s.devices {
		all[i] = d.Device
	}
	return all
}

// Refusals returns what the server refused, oldest first, each as "operation:
// reason".
func (s *Server) Refusals() []string { return s.log.Refusals() }

// device returns a registered device, or nil. The caller locks.
func (s *Server) device(ztdID string) *device {
	for _, d := range s.devices {
		if strings.EqualFold(d.ID, ztdID) {
			return d
		}
	}
	return nil
}

// etag returns a new one. The caller locks.
func (s *Server) etag() string {
	s.revision++
	return `W/"` + hex.EncodeToString([]byte{byte(s.revision >> 16), byte(s.revision >> 8), byte(s.revision)}) + `"`
}

func newGUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
