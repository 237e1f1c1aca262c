package mdm_test

import (
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
)

// Servers that come with an authority of their own go on with it after its root
// has expired. The error names the root and not the device's certificate.
func TestRootEnded(t *testing.T) {
	then := time.Now().AddDate(-11, 0, 0)
	s := &mdmtest.Server{Now: func() time.Time { return then }}
	s.Certificates() // makes the authority
	s.Now = nil
	discovery, h := startTLS(t, s)
	_, err := enroll(t, &mdm.Client{HTTPClient: h}, discovery)
	e := failure(t, err)
	for _, want := range []string{`"CN=Test MDM Device CA" has expired`, then.AddDate(10, 0, -3).Format("2006")} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("no %q in %v", want, e)
		}
	}
	if strings.Contains(e.Error(), testDevice) || e.HRESULT() != 0x8018001E || !strings.Contains(e.Remedy(), "the operator of the management server must replace the CA certificate") {
		t.Errorf("%v; %s", e, e.Remedy())
	}
}
