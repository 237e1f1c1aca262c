package graph_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/autopilot/graph"
)

// FuzzAnswer has each method read an answer of any kind.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1","serialNumber":"S1","state":{"deviceImportStatus":"unknown","deviceRegistrationId":"","deviceErrorCode":0,"deviceErrorName":""}}`,
		`{"value":[{"id":"1","state":{"deviceImportStatus":"error","deviceErrorCode":808,"deviceErrorName":"ZtdDeviceAssignedToOtherTenant"}},null]}`,
		`{"value":[{"id":"1","@odata.etag":"W/\"1\"","lastContactedDateTime":"0001-01-01T00:00:00Z"}],"@odata.nextLink":"https://127.0.0.1:1/x?$skiptoken=2"}`,
		`{"error":{"code":"BadRequest","message":"{\r\n \"_version\": 3,\r\n \"Message\": \"An error has occurred - Operation ID (for customer support): 0 - Activity ID: 1\"}","innerError":{"request-id":"1"}}}`,
		`{"error":{"code":"x","message":"Cannot convert the literal 'T0E' to the expected type 'Edm.Binary'."}}`,
		`{"deploymentProfileAssignmentStatus":"assignedUnkownSyncState","deploymentProfile":{"outOfBoxExperienceSettings":{"hideEULA":true}},"intendedDeploymentProfile":null}`,
		`{"id":"1","deploymentProfileAssignmentStatus":"assignedInSync","deploymentProfile":{"outOfBoxExperienceSetting":{"eulaHidden":true},"extractHardwareHash":true}}`,
		`{"syncStatus":"inProgress","lastSyncDateTime":"2026-01-02T03:04:05.1234567Z"}`, `null`, `[]`, ``, `{"value":{}}`, `<html>`,
	} {
		f.Add(200, seed)
		f.Add(400, seed)
	}
	f.Add(429, "")
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		asked := 0
		c := &graph.Client{BaseURL: "https://127.0.0.1:1", Token: token, HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if asked++; r.URL.Host != "127.0.0.1:1" {
				t.Errorf("asked %s", r.URL)
			}
			return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {body}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})}}
		check := func(err error) {
			var e *graph.Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%T: %v", err, err)
			}
			if e != nil {
				_, _, _, _, _ = e.Error(), e.Remedy(), e.HRESULT(), e.Retryable(), e.Protocol()
				if len(e.Message) > 1003 {
					t.Errorf("message of %d bytes", len(e.Message))
				}
			}
		}
		records, err := c.Import(t.Context(), "", row("S1"))
		check(err)
		for _, r := range records {
			check(r.State.Err())
		}
		_, err = c.Find(t.Context(), "S1")
		check(err)
		_, err = c.AssignmentBeta(t.Context(), "1")
		check(err)
		_, err = c.SyncStatusBeta(t.Context())
		check(err)
		n := 0
		for _, err := range c.Imports(t.Context(), "") {
			if check(err); err != nil || n > 100 {
				break
			}
			n++
		}
	})
}
