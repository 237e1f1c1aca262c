package provisiontest

import (
	"crypto"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/aik/aiktest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/drs/drstest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// or sets *field to value if it has its zero value.
func or[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// compose makes the parties, each of which trusts those before it, and returns
// the handler of them all.
func (s *Server) compose() http.Handler {
	s.clocks = map[Party]*clock{
		PartyMaker: {lazy: true}, PartyAIK: {lazy: true}, PartyDirectory: {}, PartyManagement: {}, PartyAutopilot: {}, PartyTLS: {},
	}
	or(&s.Maker, &ekcerttest.Server{AnyEK: true})
	or(&s.AIK, new(aiktest.Server))
	or(&s.Directory, new(drstest.Server))
	or(&s.Management, new(mdmtest.Server))
	or(&s.Autopilot, new(autopilottest.Server))
	s.fillMaker()
	s.fillAIK()
	s.fillDirectory()
	s.fillManagement()
	s.fillAutopilot()
	for name, password := range s.Users {
		s.AddUser(name, password)
	}
	mux := http.NewServeMux()
	for path, party := range map[string]struct {
		Party
		http.Handler
	}{
		MakerPath:            {PartyMaker, s.Maker},
		"/aik/":              {PartyAIK, s.AIK},
		DirectoryPath + "/":  {PartyDirectory, s.Directory},
		ManagementPath + "/": {PartyManagement, s.Management},
		AutopilotPath + "/":  {PartyAutopilot, s.Autopilot},
	} {
		mux.Handle(path, s.clocks[party.Party].serve(party.Handler))
	}
	if a := s.Management.Azure; a != nil {
		mux.Handle(azurePath+"/", s.clocks[PartyManagement].serve(a))
	}
	if s.Public {
		return s.public(mux)
	}
	return mux
}

// fillMaker fills in the maker's CA, and sets the roots of endorsement
// certificates.
func (s *Server) fillMaker() {
	m := s.Maker
	s.clocks[PartyMaker].set(&m.Now)
	or(&m.Logger, s.Logger)
	s.ekRoots = ekcert.Roots{attesttest.Vendor: attesttest.Roots()}
	others := slices.Clone(s.EKRoots)
	if m.Authority == nil {
		certs := attesttest.Certificates()
		m.Authority = &sceptest.Authority{Certificate: certs[0], Parents: certs[1:], Key: attesttest.DefaultMaker().Key()}
	} else {
		certs := m.Certificates()
		others = append(others, certs[len(certs)-1])
	}
	if len(others) > 0 {
		s.ekRoots[""] = pool(others)
	}
}

// fillAIK fills in the attestation CA.
func (s *Server) fillAIK() {
	a := s.AIK
	s.clocks[PartyAIK].set(&a.Now)
	or(&a.Logger, s.Logger)
	if a.Makers == nil {
		a.Makers = append(attesttest.Certificates(), s.EKRoots...)
		a.Makers = append(a.Makers, s.Maker.Certificates()...)
	}
	if a.EKRoots == nil {
		a.EKRoots = s.ekRoots
	}
}

// fillDirectory fills in the directory.
func (s *Server) fillDirectory() {
	d := s.Directory
	s.clocks[PartyDirectory].set(&d.Now)
	or(&d.Logger, s.Logger)
	or(&d.BaseURL, s.URL+DirectoryPath)
	or(&d.AIKRoots, s.AIK.Roots())
	if d.EKRoots == nil {
		d.EKRoots = s.ekRoots
	}
	if d.Admit == nil && s.AdmitAny {
		d.Admit = func(_ crypto.PublicKey, cert *x509.Certificate) bool { return cert != nil }
	}
}

// fillManagement fills in the management server.
func (s *Server) fillManagement() {
	m := s.Management
	s.clocks[PartyManagement].set(&m.Now)
	or(&m.Logger, s.Logger)
	or(&m.BaseURL, s.URL+ManagementPath)
	or(&m.Issuer, s.Directory.Issuer())
	or(&m.TenantID, tenantID(s.Directory))
	or(&m.Resource, drstest.ManagementResource)
	if m.TokenKey == nil {
		m.TokenKey = s.Directory.TokenKey
	}
	or(&m.AIKRoots, s.AIK.Roots())
	if m.AIKIssuers == nil {
		m.AIKIssuers = s.AIK.Certificates
	}
	if m.DeviceKey == nil {
		m.DeviceKey = s.deviceKey
	}
	if a := m.Azure; a != nil {
		s.clocks[PartyManagement].set(&a.Now)
		or(&a.Logger, s.Logger)
		or(&a.BaseURL, s.URL+azurePath)
		or(&a.AIKRoots, s.AIK.Roots())
		if a.AIKIssuers == nil {
			a.AIKIssuers = s.AIK.Certificates
		}
	}
	if m.Registered == nil {
		m.Registered = s.registered
	}
	if m.Passwords == nil {
		m.Passwords = s.users.has
	}
	if m.Users == nil {
		m.Users = func(upn string) bool { _, ok := s.users.password(upn); return ok }
	}
	if m.Session.Commands == nil && m.Session.Next == nil {
		m.Session.Commands = setUp()
	}
	if s.Public {
		s.asPublic()
	}
}

// azurePath is the path of the management server's attestation service, if it has
// one.
const azurePath = ManagementPath + "/azure"

// deviceKey returns the key that a device has in the directory, or nil.
func (s *Server) deviceKey(deviceID string) crypto.PublicKey {
	if o, ok := s.Directory.Object(deviceID); ok && len(o.Certificates) > 0 {
		return o.Certificates[len(o.Certificates)-1].PublicKey
	}
	return nil
}

// tenantID returns the identifier of the directory's tenant.
func tenantID(d *drstest.Server) string {
	if d.TenantID != "" {
		return d.TenantID
	}
	return drstest.DefaultTenantID
}

// tenant returns the domain of the directory's tenant.
func (s *Server) tenant() string {
	if s.Directory.Tenant != "" {
		return s.Directory.Tenant
	}
	return Tenant
}

// registered reports whether a registration for pre-provisioning is known, and
// may enroll once more.
func (s *Server) registered(ztdID string) bool {
	known := func(d graph.Device) bool { return strings.EqualFold(d.ID, ztdID) }
	if slices.ContainsFunc(s.Autopilot.Devices(), known) && !s.Autopilot.Allowed(ztdID) {
		return false
	}
	o, ok := s.Directory.Object(ztdID)
	return ok && o.ZTDID != "" && o.ZTDID == ztdID
}

// partyRoots returns the root of each party's CA. It has the parties make these
// CAs, by the true time.
func (s *Server) partyRoots() ([]*x509.Certificate, error) {
	var roots []*x509.Certificate
	for _, certs := range [][]*x509.Certificate{s.AIK.Certificates(), s.Directory.Certificates(), s.Management.Certificates(), s.Maker.Certificates()} {
		if len(certs) == 0 {
			return nil, errors.New("provisiontest: a party has no CA")
		}
		roots = append(roots, certs[len(certs)-1])
	}
	return roots, nil
}

// Refusals returns what the parties have refused, each as "operation: reason":
// first what the maker's CA has, then the attestation CA, the directory, the
// management server and the registration service, oldest first. It is empty after a run without a mistake.
func (s *Server) Refusals() []string {
	var all []string
	for _, r := range []func() []string{s.Maker.Refusals, s.AIK.Refusals, s.Directory.Refusals, s.Management.Refusals, s.Autopilot.Refusals} {
		all = append(all, r()...)
	}
	return all
}
