package omadm_test

import (
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/mdm/internal/fixture"
	"github.com/whiteglove/whiteglove/mdm/mdmtest"
	"github.com/whiteglove/whiteglove/mdm/omadm"
)

// A device names itself by its identifier without hyphens, or as the caller
// likes, where the server knows it by its certificate.
func TestSource(t *testing.T) {
	const imei = "imei:562a7f9a-6cd8-40b0-9e7e-0dbdd8a1b2c3"
	m := fixture.Manage(t, fixture.Plain{Signer: fixture.Key()}, mdmtest.SessionConfig{})
	m.Run(t)
	m.Session.Source = imei
	if _, err := m.Session.Run(t.Context()); err == nil {
		t.Error("a server that knows devices by their source takes another")
	}
	m.Configure(func(c *mdmtest.SessionConfig) {
		c.Quirks.AnySource = true
		c.Commands = []mdmtest.Command{mdmtest.Read("./DevInfo/DevId")}
	})
	m.Run(t)
	if done := m.Server.Responses(fixture.Device); len(done) != 1 || done[0].Result.Data != imei {
		t.Errorf("%+v, %q", done, m.Server.Refusals())
	}
	m.Session.Source = ""
	m.Run(t)
	s := &scripted{answers: []string{sync12(headerOK + "<Final/>")}}
	if _, err := scriptedSession(t, s, func(o *omadm.Session) { o.Device.ID = fixture.Device }); err != nil || strings.Count(s.heard[0], strings.ReplaceAll(fixture.Device, "-", "")) != 2 {
		t.Errorf("%v, %s", err, s.heard)
	}
	for _, bad := range []string{"a b", "\n", "ü", strings.Repeat("x", 129)} {
		if _, err := scriptedSession(t, s, func(o *omadm.Session) { o.Source = bad }); err == nil || !strings.Contains(err.Error(), "the source") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if len(s.heard) != 1 {
		t.Errorf("%d messages sent", len(s.heard))
	}
}
