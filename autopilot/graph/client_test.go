package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// register registers devices quickly.
func register(t testing.TB, c *graph.Client, serials ...string) []graph.Result {
	t.Helper()
	var rows []autopilot.Row
	for _, s := range serials {
		rows = append(rows, row(s))
	}
	r := &graph.Registration{Client: c, Until: graph.StageRegistered, Pause: quick}
	results, err := r.Run(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// A mock hash never leaves for a real service, nor does a token by plain http.
func TestMockStays(t *testing.T) {
	asked := 0
	no := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { asked++; return nil, errors.New("no network") })}
	for _, base := range []string{"", "https://graph.microsoft.com", "https://graph.microsoft.us/", "https://10.0.0.1"} {
		c := &graph.Client{BaseURL: base, HTTPClient: no, Token: token}
		_, err := c.Import(t.Context(), "", row("S1"))
		var e *graph.Error
		if !errors.Is(err, graph.ErrRefused) || !errors.Is(err, autopilot.ErrRefused) || !errors.As(err, &e) || e.Op != "Import" || e.Remedy() == "" {
			t.Errorf("%q: %v", base, err)
		}
		if _, err := c.Import(t.Context(), "", row("S1"), row("S2")); !errors.Is(err, graph.ErrRefused) {
			t.Errorf("%q: %v", base, err)
		}
	}
	for _, base := range []string{"http://graph.example", "ftp://127.0.0.1"} {
		if _, err := (&graph.Client{BaseURL: base, HTTPClient: no, Token: token}).Device(t.Context(), "x"); !errors.Is(err, wire.ErrInsecure) {
			t.Errorf("%q: %v", base, err)
		}
	}
	if asked != 0 {
		t.Errorf("%d requests were sent", asked)
	}
}

// A redirect is not followed, and nothing of the URL's secrets is in the error.
func TestRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	_, err := (&graph.Client{BaseURL: strings.Replace(server.URL, "//", "//user:pw@", 1), Token: token}).Device(t.Context(), "x")
	var e *graph.Error
	if !errors.As(err, &e) || e.HTTPStatus != http.StatusTemporaryRedirect || e.Retryable() || !strings.Contains(e.Remedy(), "proxy") || strings.Contains(err.Error(), "pw") {
		t.Error(err)
	}
}

// Collections have pages. A page may not lead the token to another host, and pages
// end.
func TestPages(t *testing.T) {
	s := &autopilottest.Server{PageSize: 2}
	c := start(t, s)
	register(t, c, "S1", "S2", "S3", "S4", "S5")
	var serials []string
	for d, err := range c.Devices(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		serials = append(serials, d.Serial)
	}
	if strings.Join(serials, " ") != "S1 S2 S3 S4 S5" {
		t.Error(serials)
	}
	for d := range c.Devices(t.Context()) {
		if d.Serial != "S1" {
			t.Error(d.Serial)
		}
		break
	}
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host got %s, %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	var liar *httptest.Server
	liar = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := other.URL
		if r.URL.Path == "/v1.0"+"/deviceManagement/importedWindowsAutopilotDeviceIdentities" {
			next = liar.URL + r.URL.Path
		}
		json.NewEncoder(w).Encode(map[string]any{"value": []any{map[string]any{"id": "1"}, nil}, "@odata.nextLink": next})
	}))
	defer liar.Close()
	c = &graph.Client{BaseURL: liar.URL, Token: token}
	var last error
	n := 0
	for _, err := range c.Devices(t.Context()) {
		n++
		last = err
	}
	if !errors.Is(last, graph.ErrMalformed) || n != 2 {
		t.Errorf("another host: %d, %v", n, last)
	}
	n = 0
	for _, err := range c.Imports(t.Context(), "") {
		n++
		last = err
	}
	if !errors.Is(last, graph.ErrMalformed) || n != 3 {
		t.Errorf("pages without end: %d, %v", n, last)
	}
}

// Find works around the filters that the service lacks.
func TestFind(t *testing.T) {
	s := &autopilottest.Server{PageSize: 1}
	c := start(t, s)
	register(t, c, "S1", "S12", "5f0c-42-3", "it's 4")
	for serial, want := range map[string]int{"S1": 1, "s12": 1, "S": 0, "5F0C-42-3": 1, "it's 4": 1, "x-y": 0} {
		found, err := c.Find(t.Context(), serial)
		if err != nil || len(found) != want {
			t.Errorf("%q: %d, %v", serial, len(found), err)
		}
	}
}

// A device is changed, and deleted only as it was read.
func TestDevice(t *testing.T) {
	s := &autopilottest.Server{}
	c := start(t, s)
	id := register(t, c, "S1")[0].Device.ID
	old, err := c.Device(t.Context(), id)
	if err != nil || old.Manufacturer != "Mock Manufacturer" || old.Model != "Mock Book 14" || old.EnrollmentState != "notContacted" {
		t.Fatalf("%+v, %v", old, err)
	}
	if err := c.Update(t.Context(), id, graph.Properties{GroupTag: "Tag", DisplayName: "PC-1"}); err != nil {
		t.Error(err)
	}
	if err := c.AssignUser(t.Context(), id, "a@contoso.test", "Ann"); err != nil {
		t.Error(err)
	}
	d, err := c.Device(t.Context(), id)
	if err != nil || d.GroupTag != "Tag" || d.DisplayName != "PC-1" || d.User != "a@contoso.test" || d.UserName != "Ann" {
		t.Errorf("%+v, %v", d, err)
	}
	if err := c.UnassignUser(t.Context(), id); err != nil {
		t.Error(err)
	}
	err = c.AssignUser(t.Context(), id, "nobody", "")
	var e *graph.Error
	if !errors.As(err, &e) || e.HTTPStatus != 400 || e.GraphCode != "BadRequest" || e.Message != `the user "nobody" is not valid` || e.RequestID == "" || e.Protocol() != "Graph BadRequest" {
		t.Errorf("%+v", e)
	}
	err = c.Delete(t.Context(), old)
	if !errors.Is(err, graph.ErrChanged) || !errors.As(err, &e) || e.HTTPStatus != 412 || e.Remedy() == "" || e.Retryable() {
		t.Errorf("stale: %v", err)
	}
	if d, err = c.Device(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), d); err != nil {
		t.Error(err)
	}
	if err := c.Delete(t.Context(), d); !errors.Is(err, graph.ErrGone) {
		t.Errorf("again: %v", err)
	}
	if _, err := c.Device(t.Context(), id); !errors.Is(err, graph.ErrGone) || !errors.As(err, &e) || e.HRESULT() != 0x80190194 || e.Remedy() == "" {
		t.Errorf("gone: %v", err)
	}
}

// What only the beta version has.
func TestBeta(t *testing.T) {
	s := &autopilottest.Server{Profile: &autopilot.Profile{Name: "Self", OOBEConfig: 16 + 32 + 64, DeviceName: "PC-%SERIAL%"}}
	c := start(t, s)
	id := register(t, c, "S1")[0].Device.ID
	s.Block(id)
	a, err := c.AssignmentBeta(t.Context(), id)
	if err != nil || a.Userless != "blocked" || a.Status != "notAssigned" || a.Ready() || a.Profile != nil || a.Intended == nil || s.Allowed(id) {
		t.Errorf("%+v, %v", a, err)
	}
	if err := c.UnblockBeta(t.Context(), id); err != nil || !s.Allowed(id) {
		t.Errorf("unblock: %v", err)
	}
	if err := c.UnblockBeta(t.Context(), "nobody"); !errors.Is(err, graph.ErrGone) {
		t.Error(err)
	}
	for p, err := range c.ProfilesBeta(t.Context()) {
		if err != nil || p.Name != "Self" || p.Experience.DeviceUsage != "shared" || p.NameFormat != "PC-%SERIAL%" || !p.PreProvisioning {
			t.Errorf("%+v, %v", p, err)
		}
	}
	for status, ready := range map[string]bool{"assignedInSync": true, "assignedUnkownSyncState": true, "assignedOutOfSync": false, "pending": false, "": false} {
		if (&graph.Assignment{Status: status}).Ready() != ready {
			t.Error(status)
		}
	}
}

// Nothing is deleted before it was listed.
func TestCleanUp(t *testing.T) {
	objects := map[string][]graph.DirectoryDevice{}
	s := &autopilottest.Server{
		Objects: func(id string) []graph.DirectoryDevice { return objects[strings.ToLower(id)] },
		RemoveObject: func(id string) bool {
			for ztdID, list := range objects {
				if len(list) > 0 && list[0].ID == id {
					delete(objects, ztdID)
					return true
				}
			}
			return false
		},
	}
	c := start(t, s)
	d := register(t, c, "S1", "S2")
	objects[d[0].Device.ID] = []graph.DirectoryDevice{{ID: "o1", DeviceID: "d1", Name: "PC-1", PhysicalIDs: []string{"[ZTDID]:" + d[0].Device.ID}}}
	s.AddManaged(graph.ManagedDevice{Serial: "S1", Name: "PC-1"})
	s.AddManaged(graph.ManagedDevice{Serial: "S2", Name: "PC-2"})
	plan, err := c.PlanCleanUp(t.Context(), "S1")
	if err != nil || len(plan.Managed) != 1 || len(plan.Registrations) != 1 || len(plan.Directory) != 1 || plan.Empty() || strings.Count(plan.String(), "\n") != 3 {
		t.Fatalf("%v\n%v", plan, err)
	}
	if err := c.Delete(t.Context(), &plan.Registrations[0]); err == nil {
		t.Error("a managed device was deleted")
	}
	if err := c.DeleteDirectoryDevice(t.Context(), "o1"); err == nil {
		t.Error("the object of a registered device was deleted")
	}
	if n, err := c.CleanUp(t.Context(), plan); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := c.CleanUp(t.Context(), plan); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	if left := s.Devices(); len(left) != 1 || left[0].Serial != "S2" {
		t.Errorf("%+v", left)
	}
	if plan, err := c.PlanCleanUp(t.Context(), "S1"); err != nil || !plan.Empty() {
		t.Errorf("%v, %v", plan, err)
	}
}

// The test server refuses what the real one refuses.
func TestServerChecks(t *testing.T) {
	s := &autopilottest.Server{Token: func(token string) error {
		if token != "secret-token" {
			return errors.New("unknown")
		}
		return nil
	}}
	h := httptest.NewServer(s)
	defer h.Close()
	const imports = "/v1.0/deviceManagement/importedWindowsAutopilotDeviceIdentities"
	hash := device("S1").Text()
	for name, tt := range map[string]struct {
		method, path, token, body string
		status                    int
		word                      string
	}{
		"no token":     {"GET", imports, "", "", 401, "InvalidAuthenticationToken"},
		"wrong token":  {"GET", imports, "other", "", 401, "InvalidAuthenticationToken"},
		"no padding":   {"POST", imports, "secret-token", `{"serialNumber":"S1","hardwareIdentifier":"T0EEA"}`, 400, "Edm.Binary"},
		"no JSON":      {"POST", imports, "secret-token", `serialNumber=S1`, 400, "not valid"},
		"property":     {"POST", imports, "secret-token", `{"serial":"S1"}`, 400, "unknown field"},
		"type":         {"POST", imports, "secret-token", `{"@odata.type":"#microsoft.graph.device"}`, 400, "could not be resolved"},
		"empty batch":  {"POST", imports + "/import", "secret-token", `{"importedWindowsAutopilotDeviceIdentities":[]}`, 400, "0 devices"},
		"good":         {"POST", imports, "secret-token", `{"serialNumber":"S1","hardwareIdentifier":"` + hash + `"}`, 201, `"unknown"`},
		"no object":    {"GET", imports + "/x", "secret-token", "", 404, "ResourceNotFound"},
		"equality":     {"GET", "/v1.0/deviceManagement/windowsAutopilotDeviceIdentities?$filter=serialNumber+eq+'S1'", "secret-token", "", 400, "an error has occurred"},
		"select":       {"GET", "/v1.0/deviceManagement/windowsAutopilotDeviceIdentities?$select=id", "secret-token", "", 500, "InternalServerError"},
		"sync in v1.0": {"POST", "/v1.0/deviceManagement/windowsAutopilotSettings/sync", "secret-token", "", 404, ""},
		"no path":      {"GET", "/", "secret-token", "", 404, ""},
		"no method":    {"PUT", imports, "secret-token", "", 404, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, h.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.token != "" {
			req.Header.Set("Authorization", "Bearer "+tt.token)
		}
		res, err := h.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		fmt.Fprint(&b, res.Header)
		_, _ = fmt.Fprint(&b, readAll(res))
		if res.StatusCode != tt.status || !strings.Contains(b.String(), tt.word) {
			t.Errorf("%s: %d %s", name, res.StatusCode, b.String())
		}
	}
	if len(s.Refusals()) < 9 {
		t.Errorf("refusals: %q", s.Refusals())
	}
}

func readAll(res *http.Response) string {
	defer res.Body.Close()
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := res.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

// Errors say what happened, and no secret.
func TestError(t *testing.T) {
	for name, tt := range map[string]struct {
		err       graph.Error
		text      string
		hresult   uint32
		retryable bool
		remedy    bool
	}{
		"status":  {graph.Error{Op: "Sync", URL: "https://g/x", HTTPStatus: 503, GraphCode: "ServiceUnavailable", Message: "busy"}, `graph: Sync https://g/x: HTTP status 503: ServiceUnavailable: "busy"`, 0x801901F7, true, true},
		"code":    {graph.Error{Op: "Import", Code: 808, Name: "ZtdDeviceAssignedToOtherTenant"}, "graph: Import: ZTD 808/ZtdDeviceAssignedToOtherTenant", 0, false, true},
		"storage": {graph.Error{Op: "Import", Name: "StorageError"}, "graph: Import: ZTD StorageError", 0, true, true},
		"cause":   {graph.Error{Op: "Import", Err: graph.ErrMalformed}, "graph: Import: malformed answer", 0x8007000D, false, true},
		"token":   {graph.Error{Op: "Import", HTTPStatus: 401}, "graph: Import: HTTP status 401", 0x80190191, false, true},
		"right":   {graph.Error{Op: "Import", HTTPStatus: 403}, "graph: Import: HTTP status 403", 0x80190193, false, true},
		"often":   {graph.Error{Op: "Import", HTTPStatus: 429}, "graph: Import: HTTP status 429", 0x801901AD, true, true},
		"binary":  {graph.Error{Op: "Import", HTTPStatus: 400, Message: "type 'Edm.Binary'"}, `graph: Import: HTTP status 400: "type 'Edm.Binary'"`, 0x80190190, false, true},
	} {
		e := &tt.err
		if e.Error() != tt.text || e.HRESULT() != tt.hresult || e.Retryable() != tt.retryable || (e.Remedy() != "") != tt.remedy || e.Operation() != e.Op {
			t.Errorf("%s: %q, %#x, %v, %q", name, e.Error(), e.HRESULT(), e.Retryable(), e.Remedy())
		}
	}
	c := &graph.Client{BaseURL: "https://127.0.0.1:1", Token: func(context.Context) (string, error) { return "", errors.New("sign in") }}
	if _, err := c.Device(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "access token: sign in") {
		t.Error(err)
	}
	c.Token = token
	var e *graph.Error
	_, err := c.Find(t.Context(), "secret serial")
	if !errors.As(err, &e) || strings.Contains(err.Error(), "secret") || e.HRESULT() != 0x80072EFD || !e.Retryable() {
		t.Errorf("%v", err)
	}
}

// Without a Token the HTTP client authorizes.
func TestAuthorizedClient(t *testing.T) {
	s := &autopilottest.Server{}
	c := start(t, s)
	c.Token = nil
	if _, err := c.Find(t.Context(), "S1"); err == nil {
		t.Error("no authorization")
	}
	inner := c.HTTPClient.Transport
	c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer by-transport")
		return inner.RoundTrip(r)
	})}
	if _, err := c.Find(t.Context(), "S1"); err != nil {
		t.Error(err)
	}
}
