package omadm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The result tells which commands failed, for which nodes and how.
func TestFailures(t *testing.T) {
	item := func(uri string) string {
		return `<Item><Target><LocURI>` + uri + `</LocURI></Target><Data>1</Data></Item>`
	}
	s := &scripted{answers: []string{
		sync12(headerOK +
			`<Get><CmdID>2</CmdID>` + item("./DevInfo/DmV") + item("./No") + item("./Vendor/No") + `</Get>` +
			`<Replace><CmdID>3</CmdID>` + item("./DevDetail/SwV") + item("./DevDetail/HwV") + `</Replace>` +
			`<Replace><CmdID>4</CmdID>` + item("./Vendor/MSFT/A") + item("./User/A") + `</Replace>` +
			`<Atomic><CmdID>5</CmdID><Add><CmdID>6</CmdID>` + item("./Vendor/MSFT/B") + `</Add><Delete><CmdID>7</CmdID>` + item("./Vendor/MSFT/C") +
			`</Delete><Exec><CmdID>8</CmdID>` + item("./Vendor/MSFT/D") + `</Exec></Atomic>` +
			`<Exec><CmdID>9</CmdID><NoResp/>` + item("./Vendor/MSFT/%0A\u202e"+strings.Repeat("x", 1000)) + `</Exec>` +
			`<Alert><CmdID>10</CmdID><Data>1100</Data></Alert><Final/>`),
		sync12(`<Final/>`),
	}}
	result, err := scriptedSession(t, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range result.Failures {
		got = append(got, fmt.Sprintf("%.40s", f))
	}
	want := []string{
		"Get ./No: status 404", "Get ./Vendor/No: status 404",
		"Replace ./DevDetail/SwV: status 405", "Replace ./DevDetail/HwV: status 405",
		"Replace ./User/A: status 405",
		"Delete ./Vendor/MSFT/C: status 404", "Atomic: status 507",
		"Exec ./Vendor/MSFT/%0A�xxxxxxxxxxxxxxxxx",
		"Alert: status 406",
	}
	if !slices.Equal(got, want) || result.Failed != 8 {
		t.Errorf("%d failed: %q\nwant %q", result.Failed, got, want)
	}
	if long := result.Failures[7]; len(long.URI) > 1010 || long.Status != 404 || long.Command != "Exec" {
		t.Errorf("%+v", long)
	}
}

// A server that has everything fail fills no memory.
func TestFailuresLimit(t *testing.T) {
	get := `<Get><CmdID>2</CmdID>` + strings.Repeat(`<Item><Target><LocURI>./No</LocURI></Target></Item>`, 5000) + `</Get><Final/>`
	result, err := scriptedSession(t, &scripted{answers: []string{sync12(headerOK + get), sync12(`<Final/>`)}}, nil)
	if err != nil || len(result.Failures) != 1000 || result.Failed != 5000 {
		t.Errorf("%d of %d, %v", len(result.Failures), result.Failed, err)
	}
}
