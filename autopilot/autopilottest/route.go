package autopilottest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/refusal"
)

// maxBody limits the body of a request, in bytes.
const maxBody = 8 << 20

// Collections, below the version.
const (
	importsPath  = "/deviceManagement/importedWindowsAutopilotDeviceIdentities"
	devicesPath  = "/deviceManagement/windowsAutopilotDeviceIdentities"
	settingsPath = "/deviceManagement/windowsAutopilotSettings"
	profilesPath = "/deviceManagement/windowsAutopilotDeploymentProfiles"
	managedPath  = "/deviceManagement/managedDevices"
	objectsPath  = "/devices"
)

// A refused is why a request is not granted.
type refused struct {
	status int
	code   string        // Graph's word
	after  time.Duration // for Retry-After; 0: none
	reason error
}

func (e *refused) Error() string { return refusal.Text(e.reason) }

func refuse(status int, code, format string, args ...any) error {
	return &refused{status: status, code: code, reason: fmt.Errorf(format, args...)}
}

func bad(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "BadRequest", format, args...)
}

func notFound() error {
	return refuse(http.StatusNotFound, "ResourceNotFound", "the resource was not found")
}

// A request is one that was routed.
type request struct {
	*http.Request
	op   string
	beta bool
	id   string // of the object
	body []byte
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := s.route(w, r)
	if q.op == "" {
		http.NotFound(w, r)
		return
	}
	if s.Fail != nil && s.Fail(q.op, w) {
		return
	}
	if q.op == "Download" {
		s.serveDownload(w, q, err)
		return
	}
	w.Header().Set("request-id", newGUID())
	if err == nil {
		err = s.authorize(r)
	}
	var answer any
	if err == nil {
		answer, err = s.serve(q)
	}
	switch {
	case err != nil:
		s.refuse(w, q.op, err)
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		status := http.StatusOK
		if q.op == "Import" && !strings.HasSuffix(r.URL.Path, "/import") {
			status = http.StatusCreated
		}
		writeJSON(w, status, answer)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; odata.metadata=minimal; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// route finds the operation of a request, and reads its body. The error is about
// the body.
func (s *Server) route(w http.ResponseWriter, r *http.Request) (*request, error) {
	q := &request{Request: r}
	path := s.path(r)
	if path == ProfilePath {
		q.op = "Download"
	} else if rest, ok := strings.CutPrefix(path, "/beta/"); ok {
		q.beta = true
		q.op, q.id = operation(r.Method, "/"+rest, true)
	} else if rest, ok := strings.CutPrefix(path, "/v1.0/"); ok {
		q.op, q.id = operation(r.Method, "/"+rest, false)
	}
	if q.op == "" {
		return q, nil
	}
	var err error
	if q.body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		return q, bad("the body cannot be read: %v", err)
	}
	return q, nil
}

// operation returns the operation of a path, and the object's identifier.
func operation(method, path string, beta bool) (op, id string) {
	object := func(collection string) (id, action string, ok bool) {
		rest, ok := strings.CutPrefix(path, collection+"/")
		id, action, _ = strings.Cut(rest, "/")
		return id, action, ok && id != ""
	}
	on := map[string]string{
		"GET " + importsPath: "Imports", "POST " + importsPath: "Import", "POST " + importsPath + "/import": "Import",
		"GET " + devicesPath: "Devices", "GET " + managedPath: "ManagedDevices", "GET " + objectsPath: "DirectoryDevices",
	}
	if beta {
		on["POST "+settingsPath+"/sync"], on["GET "+settingsPath], on["GET "+profilesPath] = "SyncBeta", "SyncStatusBeta", "ProfilesBeta"
	}
	if op := on[method+" "+path]; op != "" {
		return op, ""
	}
	for collection, ops := range map[string]map[string]string{
		importsPath: {"GET ": "Imported", "DELETE ": "Forget"},
		managedPath: {"DELETE ": "DeleteManagedDevice"},
		objectsPath: {"DELETE ": "DeleteDirectoryDevice"},
		devicesPath: {
			"GET ": "Device", "DELETE ": "Delete", "POST updateDeviceProperties": "Update",
			"POST assignUserToDevice": "AssignUser", "POST unassignUserFromDevice": "UnassignUser",
		},
	} {
		if id, action, ok := object(collection); ok {
			op := ops[method+" "+action]
			switch {
			case beta && op == "Device":
				op = "AssignmentBeta"
			case beta && collection == devicesPath && method+" "+action == "POST allowNextEnrollment":
				op = "UnblockBeta"
			}
			return op, id
		}
	}
	return "", ""
}

// notOfToken reports whether no token has a character (RFC 6750, section 2.1).
func notOfToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/=", r)
}

// authorize checks the access token.
func (s *Server) authorize(r *http.Request) error {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch token = strings.TrimSpace(token); {
	case !ok || token == "":
		return refuse(http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty.")
	case strings.ContainsFunc(token, notOfToken):
		return refuse(http.StatusUnauthorized, "InvalidAuthenticationToken", "CompactToken parsing failed with error code: 80049217")
	}
	if s.Token == nil {
		return nil
	}
	if err := s.Token(token); err != nil {
		return refuse(http.StatusUnauthorized, "InvalidAuthenticationToken", "access token: %w", err)
	}
	return nil
}

// serve carries an operation of Graph out. A nil answer has no body.
func (s *Server) serve(q *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	if q.URL.Query().Has("$select") && strings.HasPrefix(q.op, "Device") {
		return nil, refuse(http.StatusInternalServerError, "InternalServerError", "an internal server error has occurred")
	}
	switch q.op {
	case "Import":
		return s.serveImport(q)
	case "Imports":
		return s.serveImports(q)
	case "Imported", "Forget":
		return s.serveRecord(q)
	case "Devices":
		return s.serveDevices(q)
	case "SyncBeta":
		return nil, s.serveSync()
	case "SyncStatusBeta":
		return s.syncStatus(), nil
	case "ProfilesBeta":
		return page(q, s, []any{s.deploymentJSON()}), nil
	case "ManagedDevices":
		return s.serveManaged(q)
	case "DeleteManagedDevice":
		return nil, s.deleteManaged(q.id)
	case "DirectoryDevices":
		return s.serveObjects(q)
	case "DeleteDirectoryDevice":
		return nil, s.deleteObject(q.id)
	}
	return s.serveDevice(q)
}

// refuse answers a request that is not granted, as Intune does: with JSON within
// the text.
func (s *Server) refuse(w http.ResponseWriter, op string, err error) {
	var no *refused
	if !errors.As(err, &no) {
		no = &refused{status: http.StatusInternalServerError, code: "InternalServerError", reason: err}
	}
	s.log.Add(s.Logger, op, no.reason)
	if no.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((no.after+time.Second-1)/time.Second)))
	}
	id := w.Header().Get("request-id")
	text, _ := json.MarshalIndent(map[string]any{
		"_version": 3, "CustomApiErrorPhrase": "", "RetryAfter": nil, "ErrorSourceService": "", "HttpHeaders": "{}",
		"Message": no.Error() + " - Operation ID (for customer support): 00000000-0000-0000-0000-000000000000 - Activity ID: " + id + " - Url: https://mock.test/",
	}, "", "  ")
	writeJSON(w, no.status, map[string]any{"error": map[string]any{
		"code": no.code, "message": string(text),
		"innerError": map[string]string{"date": s.now().UTC().Format("2006-01-02T15:04:05"), "request-id": id, "client-request-id": id},
	}})
}

// page returns a page of a collection, and links to the next.
func page[T any](q *request, s *Server, all []T) any {
	size := s.PageSize
	if size <= 0 {
		size = 50
	}
	query := q.URL.Query()
	start, err := strconv.Atoi(query.Get("$skiptoken"))
	if err != nil || start < 0 || start > len(all) {
		start = 0
	}
	end := min(start+size, len(all))
	out := map[string]any{"@odata.context": "https://mock.test/$metadata", "value": all[start:end]}
	if end < len(all) {
		query.Set("$skiptoken", strconv.Itoa(end))
		out["@odata.nextLink"] = s.base(q.Request) + s.path(q.Request) + "?" + query.Encode()
	}
	return out
}

// filter returns the value that a filter compares a property with, which must have
// the form before + quoted text + after. Without a filter, ok is false.
func filter(q *request, before, after string) (value string, ok bool, err error) {
	f := q.URL.Query().Get("$filter")
	if f == "" {
		return "", false, nil
	}
	rest, okBefore := strings.CutPrefix(f, before+"'")
	rest, okAfter := strings.CutSuffix(rest, "'"+after)
	if !okBefore || !okAfter || strings.Contains(strings.ReplaceAll(rest, "''", ""), "'") {
		return "", false, bad("an error has occurred: filter %q", f)
	}
	return strings.ReplaceAll(rest, "''", "'"), true, nil
}
