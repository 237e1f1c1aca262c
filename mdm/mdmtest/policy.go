package mdmtest

import (
	"net/http"
	"strings"
)

// A policyRequest is the element GetPolicies ([MS-XCEP]).
type policyRequest struct {
	Client []struct {
		LastUpdate        []struct{} `xml:"http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy lastUpdate"`
		PreferredLanguage []struct{} `xml:"http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy preferredLanguage"`
	} `xml:"http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy client"`
	Filter []struct{} `xml:"http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy requestFilter"`
}

// servePolicy answers a question for the policy.
func (s *Server) servePolicy(_ *http.Request, e *envelope) (string, error) {
	body := e.Body[0].GetPolicies
	if len(body) != 1 || len(body[0].Client) != 1 || len(body[0].Filter) != 1 {
		return "", malformed("the body is not a GetPolicies with client and requestFilter")
	}
	if c := body[0].Client[0]; len(c.LastUpdate) != 1 || len(c.PreferredLanguage) != 1 {
		return "", malformed("client has no lastUpdate or no preferredLanguage")
	}
	who, err := s.authenticate(e)
	if err != nil {
		return "", err
	}
	if err := s.denied("Policy", who.id); err != nil {
		return "", err
	}
	return s.policy(), nil
}

// policy returns the policy according to the server's fields and quirks.
func (s *Server) policy() string {
	if s.Quirks.EmptyPolicy {
		return `<GetPoliciesResponse xmlns="` + nsPolicy + `"><xcep:response xsi:nil="true"/><xcep:cAs xsi:nil="true"/><xcep:oIDs xsi:nil="true"/></GetPoliciesResponse>`
	}
	var changes []string
	if s.Quirks.BareProviders {
		changes = append(changes, "<cryptoProviders>", "", "</cryptoProviders>", "")
	}
	if s.Quirks.WrongOIDs {
		changes = append(changes, "<value>2.16.840.1.101.3.4.2.1</value><group>1<", "<value>1.3.14.3.2.29</value><group>4<", "<group>3<", "<group>2<")
	}
	if s.Quirks.LongKeys {
		changes = append(changes, "<minimalKeyLength>2048<", "<minimalKeyLength>4096<")
	}
	behavior := s.Attestation
	if behavior == "" && s.RequireAttestation {
		behavior = "FailOnError"
	}
	if behavior != "" {
		changes = append(changes, "</algorithmOIDReference>", "</algorithmOIDReference><AttestationFailureBehavior>"+behavior+"</AttestationFailureBehavior>"+
			"<OperationTimeout>100</OperationTimeout>")
	}
	if s.Azure != nil && s.version() >= azureVersion {
		changes = append(changes, "</attributes>", "<attestation><azureAttestation><nonce>"+s.newNonce()+"</nonce><relyingPartyId>"+escape(s.relyingParty())+
			"</relyingPartyId><endpointUri>"+escape(s.Azure.BaseURL)+"</endpointUri></azureAttestation></attestation></attributes>")
	}
	return strings.NewReplacer(changes...).Replace(policyXML)
}

// policyXML is the server's policy: an RSA key of at least 2048 bits, SHA-256,
// a certificate for one year. OID reference 0 is the hash, 1 the key.
var policyXML = strings.Join(strings.Fields(policyText), " ")

const policyText = `<GetPoliciesResponse xmlns="` + nsPolicy + `" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<response><policyID>{6B9C8C2D-4E0A-4C61-9A3F-7D51B6D3F1E2}</policyID><policyFriendlyName xsi:nil="true"/>
<nextUpdateHours xsi:nil="true"/><policiesNotChanged xsi:nil="true"/>
<policies><policy><policyOIDReference>2</policyOIDReference><cAs xsi:nil="true"/><attributes>
<commonName>DeviceManagement</commonName><policySchema>3</policySchema>
<certificateValidity><validityPeriodSeconds>31536000</validityPeriodSeconds><renewalPeriodSeconds>3628800</renewalPeriodSeconds></certificateValidity>
<permission><enroll>true</enroll><autoEnroll>false</autoEnroll></permission>
<privateKeyAttributes><minimalKeyLength>2048</minimalKeyLength><keySpec xsi:nil="true"/><keyUsageProperty xsi:nil="true"/>
<permissions xsi:nil="true"/><algorithmOIDReference>1</algorithmOIDReference>
<cryptoProviders><provider>Microsoft Platform Crypto Provider</provider><provider>Microsoft Software Key Storage Provider</provider></cryptoProviders>
</privateKeyAttributes>
<revision><majorRevision>101</majorRevision><minorRevision>0</minorRevision></revision>
<supersededPolicies xsi:nil="true"/><privateKeyFlags xsi:nil="true"/><subjectNameFlags xsi:nil="true"/><enrollmentFlags xsi:nil="true"/>
<generalFlags xsi:nil="true"/><hashAlgorithmOIDReference>0</hashAlgorithmOIDReference><rARequirements xsi:nil="true"/>
<keyArchivalAttributes xsi:nil="true"/><extensions xsi:nil="true"/></attributes></policy></policies></response>
<cAs xsi:nil="true"/><oIDs>
<oID><value>2.16.840.1.101.3.4.2.1</value><group>1</group><oIDReferenceID>0</oIDReferenceID><defaultName>szOID_NIST_sha256</defaultName></oID>
<oID><value>1.2.840.113549.1.1.1</value><group>3</group><oIDReferenceID>1</oIDReferenceID><defaultName>szOID_RSA_RSA</defaultName></oID>
<oID><value>1.3.6.1.4.1.311.21.8.1</value><group>9</group><oIDReferenceID>2</oIDReferenceID><defaultName>DeviceManagement</defaultName></oID>
</oIDs></GetPoliciesResponse>`
