package omadm_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/mdm"
)

// If a refusal is about time and the service's clock differs, the remedy has both clocks.
func TestClocks(t *testing.T) {
	for said, late := range map[string]bool{"the client certificate is not valid now": true, "no such device": false} {
		s := &scripted{answers: []string{said}, status: http.StatusForbidden, header: http.Header{"Date": {"Fri, 29 Nov 2019 02:28:00 GMT"}}}
		_, err := scriptedSession(t, s, nil)
		var e *mdm.Error
		if !errors.As(err, &e) || e.HTTPStatus != http.StatusForbidden || e.Message != said {
			t.Errorf("%v", err)
		}
		d := diagnose.Explain(err)
		if strings.HasPrefix(d.Remedy, "The service's clock says 2019-11-29 02:28 UTC") != late || d.HRESULT != 0x80190193 {
			t.Errorf("%s: %+v", said, d)
		}
	}
}
