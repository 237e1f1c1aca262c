package mdmtest

import (
	"net/http"
	"regexp"
	"slices"
)

// enrollmentVersion is the newest that the server knows.
const enrollmentVersion = "5.0"

var (
	email       = regexp.MustCompile(`^[^@]+@[^@.]+\..+$`)
	version     = regexp.MustCompile(`^[1-9]\.0$`)
	fourNumbers = regexp.MustCompile(`^\d{1,9}(\.\d{1,9}){3}$`)
	decimal     = regexp.MustCompile(`^\d{1,9}$`)
	deviceTypes = []string{"CIMClient_Windows", "WindowsPhone", "WindowsHandheld"}
)

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

func (s *Server) serveDiscover(r *http.Request, e *envelope) (string, error) {
	body := e.Body[0].Discover
	if len(body) != 1 || len(body[0].Request) != 1 {
		return "", malformed("the body is no Discover with one request")
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
	}
	answered := enrollmentVersion
	if q.Version != "" {
		answered = min(answered, q.Version) // of one digit each
	}
	base := escape(s.base(r))
	return `<DiscoverResponse xmlns="` + nsDiscovery + `"><DiscoverResult>` +
		`<AuthPolicy>Federated</AuthPolicy>` +
		`<EnrollmentVersion>` + answered + `</EnrollmentVersion>` +
		`<EnrollmentPolicyServiceUrl>` + base + policyPath + `</EnrollmentPolicyServiceUrl>` +
		`<EnrollmentServiceUrl>` + base + enrollmentPath + `</EnrollmentServiceUrl>` +
		`</DiscoverResult></DiscoverResponse>`, nil
}
