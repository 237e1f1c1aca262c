package mdmtest

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
)

// Fixed strings of a RequestSecurityToken and its answer.
const (
	typeDeviceToken = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken"
	typeProvision   = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentProvisionDoc"
	typePKCS10      = nsEnrollment + "#PKCS10"
	requestIssue    = nsTrust + "/Issue"
)

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

// A device is one that is or was enrolled.
type device struct {
	directoryID string // the directory's identifier, from the token
	id          string // the server's own, EntDMID
}

func (s *Server) serveEnroll(r *http.Request, e *envelope) (string, error) {
	directoryID, err := s.authenticate(e)
	if err != nil {
		return "", err
	}
	der, context, err := readEnroll(e)
	if err != nil {
		return "", err
	}
	if err := s.checkContext(context); err != nil {
		return "", err
	}
	key, err := checkCSR(der, context.get("DeviceID"))
	if err != nil {
		return "", err
	}
	dev, err := s.claim(context.get("DeviceID"), directoryID, key)
	if err != nil {
		return "", err
	}
	cert, err := s.ca.issue(key, dev.id, s.now())
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.enrolled = append(s.enrolled, cert)
	s.mu.Unlock()
	if s.Logger != nil {
		s.Logger.Info("enrolled", "device", context.get("DeviceID"), "directory", directoryID, "subject", cert.Subject)
	}
	return response(s.document(s.base(r), dev.id, context.get("DeviceName"), cert)), nil
}

// readEnroll returns the certificate request and the context of a
// RequestSecurityToken.
func readEnroll(e *envelope) ([]byte, items, error) {
	if len(e.Body[0].Token) != 1 {
		return nil, nil, malformed("the body is no RequestSecurityToken")
	}
	q := e.Body[0].Token[0]
	switch {
	case len(q.TokenType) != 1 || q.TokenType[0] != typeDeviceToken:
		return nil, nil, malformed("token types %.200q", q.TokenType)
	case len(q.RequestType) != 1 || q.RequestType[0] != requestIssue:
		return nil, nil, malformed("request types %.200q", q.RequestType)
	case len(q.Token) != 1 || q.Token[0].ValueType != typePKCS10 || q.Token[0].EncodingType != typeBase64:
		return nil, nil, malformed("no one BinarySecurityToken with a PKCS #10 request")
	case len(q.Context) != 1:
		return nil, nil, malformed("no one AdditionalContext")
	}
	der, err := base64.StdEncoding.DecodeString(q.Token[0].Text)
	if err != nil {
		return nil, nil, malformed("certificate request: %w", err)
	}
	context := make(items)
	for _, item := range q.Context[0].Item {
		if item.Name == "" || len(item.Value) != 1 {
			return nil, nil, malformed("context item %.60q has %d values", item.Name, len(item.Value))
		}
		context[item.Name] = append(context[item.Name], item.Value[0])
	}
	return der, context, nil
}

func (s *Server) checkContext(i items) error {
	if err := i.check(); err != nil {
		return err
	}
	if err := s.checkKind(i); err != nil {
		return err
	}
	return s.checkAttestation(i)
}

// checkCSR judges a certificate request by the server's policy and returns its
// key.
func checkCSR(der []byte, deviceID string) (*rsa.PublicKey, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, refuse(certificateFault, "certificate request: %w", err)
	}
	key, ok := csr.PublicKey.(*rsa.PublicKey)
	switch {
	case !ok:
		return nil, refuse(certificateFault, "certificate request for a %T", csr.PublicKey)
	case key.N.BitLen() < minimalKeyLength:
		return nil, refuse(certificateFault, "key of %d bits", key.N.BitLen())
	case key.E < 65537:
		return nil, refuse(certificateFault, "key with exponent %d", key.E)
	case csr.SignatureAlgorithm != x509.SHA256WithRSA:
		return nil, refuse(certificateFault, "certificate request signed by %v", csr.SignatureAlgorithm)
	case len(csr.Subject.Names) != 1 || csr.Subject.CommonName != deviceID:
		return nil, refuse(certificateFault, "subject %.100q is not CN=%s, the DeviceID", csr.Subject, deviceID)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, refuse(certificateFault, "certificate request: %w", err)
	}
	return key, nil
}

// claim returns the device with a DeviceID, which may be new. A DeviceID stays
// with the device of the directory that had it first, and a key with its
// DeviceID. A device may enroll again, as it must when an answer was lost.
func (s *Server) claim(deviceID, directoryID string, key *rsa.PublicKey) (*device, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, refuse(certificateFault, "key: %w", err)
	}
	sum := sha256.Sum256(der)
	deviceID, hash := strings.ToLower(deviceID), string(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if owner, ok := s.keys[hash]; ok && owner != deviceID {
		return nil, refuse(certificateFault, "the key is that of another device")
	}
	dev := s.devices[deviceID]
	if dev == nil {
		dev = &device{directoryID: directoryID, id: newGUID()}
	}
	if dev.directoryID != directoryID {
		return nil, refuse(authorizationFault, "DeviceID %s is that of another device of the directory", deviceID)
	}
	s.devices[deviceID], s.keys[hash] = dev, deviceID
	return dev, nil
}

// response writes a RequestSecurityTokenResponseCollection.
func response(document string) string {
	return `<RequestSecurityTokenResponseCollection xmlns="` + nsTrust + `"><RequestSecurityTokenResponse>` +
		`<TokenType>` + typeDeviceToken + `</TokenType>` +
		`<DispositionMessage xmlns="` + nsEnrollment + `"/>` +
		`<RequestedSecurityToken><BinarySecurityToken xmlns="` + nsSecurity + `" ValueType="` + typeProvision +
		`" EncodingType="` + typeBase64 + `">` + base64.StdEncoding.EncodeToString([]byte(document)) +
		`</BinarySecurityToken></RequestedSecurityToken><RequestID xmlns="` + nsEnrollment + `">0</RequestID>` +
		`</RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>`
}
