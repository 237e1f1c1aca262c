package mdmtest

import (
	"net/http"
	"regexp"
	"slices"
)

// enrollmentVersion is the newest version that a server with empty fields
// knows.
const enrollmentVersion = "5.0"

// azureVersion is the version from which on policies ask for Azure Attestation.
const azureVersion = "6.0"

// version returns the newest version that the server knows.
func (s *Server) version() string {
	switch {
	case s.EnrollmentVersion != "":
		return s.EnrollmentVersion
	case s.Azure != nil:
		return azureVersion
	}
	return enrollmentVersion
}

var (
	email       = regexp.MustCompile(`^([^@]+@[^@.]+\..+|[^@\\]+\\[^@\\]+)$`)
	version     = regexp.MustCompile(`^[1-9]\.0$`)
	fourNumbers = regexp.MustCompile(`^\d{1,9}(\.\d{1,9}){3}$`)
	decimal     = regexp.MustCompile(`^\d{1,9}$`)
	deviceTypes = []string{"CIMClient_Windows", "WindowsPhone", "WindowsHandheld"}
)

// A discoverRequest is the element Discover ([MS-MDE2] section 3.1).
type discoverRequest struct {
	Request []struct {
		Email    string   `xml:"http://schemas.microsoft.com/windows/management/2012/01/enrollment EmailAddress"`
		Version  string   `xml:"http://schemas.microsoft.com/windows/management/2012/01/enrollment RequestVersion"`
		Type     string   `xml:"http://schemas.microsoft.com/windows/management/2012/01/enrollment DeviceType"`
		App      string   `xml:"http://schemas.microsoft.com/windows/management/2012/01/enrollment ApplicationVersion"`
		Edition  string   `xml:"http://schemas.microsoft.com/windows/management/2012/01/enrollment OSEdition"`
		Policies []string `xml:"http://schemas.microsoft.com/windows/management/2012/01/enrollment AuthPolicies>AuthPolicy"`
	} `xml:"http://schemas.microsoft.com/windows/management/2012/01/enrollment request"`
}

// serveDiscover answers a discovery.
func (s *Server) serveDiscover(r *http.Request, e *envelope) (string, error) {
	body := e.Body[0].Discover
	if len(body) != 1 || len(body[0].Request) != 1 {
		return "", malformed("the body is not a Discover with one request")
	}
	q := body[0].Request[0]
	switch {
	case !email.MatchString(q.Email):
		return "", malformed("EmailAddress %.100q", q.Email)
	case q.Version != "" && !version.MatchString(q.Version):
		return "", malformed("RequestVersion %.100q", q.Version)
	case !slices.Contains(deviceTypes, q.Type):
		return "", malformed("DeviceType %.100q", q.Type)
	case !fourNumbers.MatchString(q.App):
		return "", malformed("ApplicationVersion %.100q", q.App)
	case !decimal.MatchString(q.Edition):
		return "", malformed("OSEdition %.100q", q.Edition)
	case !slices.Contains(q.Policies, "Federated"):
		return "", malformed("AuthPolicies %.100q have no Federated", q.Policies)
	case s.Quirks.FewVersions && !slices.Contains([]string{"4.0", "5.0", "6.0"}, q.Version):
		return "", malformed("RequestVersion %.100q is not supported", q.Version)
	case s.Quirks.FewVersions && !slices.Contains(q.Policies, "OnPremise"):
		return "", malformed("AuthPolicies %.100q have no OnPremise", q.Policies)
	}
	answered := s.version()
	if q.Version != "" {
		answered = min(answered, q.Version) // both have one digit before the dot
	}
	base, auth := escape(s.base(r)), "Federated"
	if s.Quirks.SaysOnPremise {
		auth = "OnPremise"
	}
	answered = `<EnrollmentVersion>` + answered + `</EnrollmentVersion>`
	if s.Quirks.NoEnrollmentVersion {
		answered = ""
	}
	return `<DiscoverResponse xmlns="` + nsDiscovery + `"><DiscoverResult>` +
		`<AuthPolicy>` + auth + `</AuthPolicy>` + answered +
		`<EnrollmentPolicyServiceUrl>` + base + policyPath + `</EnrollmentPolicyServiceUrl>` +
		`<EnrollmentServiceUrl>` + base + enrollmentPath + `</EnrollmentServiceUrl>` +
		`</DiscoverResult></DiscoverResponse>`, nil
}
