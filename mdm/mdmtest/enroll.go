package mdmtest

import (
	"cmp"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/cms"
)

// Fixed strings of a RequestSecurityToken and its answer.
const (
	typeDeviceToken = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken"
	typeProvision   = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentProvisionDoc"
	typePKCS10      = nsEnrollment + "#PKCS10"
	typePKCS7       = nsEnrollment + "#PKCS7" // of public servers
	typePKCS7Spec   = nsSecurity + "#PKCS7"   // of the specification
	requestIssue    = nsTrust + "/Issue"
	requestRenew    = nsTrust + "/Renew"
	requestRecovery = nsTrust + "/Recovery"
)

// An enrollRequest is the element RequestSecurityToken ([MS-MDE2] section 3.4).
type enrollRequest struct {
	TokenType   []string      `xml:"http://docs.oasis-open.org/ws-sx/ws-trust/200512 TokenType"`
	RequestType []string      `xml:"http://docs.oasis-open.org/ws-sx/ws-trust/200512 RequestType"`
	Token       []binaryToken `xml:"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd BinarySecurityToken"`
	Context     []struct {
		Item []struct {
			Name  string   `xml:"Name,attr"`
			Value []string `xml:"http://schemas.xmlsoap.org/ws/2006/12/authorization Value"`
		} `xml:"http://schemas.xmlsoap.org/ws/2006/12/authorization ContextItem"`
	} `xml:"http://schemas.xmlsoap.org/ws/2006/12/authorization AdditionalContext"`
}

// A device is a device that is or was enrolled.
type device struct {
	deviceID    string // DeviceID, as deviceKey returns it
	owner       caller // who enrolled it first
	directoryID string // the directory's identifier, from the token, or the owner's if it has none
	id          string // the server's identifier of the device, EntDMID
}

// A tokenRequest is what a RequestSecurityToken of the right form says.
type tokenRequest struct {
	kind    string // RequestType
	content []byte // of its BinarySecurityToken: PKCS #10 or PKCS #7 in DER
	context items
}

// serveEnroll answers an enrollment, a recovery or a renewal.
func (s *Server) serveEnroll(r *http.Request, e *envelope) (string, error) {
	q, err := s.readEnroll(e)
	if err != nil {
		return "", err
	}
	if q.kind == requestRenew {
		return s.renew(r, e, q)
	}
	who, err := s.authenticate(e)
	if err != nil {
		return "", err
	}
	key, err := s.checkRequest(q, who)
	if err != nil {
		return "", err
	}
	dev, err := s.claim(q.context.get("DeviceID"), who, key)
	if err != nil {
		return "", err
	}
	cert, err := s.issue(dev, key)
	if err != nil {
		return "", err
	}
	return s.response(s.document(s.base(r), dev.id, q.context.get("DeviceName"), cert)), nil
}

// checkRequest checks an enrollment or a recovery and returns the key in it.
func (s *Server) checkRequest(q *tokenRequest, who *caller) (*rsa.PublicKey, error) {
	id, op := q.context.get("DeviceID"), "Enroll"
	if err := q.context.check(); err != nil {
		return nil, err
	}
	if v := q.context.get("RequestVersion"); v > s.version() {
		return nil, badItem("RequestVersion %.20q is newer than the server", v)
	}
	if q.kind == requestRecovery {
		op = "Recover"
		if !s.knows(id) {
			return nil, refuse(authorizationFault, "device %.100q has nothing to recover", id)
		}
	} else if err := s.checkKind(q.context, who); err != nil {
		return nil, err
	}
	if err := s.denied(op, id); err != nil {
		return nil, err
	}
	key, err := s.checkCSR(q.content, id)
	if err != nil {
		return nil, err
	}
	return key, s.checkAttestation(q.context, key, cmp.Or(who.deviceID, who.id))
}

// knows reports whether a device is enrolled.
func (s *Server) knows(deviceID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	deviceID = deviceKey(deviceID)
	return s.devices[deviceID] != nil && !s.ended(deviceID)
}

// ended reports whether a device, by its deviceKey, has ended its management. The
// caller holds s.mu.
func (s *Server) ended(deviceID string) bool {
	held := s.Session.devices[deviceID]
	return held != nil && held.gone
}

// deviceKey returns a DeviceID in the one form in which it is looked up: in lower
// case and, if it is a GUID, without the hyphens that Windows does not write.
func deviceKey(deviceID string) string {
	if guid.MatchString(deviceID) {
		deviceID = strings.ReplaceAll(deviceID, "-", "")
	}
	return strings.ToLower(deviceID)
}

// issue issues a certificate for a key of a device and notes the owner.
func (s *Server) issue(dev *device, key *rsa.PublicKey) (*x509.Certificate, error) {
	cert, err := s.ca.issue(key, dev.id, s.now())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.enrolled = append(s.enrolled, cert)
	s.owners[sha256.Sum256(cert.Raw)] = dev.deviceID
	s.mu.Unlock()
	if s.Logger != nil {
		s.Logger.Info("enrolled", "device", dev.deviceID, "directory", dev.directoryID, "subject", cert.Subject)
	}
	return cert, nil
}

// readEnroll reads a RequestSecurityToken.
func (s *Server) readEnroll(e *envelope) (*tokenRequest, error) {
	if len(e.Body[0].Token) != 1 {
		return nil, malformed("the body is not a RequestSecurityToken")
	}
	q := e.Body[0].Token[0]
	switch {
	case len(q.TokenType) != 1 || q.TokenType[0] != typeDeviceToken:
		return nil, malformed("token types %.200q", q.TokenType)
	case len(q.RequestType) != 1 || !slices.Contains([]string{requestIssue, requestRenew, requestRecovery}, q.RequestType[0]):
		return nil, malformed("request types %.200q", q.RequestType)
	case len(q.Token) != 1 || q.Token[0].EncodingType != typeBase64 || !slices.Contains(s.types(q.RequestType[0]), q.Token[0].ValueType):
		return nil, malformed("not exactly one BinarySecurityToken with a PKCS #10 or, in a renewal, PKCS #7 request")
	case len(q.Context) != 1:
		return nil, malformed("not exactly one AdditionalContext")
	}
	der, err := base64.StdEncoding.DecodeString(q.Token[0].Text)
	if err != nil {
		return nil, malformed("certificate request: %w", err)
	}
	context := make(items)
	for _, item := range q.Context[0].Item {
		if item.Name == "" || len(item.Value) != 1 {
			return nil, malformed("context item %.60q has %d values", item.Name, len(item.Value))
		}
		context[item.Name] = append(context[item.Name], item.Value[0])
	}
	return &tokenRequest{q.RequestType[0], der, context}, nil
}

// types returns the ValueTypes that a RequestType may have.
func (s *Server) types(kind string) []string {
	switch {
	case kind != requestRenew:
		return []string{typePKCS10}
	case s.Quirks.ServerPKCS7Only:
		return []string{typePKCS7}
	case s.Quirks.SpecPKCS7Only:
		return []string{typePKCS7Spec}
	}
	return []string{typePKCS7, typePKCS7Spec}
}

// checkCSR checks a certificate request by the server's policy and returns the
// key in it. SHA-1 is accepted, because old builds of Windows sign with it
// whatever the policy says.
func (s *Server) checkCSR(der []byte, deviceID string) (*rsa.PublicKey, error) {
	csr, err := parseCSR(der)
	if err != nil {
		return nil, refuse(certificateFault, "certificate request: %w", err)
	}
	key, ok := csr.PublicKey.(*rsa.PublicKey)
	switch {
	case !ok:
		return nil, refuse(certificateFault, "certificate request for a %T", csr.PublicKey)
	case key.N.BitLen() < minimalKeyLength:
		return nil, refuse(certificateFault, "key of %d bits", key.N.BitLen())
	case cms.CheckKey(key) != nil:
		return nil, refuse(certificateFault, "certificate request: %w", cms.CheckKey(key))
	case key.E < 65537:
		return nil, refuse(certificateFault, "key with exponent %d", key.E)
	case csr.SignatureAlgorithm != x509.SHA256WithRSA && csr.SignatureAlgorithm != x509.SHA1WithRSA:
		return nil, refuse(certificateFault, "certificate request signed by %v", csr.SignatureAlgorithm)
	case !s.Quirks.AnySubject && !isSubject(csr.Subject, deviceID):
		return nil, refuse(certificateFault, "subject %.100q is not CN=%s, the DeviceID", csr.Subject, deviceID)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, refuse(certificateFault, "certificate request: %w", err)
	}
	return key, nil
}

// claim returns the device with a DeviceID, which may be a new one. A DeviceID
// belongs to the device of the directory, or the user, that used it first; a
// device's own token and a user's on that device are of the same device. A key
// belongs to the DeviceID that used it first. A device may enroll again, as it
// must if an answer was lost. One that has ended its management begins anew, and what
// it had before is not known any more.
func (s *Server) claim(deviceID string, who *caller, key *rsa.PublicKey) (*device, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, refuse(certificateFault, "key: %w", err)
	}
	sum := sha256.Sum256(der)
	deviceID, hash := deviceKey(deviceID), string(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if owner, ok := s.keys[hash]; ok && owner != deviceID {
		return nil, refuse(certificateFault, "the key is that of another device")
	}
	dev := s.devices[deviceID]
	if s.ended(deviceID) {
		dev = nil
		delete(s.Session.devices, deviceID)
	}
	if dev == nil {
		dev = &device{deviceID: deviceID, owner: *who, directoryID: cmp.Or(who.deviceID, who.id), id: newGUID()}
	}
	if dev.owner.id != who.id && (who.deviceID == "" || dev.owner.deviceID != who.deviceID) {
		return nil, refuse(authorizationFault, "DeviceID %s is that of another device of the directory", deviceID)
	}
	s.devices[deviceID], s.keys[hash] = dev, deviceID
	return dev, nil
}

// response returns a RequestSecurityTokenResponseCollection with a document.
func (s *Server) response(document string) string {
	tokenType, valueType, disposition := typeDeviceToken, typeProvision, `<DispositionMessage xmlns="`+nsEnrollment+`"/>`
	if s.Quirks.OtherTypes {
		tokenType, valueType = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3", typePKCS7
	}
	if s.Quirks.NoDisposition {
		disposition = ""
	}
	return `<RequestSecurityTokenResponseCollection xmlns="` + nsTrust + `"><RequestSecurityTokenResponse>` +
		`<TokenType>` + tokenType + `</TokenType>` + disposition +
		`<RequestedSecurityToken><BinarySecurityToken xmlns="` + nsSecurity + `" ValueType="` + valueType +
		`" EncodingType="` + typeBase64 + `">` + base64.StdEncoding.EncodeToString([]byte(document)) +
		`</BinarySecurityToken></RequestedSecurityToken><RequestID xmlns="` + nsEnrollment + `">0</RequestID>` +
		`</RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>`
}
