package mdm

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/soap"
)

// Namespaces and other fixed strings of messages ([MS-MDE2] section 2.2.1).
const (
	nsAddressing = "http://www.w3.org/2005/08/addressing"
	nsUtility    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	nsSecurity   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsTrust      = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	nsContext    = "http://schemas.xmlsoap.org/ws/2006/12/authorization"
	nsDiscovery  = "http://schemas.microsoft.com/windows/management/2012/01/enrollment"
	nsPolicy     = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"
	nsEnrollment = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment"
	nsInstance   = "http://www.w3.org/2001/XMLSchema-instance"

	actionDiscover = nsDiscovery + "/IDiscoveryService/Discover"
	actionPolicy   = nsPolicy + "/IPolicy/GetPolicies"
	actionEnroll   = nsEnrollment + "/RST/wstep"

	anonymous     = nsAddressing + "/anonymous"
	typeJWT       = "urn:ietf:params:oauth:token-type:jwt"
	typePKCS10    = nsEnrollment + "#PKCS10"
	typeBase64    = nsSecurity + "#base64binary"
	typeToken     = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken"
	typePKCS7     = nsEnrollment + "#PKCS7"
	typePKCS7Spec = nsSecurity + "#PKCS7"
	requestIssue  = nsTrust + "/Issue"
	requestRenew  = nsTrust + "/Renew"

	requestRecovery = nsTrust + "/Recovery"

	contentType   = "application/soap+xml; charset=utf-8"
	defaultUser   = "user@alt.none" // stands for a user where there is none
	defaultSchema = "5.0"
)

// A message is a SOAP request without its addressing.
type message struct {
	action string
	secret string // content of wsse:Security; "" for none
	body   string // XML

	warnings        []string // of the token
	preprovisioning bool     // the device enrolls without a user
	password        bool     // secret is a name and a password
}

// envelope returns a request in XML. It uses no general encoder, because
// servers compare prefixes, the order of attributes and the absence of white
// space between elements literally.
func (m *message) envelope(id, to string) []byte {
	var b strings.Builder
	b.WriteString(`<s:Envelope xmlns:s="` + soap.Namespace12 + `" xmlns:a="` + nsAddressing + `" xmlns:u="` + nsUtility +
		`" xmlns:wsse="` + nsSecurity + `" xmlns:wst="` + nsTrust + `" xmlns:ac="` + nsContext + `">`)
	b.WriteString(`<s:Header><a:Action s:mustUnderstand="1">` + m.action + `</a:Action>`)
	b.WriteString(`<a:MessageID>` + id + `</a:MessageID>`)
	b.WriteString(`<a:ReplyTo><a:Address>` + anonymous + `</a:Address></a:ReplyTo>`)
	b.WriteString(`<a:To s:mustUnderstand="1">` + escape(to) + `</a:To>`)
	if m.secret != "" {
		b.WriteString(`<wsse:Security s:mustUnderstand="1">` + m.secret + `</wsse:Security>`)
	}
	b.WriteString(`</s:Header><s:Body>` + m.body + `</s:Body></s:Envelope>`)
	return []byte(b.String())
}

// escape returns s as character data of XML.
func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}

// messageID returns a new random urn:uuid (RFC 9562, version 4).
func messageID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
