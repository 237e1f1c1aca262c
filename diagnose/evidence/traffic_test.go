package evidence

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// tunnel is a line of a proxy's log: a second of the run, a result, bytes and a host.
func tunnel(second int, result string, size int, host string) string {
	return fmt.Sprintf("%d.000     90 10.0.0.7 %s %d CONNECT %s:443 jane HIER_DIRECT/20.1.1.1 -\n", start.Unix()+int64(second), result, size, host)
}

// proxyLog is the log of a run to its management, with a line for one host put in the
// place of its own, or added.
func proxyLog(host, line string) string {
	var b strings.Builder
	for i, h := range []string{"login.live.com", "ztd.dds.microsoft.com", "ekop.intel.com", "intc-keyid-0123.microsoftaik.azure.net", "enterpriseregistration.windows.net", "login.microsoftonline.com", "enrollment.manage.microsoft.com", "r.manage.microsoft.com", "naprodimedatapri.azureedge.net"} {
		if h == host {
			b.WriteString(line)
			continue
		}
		b.WriteString(tunnel(10*i, "TCP_TUNNEL/200", 9000, h))
	}
	return b.String()
}

func refused(host, result string) *bundle {
	return new(bundle).file("access.log", proxyLog(host, tunnel(100, result, 300, host)))
}

// articleHosts is the time line of the annotated capture of a run, driven by a user.
const articleHosts = `00:10 login.live.com
00:10 ocsp.digicert.com
00:12 ztd.dds.microsoft.com
00:18 licensing.mp.microsoft.com
00:18 fe2cr.update.microsoft.com
01:02 v20.events.data.microsoft.com
01:02 v10.events.data.microsoft.com
01:20 fe3cr.delivery.mp.microsoft.com
01:28 aadcdn.msauth.net
01:28 login.microsoftonline.com
01:56 wdcp.microsoft.com
01:56 tokenprovider.termsofuse.identitygovernance.azure.com
02:00 portal.manage.microsoft.com
02:01 enterpriseregistration.windows.net
02:10 fef.msua01.manage.microsoft.com
02:56 officecdn.microsoft.com
03:22 client.wns.windows.com
03:51 mobile.pipe.aria.microsoft.com
04:06 cp601-prod.do.dsp.mp.microsoft.com
04:45 config.teams.microsoft.com
11:39 ctldl.windowsupdate.com
16:45 kailani.one.microsoft.com
17:28 www.bing.com
17:54 maps.windows.com
`

// archive12 is an HTTP archive of entries: second, URL, status and what else the
// answer has.
func archive12(entries ...[4]any) string {
	var list []string
	for _, e := range entries {
		list = append(list, fmt.Sprintf(`{"startedDateTime":"2026-11-28T09:00:%02dZ","time":9,"request":{"method":"GET","url":"%s","headers":[{"name":"Authorization","value":"Bearer hunter22"}]},"response":{"status":%d,"content":{"text":"hunter22"}%s}}`, e[0], e[1], e[2], e[3]))
	}
	return `{"log":{"version":"1.2","entries":[` + strings.Join(list, ",") + `]}}`
}

func harFile(entries ...[4]any) *bundle {
	return new(bundle).file("device.har", archive12(entries...))
}

// trafficFaults are faults that captures show.
func trafficFaults() []planted {
	return []planted{
		{"a proxy's log: the TPM maker's host", "ek-service-blocked", confidenceCertain, refused("ekop.intel.com", "TCP_DENIED/403"), nil},
		{"a proxy's log: the attestation CA", "aik-host-blocked", confidenceCertain, refused("intc-keyid-0123.microsoftaik.azure.net", "TAG_NONE/503"), nil},
		{"a proxy's log: the ticket", "ticket-missing", confidenceCertain, refused("login.live.com", "TCP_DENIED/403"), nil},
		{"a proxy's log: the profile", "service-unreachable", confidenceCertain, refused("ztd.dds.microsoft.com", "TCP_DENIED/403"), nil},
		{"a proxy's log: registration", "service-unreachable", confidenceCertain, refused("enterpriseregistration.windows.net", "TCP_DENIED/403"), nil},
		{"a proxy's log: sign-in", "service-unreachable", confidenceCertain, refused("login.microsoftonline.com", "TCP_DENIED/403"), nil},
		{"a proxy's log: enrollment", "service-unreachable", confidenceCertain, refused("enrollment.manage.microsoft.com", "TCP_DENIED/403"), nil},
		{"a proxy's log: management", "service-unreachable", confidenceCertain, refused("r.manage.microsoft.com", "TCP_DENIED/403"), nil},
		{"a proxy's log: content", "content-blocked", confidenceLikely, refused("naprodimedatapri.azureedge.net", "TCP_DENIED/403"), nil},
		{"a proxy's log: a user is asked for", "proxy-refuses", confidenceCertain, refused("ekop.intel.com", "TCP_DENIED/407"), nil},
		{"a proxy's log: a tunnel without TLS", "tls-inspection", confidencePossible, refused("login.live.com", "TCP_TUNNEL/200"), nil},
		{"a proxy's log: requests within TLS", "tls-inspection", confidenceCertain, new(bundle).file("access.log", proxyLog("", "")+fmt.Sprintf("%d.000     90 10.0.0.7 TCP_MISS/200 500 GET https://login.live.com/x?t=hunter22 - HIER_DIRECT/20.1.1.1 -\n", start.Unix())), nil},
		{"an archive: name", "ek-service-blocked", confidenceCertain, harFile([4]any{1, "https://ekop.intel.com/x", 0, `,"_error":"net::ERR_NAME_NOT_RESOLVED"`}), nil},
		{"an archive: 404 of the attestation CA", "aik-unknown-maker", confidenceCertain, harFile([4]any{1, "https://x.microsoftaik.azure.net/templates/Aik/scep?operation=GetCACaps", 404, ""}), nil},
		{"an archive: 400 of the attestation CA", "aik-refused", confidenceCertain, harFile([4]any{1, "https://x.microsoftaik.azure.net/templates/Aik/scep?operation=GetCACaps", 400, ""}), nil},
		{"an archive: 404 of the TPM's maker", "ek-missing", confidenceLikely, harFile([4]any{1, "https://ekop.intel.com/ekcertservice/x", 404, ""}), nil},
		{"an archive: an inspecting proxy", "tls-inspection", confidenceCertain, harFile([4]any{1, "https://login.live.com/", 200, `,"_securityDetails":{"issuer":"Contoso Inspection CA"}`}), []string{"traffic-stops"}},
		{"an archive: another CA", "tls-inspection", confidencePossible, harFile([4]any{1, "https://login.live.com/", 200, `,"_securityDetails":{"issuer":"Contoso CA 1"}`}), []string{"traffic-stops"}},
		{"an archive: TLS", "tls-inspection", confidenceLikely, harFile([4]any{1, "https://login.live.com/", 0, `,"_error":"net::ERR_CERT_AUTHORITY_INVALID"`}), nil},
		{"an archive: a server's error", "service-error", confidencePossible, harFile([4]any{1, "https://enterpriseregistration.windows.net/", 503, ""}), nil},
		{"a list: no internet", "no-internet", confidenceCertain, new(bundle).file("hosts.txt", "09:00:01 www.msftconnecttest.com no answer\n"), nil},
		{"a list: the ticket", "ticket-missing", confidenceCertain, new(bundle).file("hosts.txt", "09:00:01 login.live.com timeout\n"), nil},
		{"a list: revocation", "revocation-blocked", confidencePossible, new(bundle).file("hosts.txt", "09:00:01 ocsp.digicert.com timeout\n"), nil},
		{"a list that ends", "traffic-stops", confidencePossible, new(bundle).file("hosts.txt", "00:10 login.live.com\n00:12 ztd.dds.microsoft.com\n"), nil},
	}
}

// TestGoodTraffic finds nothing in captures of good runs, and lays them beside the
// events on one time line.
func TestGoodTraffic(t *testing.T) {
	b := new(bundle).file("access.log", proxyLog("", "")).file("hosts.txt", articleHosts).file("device.har", archive12(
		[4]any{1, "https://login.live.com/", 200, `,"_securityDetails":{"issuer":"DigiCert SHA2 Secure Server CA"}`},
		[4]any{2, "https://ztd.dds.microsoft.com/", 401, `,"_securityDetails":{"issuer":"Microsoft Azure RSA TLS Issuing CA 03"}`},
		[4]any{3, "https://enrollment.manage.microsoft.com/", 200, ""}))
	r := b.report(t)
	if len(r.Findings) > 0 {
		t.Errorf("%s", describe(r))
	}
	for i, want := range []Source{{Name: "access.log", Kind: "proxy log", Records: 9}, {Name: "device.har", Kind: "har", Records: 3}, {Name: "hosts.txt", Kind: "host list", Records: 24}} {
		if s := r.Sources[i]; s.Name != want.Name || s.Kind != want.Kind || s.Records != want.Records || len(s.Problems) > 0 {
			t.Errorf("%+v, want %+v", s, want)
		}
	}
	b.event("MD", 209)
	r = b.report(t)
	var lines []string
	for _, e := range r.Timeline {
		lines = append(lines, e.String())
	}
	text := strings.Join(lines, "\n")
	if len(lines) != 13 || !strings.Contains(text, "09:00:29.910 Securing your hardware: first request to intc-keyid-0123.microsoftaik.azure.net: certificates of attestation keys") || !strings.Contains(text, "MD 209") {
		t.Error(text)
	}
}

// TestTrafficSecrets keeps URLs, headers, bodies, names of users and hosts that setup
// does not ask out of the report, also if personal data is wanted.
func TestTrafficSecrets(t *testing.T) {
	files := map[string]string{
		"device.har": archive12([4]any{1, "https://ekop.intel.com/x?t=hunter22", 500, `,"headers":[{"name":"Set-Cookie","value":"hunter22"}]`}, [4]any{2, "https://intranet.contoso.example/hunter22", 500, ""}),
		"access.log": proxyLog("login.live.com", fmt.Sprintf("%d.000     90 10.0.0.7 TCP_DENIED/403 500 GET https://login.live.com/x?t=hunter22 jane HIER_NONE/- -\n", start.Unix())),
		"hosts.txt":  "00:10 login.live.com blocked hunter22\n00:11 intranet.contoso.example\n",
	}
	for name, text := range files {
		c := Case{Personal: true}
		if err := c.Add(ctx, name, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(c.Report())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"hunter22", "intranet", "jane", "10.0.0.7"} {
			if strings.Contains(string(out), s) {
				t.Errorf("%s shows %s: %s", name, s, out)
			}
		}
	}
	inspected := archive12([4]any{1, "https://ocsp.digicert.com/", 200, ""}, [4]any{2, "https://login.live.com/", 200, `,"_securityDetails":{"issuer":"Contoso Inspection CA"}`})
	for _, personal := range []bool{false, true} {
		c := Case{Personal: personal}
		if err := c.Add(ctx, "device.har", strings.NewReader(inspected)); err != nil {
			t.Fatal(err)
		}
		f := find(c.Report(), "tls-inspection")
		if f == nil || strings.Contains(f.String(), "Contoso") != personal || f.Evidence[0].Record != 2 || f.Evidence[0].Line != 0 {
			t.Errorf("%+v", f)
		}
	}
	if f := find(refused("ekop.intel.com", "TCP_DENIED/403").report(t), "ek-service-blocked"); f.Evidence[0].Line != 3 || f.Evidence[0].Record != 0 {
		t.Errorf("%+v", f)
	}
}
