package provisiontest

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/provision"
)

// A request is an HTTP request whose body has been read, to find out which step
// it belongs to.
type request struct {
	*http.Request
	body []byte
}

// requests says which step a request belongs to: the step of the first row that
// fits. Requests of a row without a step do not go wrong, because clients can do
// without their answers.
var requests = []struct {
	step   provision.Step
	method string // "" for any
	path   *regexp.Regexp
	is     func(request) bool // nil for any
}{
	{step: provision.StepProfile, path: regexp.MustCompile(`^` + AutopilotPath + autopilottest.ProfilePath + `$`)},
	{step: provision.StepEK, path: regexp.MustCompile(`^/ek/`)},
	{step: provision.StepAIK, path: regexp.MustCompile(`^/aik/`)},
	{step: provision.StepDiscover, path: regexp.MustCompile(`(?i)/Discover$|/\.well-known/openid-configuration$`)},
	{step: provision.StepToken, path: regexp.MustCompile(`(?i)/tpmchallenge/`)},
	{step: provision.StepRejoin, path: tokenPath, is: request.ofUser},
	{step: provision.StepEnroll, path: tokenPath, is: request.ofDevice},
	{step: provision.StepSignIn, path: tokenPath, is: request.signed},
	{step: provision.StepToken, path: tokenPath}, // the proof, and nonces for whatever comes
	{step: provision.StepSeal, method: http.MethodDelete, path: devicePath},
	{step: provision.StepRejoin, method: http.MethodPost, path: devicePath, is: request.byUser},
	{step: provision.StepJoin, method: http.MethodPost, path: devicePath},
	{step: "", method: http.MethodGet, path: regexp.MustCompile(`^` + DiscoveryPath + `$`)},
	{step: provision.StepSession, path: regexp.MustCompile(`(?i)^` + ManagementPath + `/ManagementServer/`)},
	{step: provision.StepEnroll, path: regexp.MustCompile(`^` + ManagementPath + `/`)},
}

var (
	tokenPath  = regexp.MustCompile(`/oauth2/token$`)
	devicePath = regexp.MustCompile(`(?i)/EnrollmentServer/device(/|$)`)
)

// FaultSteps returns the steps that can go wrong: [StepTLS], then the steps of a
// run that make requests, in their order. The step of a token request is the step
// that it is made for.
func FaultSteps() []provision.Step {
	return []provision.Step{
		StepTLS, provision.StepProfile, provision.StepEK, provision.StepAIK, provision.StepDiscover, provision.StepToken, provision.StepJoin, provision.StepEnroll,
		provision.StepSession, provision.StepSeal, provision.StepRejoin, provision.StepSignIn,
	}
}

// step returns the step that the request belongs to, or "".
func (r request) step() provision.Step {
	for _, row := range requests {
		if (row.method == "" || row.method == r.Method) && row.path.MatchString(r.URL.Path) && (row.is == nil || row.is(r)) {
			return row.step
		}
	}
	return ""
}

// form returns a value of the form in the body, or "" if there is none.
func (r request) form(name string) string {
	form, err := url.ParseQuery(string(r.body))
	if err != nil {
		return ""
	}
	return form.Get(name)
}

// ofUser reports whether the request is a user's for a token without a device.
func (r request) ofUser() bool {
	switch r.form("grant_type") {
	case "password", "refresh_token", "authorization_code":
		return true
	}
	return false
}

// signed reports whether the request is that of a joined device, for itself or
// for a user on it.
func (r request) signed() bool { return r.form("request") != "" }

// ofDevice reports whether the request is that of a joined device for itself.
func (r request) ofDevice() bool { return claim(r.form("request"), "grant_type") == "device_token" }

// byUser reports whether the token in the request is a user's.
func (r request) byUser() bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return claim(token, "idtyp") == "user"
}

// claim returns a text claim of a JWT, or "" if it has none. It does not check the
// signature.
func claim(token, name string) string {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		return ""
	}
	text, _ := claims[name].(string)
	return text
}
