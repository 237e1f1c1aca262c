package wire_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// The clocks of service and device are named if they differ and the service speaks of time.
func TestClocks(t *testing.T) {
	local := time.Date(2026, 11, 29, 2, 28, 0, 0, time.UTC)
	const (
		slow  = "The service's clock says 2024-11-29 02:28 UTC, this device's 2026-11-29 02:28. If this device's is right, tell the service's operator."
		stamp = "AADSTS50155: device certificate is not valid now. Timestamp: 2024-11-29 02:28:05Z"
	)
	date := func(s string) http.Header { return http.Header{"Date": {s}} }
	for name, c := range map[string]struct {
		header        http.Header
		message, want string
	}{
		"date":          {date("Fri, 29 Nov 2024 02:28:00 GMT"), "the token has expired", slow},
		"of a cache":    {http.Header{"Date": {"Fri, 29 Nov 2024 02:28:00 GMT"}, "Age": {"1"}}, "the token has expired", ""},
		"near":          {date("Sun, 29 Nov 2026 02:30:00 GMT"), "the token has expired", ""},
		"other message": {date("Fri, 29 Nov 2024 02:28:00 GMT"), "no such tenant", ""},
		"no date":       {nil, "the token has expired", ""},
		"timestamp":     {date("Sun, 29 Nov 2026 02:28:00 GMT"), stamp, slow},
		"crypto/x509":   {nil, "certificate has expired or is not yet valid: current time 2024-11-29T02:28:39Z is before 2026", slow},
		"no time":       {nil, "expired. Timestamp: 2024-99-29 02:28:05Z", ""},
	} {
		if got := wire.ClocksOf(c.header, local).Remedy(c.message); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := (wire.Clocks{}).Remedy(stamp); got != "" {
		t.Error(got)
	}
}
