package evidence

import (
	"crypto/rsa"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/internal/evtx/evtxtest"
)

// A planted fault is evidence, and what it must lead to.
type planted struct {
	name       string
	rule       string
	confidence string
	evidence   *bundle
	with       []string // other findings that it also gives
}

func hr(v uint32) evtxtest.Hex32 { return evtxtest.Hex32(v) }

// faults has at least one case for each rule.
func faults() []planted {
	udr204 := func(code int32, message string) *bundle {
		return events("UDR", 102).event("UDR", 103).event("UDR", 204, "ExitCode", code, "HttpStatus", uint32(400), "Message", message)
	}
	aik := func(code uint32) *bundle {
		b := events("MD", 208).event("MD", 190)
		for i := range uint32(3) {
			b.event("MD", 192, "HRESULT", hr(code), "WaitMs", uint32(5000), "Attempt", i+1, "Max", uint32(10))
		}
		return b
	}
	return append(trafficFaults(), []planted{
		{"server and client time", "clock-wrong", confidenceCertain, events("MD", 753, "ServerTime", start, "ClientTime", start.AddDate(-3, 0, 0), "Attempt", uint32(1), "Max", uint32(3)), nil},
		{"ticket failed by the clock", "clock-wrong", confidenceCertain, events("MD", 750).event("MD", 752, "HRESULT", hr(0x800705B4)), nil},
		{"certificate expired", "clock-wrong", confidenceLikely, screen("The remote certificate is not valid: 0x800B0101"), nil},

		{"sign-in page replaced", "tls-inspection", confidenceCertain, screen("Something went wrong. OOBEAADV10"), nil},
		{"certificate of WinHTTP", "tls-inspection", confidenceCertain, events("UDR", 231, "Server", "enterpriseregistration.windows.net"), nil},
		{"secure failure", "tls-inspection", confidenceLikely, aik(0x80072F8F), nil},
		{"HTML for JSON", "tls-inspection", confidenceLikely, udr204(-2147024883, ""), []string{"join-token"}},
		{"management not reached", "service-unreachable", confidenceCertain, events("DM", 5, "HRESULT", hr(0x80072EE7)).event("DM", 71, "HRESULT", hr(0x80072EE7)), nil},
		{"registration not reached", "service-unreachable", confidenceCertain, events("UDR", 201, "ExitCode", hr(0x80072EFD)), nil},
		{"management is down", "service-error", confidenceCertain, events("DM", 71, "HRESULT", hr(0x801901F7)), nil},
		{"attestation CA is down", "service-error", confidenceCertain, aik(0x801901F7).event("MD", 189), nil},
		{"management refuses", "service-refuses", confidenceLikely, events("DM", 71, "HRESULT", hr(0x80190193)), nil},
		{"half an answer", "answer-damaged", confidenceLikely, events("DM", 71, "HRESULT", hr(0x80072F78)), nil},
		{"proxy wants a name", "proxy-refuses", confidenceCertain, aik(0x80190197), nil},
		{"403 from a proxy", "proxy-refuses", confidenceLikely, aik(0x80190193), nil},
		{"no internet", "no-internet", confidenceCertain, events("MD", 165).event("MD", 167), nil},

		{"no service for tickets", "ticket-missing", confidenceCertain, events("MD", 154, "HRESULT", hr(0x80070422)), nil},
		{"ticket refused", "ticket-missing", confidenceCertain, events("MD", 160).event("MD", 710, "HRESULT", hr(0x80072EE7), "Url", "https://login.live.com/RST2.srf"), nil},
		{"not registered", "not-registered", confidenceCertain, new(bundle).file("AutopilotDDSZTDFile.json", `{"ErrorCode":807,"ErrorReason":"ZtdDeviceIsNotRegistered"}`), nil},
		{"not registered, in an event", "not-registered", confidenceCertain, events("MD", 824, "StatusCode", uint32(404), "ServerResponseJson", `{"ErrorCode":807,"ErrorReason":"ZtdDeviceIsNotRegistered"}`), nil},
		{"other tenant", "other-tenant", confidenceCertain, new(bundle).file("AutopilotDDSZTDFile.json", `{"ErrorCode":808,"ErrorReason":"ZtdDeviceAssignedToOtherTenant"}`), nil},
		{"no profile", "profile-missing", confidenceCertain, new(bundle).file("AutopilotDDSZTDFile.json", `{"ErrorCode":815}`), nil},
		{"empty profile", "profile-missing", confidenceLikely, events("MD", 164).event("MD", 160).event("MD", 701).event("MD", 314), nil},
		{"board replaced, by the service", "board-replaced", confidenceCertain, new(bundle).file("AutopilotDDSZTDFile.json", `{"ErrorCode":908,"ErrorReason":"SerialNumberMismatch"}`), nil},
		{"board replaced, at the join", "board-replaced", confidenceLikely, udr204(-2145647638, "attestation"), nil},
		{"screen of a join", "board-replaced", confidencePossible, screen("Registering your device for mobile management (Failed: 3, 0x801C03EA)"), nil},
		{"hashes with two TPMs", "board-replaced", confidenceCertain, twoHashes(), nil},
		{"hash without a key", "hash-without-key", confidenceCertain, keylessHash(), nil},

		{"no TPM", "tpm-absent", confidenceCertain, new(bundle).file("tpmtool.txt", "-TPM Present: False\r\n"), nil},
		{"TPM 1.2", "tpm-absent", confidenceCertain, new(bundle).file("tpmtool.txt", "-TPM Present: True\r\n-TPM Version: 1.2\r\n-TPM Manufacturer ID: IFX\r\n"), nil},
		{"TPM not ready", "tpm-not-ready", confidenceCertain, new(bundle).file("tpmtool.txt", strings.Replace(tpmReady, "Ready For Attestation: True", "Ready For Attestation: False", 1)), nil},
		{"not provisioned", "tpm-not-ready", confidenceCertain, events("TW", 1026).event("MD", 155, "HRESULT", hr(0x80290600)), nil},
		{"lockout", "tpm-lockout", confidenceCertain, events("MD", 206, "HRESULT", hr(0x80280921)), nil},
		{"ROCA", "tpm-vulnerable", confidenceCertain, events("MD", 212, "HRESULT", hr(0), "VulnerabilityDetected", true, "VulnerabilityFlags", evtxtest.Hex64(1)), nil},
		{"ROCA, by TPM-WMI", "tpm-vulnerable", confidenceCertain, events("TW", 1794), nil},
		{"ROCA, by readiness", "tpm-vulnerable", confidenceCertain, new(bundle).file("tpm.txt", "IsReadyInformation : 16777216\r\n"), nil},
		{"EPS generated", "eps-generated", confidenceCertain, screen("TPM_E_TPM_GENERATED_EPS 0x80290603"), nil},
		{"zero exhaust", "policy-blocks-tpm-download", confidenceCertain, events("MD", 202, "HRESULT", hr(0x80290500)), nil},

		{"EK host blocked", "ek-service-blocked", confidenceCertain, events("MD", 209).file("proxy.txt", "2026-11-28 09:01:02 TCP_DENIED ekop.intel.com:443 blocked by policy"), []string{"ek-missing"}},
		{"EK host not resolved", "ek-service-blocked", confidenceLikely, events("MD", 209).event("MD", 202, "HRESULT", hr(0x80072EE7)), []string{"ek-missing", "aik-host-blocked"}},
		{"no EK certificate", "ek-missing", confidenceCertain, events("MD", 209).event("MD", 200), nil},
		{"no EK certificate, by readiness", "ek-missing", confidenceCertain, new(bundle).file("tpm.txt", "IsReadyInformation : 262144\r\n"), nil},
		{"Tiger Lake", "ftpm-without-chain", confidenceCertain, screen("Intel Core i5-1135G7 (Tiger Lake), Windows 11 21H2, failed with 0x80190190"), nil},
		{"AMD", "ftpm-without-chain", confidenceLikely, aik(0x80070490), nil},
		{"no chain", "ftpm-without-chain", confidenceLikely, events("MD", 208).event("MD", 202, "HRESULT", hr(0x800B0109)), nil},

		{"AIK host blocked", "aik-host-blocked", confidenceLikely, aik(0x80072EE7), nil},
		{"AIK host blocked, by certreq", "aik-host-blocked", confidenceCertain, new(bundle).file("CertReq_enrollaik_Output.txt", "GetCACaps: 0x80072ee7 (WinHttp: 12007 ERROR_WINHTTP_NAME_NOT_RESOLVED)\r\n"), nil},
		{"AIK host blocked, by CertEnroll", "aik-host-blocked", confidenceCertain, events("CE", 86, "Context", `WORKGROUP\FAKE001$`, "Url", "https://IFX-KeyId-0123456789abcdef.microsoftaik.azure.net/templates/Aik/scep", "MessageText", "GetCACaps", "Method", "GET(15ms)", "Stage", "GetCACaps", "ErrorCode", "0x80072ee7 (WinHttp: 12007 ERROR_WINHTTP_NAME_NOT_RESOLVED)"), nil},
		{"no EK certificate, in the words of the CA", "ek-missing", confidenceCertain, new(bundle).file("CertReq_enrollaik_Output.txt", "{\"Message\":\"No valid TPM EK/Platform certificate provided in the TPM identity request message.\"}\r\nHTTP/1.1 400 Bad Request\r\n0x80190190 (-2145844848 HTTP_E_STATUS_BAD_REQUEST)\r\n"), nil},
		{"404", "aik-unknown-maker", confidenceCertain, new(bundle).file("CertReq_enrollaik_Output.txt", "GetCACaps\r\nGetCACaps: Not Found\r\n{\"Message\":\"The authority \\\"intc-keyid-0123.microsoftaik.azure.net\\\" does not exist.\"}\r\nHTTP/1.1 404 Not Found\r\n0x80190194 (-2145844844 HTTP_E_STATUS_NOT_FOUND)\r\n"), nil},
		{"404 in the registry", "aik-unknown-maker", confidenceCertain, new(bundle).file("tpm.reg", "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Cryptography\\Ngc\\AIKCertEnroll]\r\n\"ErrorCode\"=dword:80190194\r\n"), nil},
		{"404 in events", "aik-unknown-maker", confidenceCertain, aik(0x80190194), nil},
		{"404 in German", "aik-unknown-maker", confidenceLikely, new(bundle).file("CertReq_enrollaik_Output.txt", "GetCACaps: Nicht gefunden\r\n0x80190194 (-2145844844)\r\n"), nil},
		{"400", "aik-refused", confidenceCertain, aik(0x80190190), nil},
		{"400 by certreq", "aik-refused", confidenceCertain, new(bundle).file("CertReq_enrollaik_Output.txt", "GetCACaps: Bad Request\r\nFailed to parse SCEP request.\r\n"), nil},
		{"given up", "attestation-retries", confidenceCertain, screen("Securing your hardware (Failed: 0x81039001)"), nil},
		{"given up, in events", "attestation-retries", confidenceCertain, events("MD", 189).event("MD", 171, "HRESULT", hr(0x81039001)), nil},
		{"seven minutes", "attestation-timeout", confidenceCertain, screen("Securing your hardware (Failed: 0x800705B4)"), nil},
		{"seven minutes, in events", "attestation-timeout", confidenceCertain, events("SC", 62407, "Name", "CommercialOOBE_ESPDevicePreparation_TPMAttestation_TimedOut", "Value", `{"errorCode":"0x800705b4"}`), nil},

		{"discovery", "discovery-failed", confidenceCertain, events("UDR", 201, "ExitCode", hr(0x801C000C)), nil},
		{"token refused", "join-token", confidenceCertain, udr204(-2145648638, `{"ErrorType":"AuthenticationError"}`), nil},
		{"quota", "join-quota", confidenceCertain, udr204(-2145648626, "quota exceeded"), nil},
		{"quota or policy", "join-quota", confidenceLikely, screen("(3, 0x801C03ED)"), nil},
		{"user may not join", "join-forbidden", confidenceCertain, screen("0x801C0003"), nil},
		{"object deleted", "object-deleted", confidenceCertain, udr204(-2145647629, "DeviceNotFound"), nil},
		{"object deleted, by dsregcmd", "object-deleted", confidenceCertain, new(bundle).file("dsreg.txt", dsregJoined+"     Client ErrorCode : 0x801c03f3\r\n     Server Message : The device object by the given id (11111111-2222-3333-4444-555555555555) is not found.\r\n"), nil},
		{"throttled, by dsregcmd", "directory-busy", confidenceLikely, new(bundle).file("dsreg.txt", dsregJoined+"     Server ErrorCode : DirectoryError\r\n"), nil},
		{"throttled", "directory-busy", confidenceCertain, udr204(-2145647630, "DirectoryError: throttled, retry after 300 s"), nil},

		{"not unblocked", "not-unblocked", confidenceCertain, events("MD", 180, "Disposition", uint32(6), "HRESULT", hr(0x80180014)).event("DM", 71, "HRESULT", hr(0x80180014)), []string{"enroll-failed"}},
		{"two management applications", "duplicate-mdm", confidenceCertain, events("MD", 115, "HRESULT", hr(0xC1036501)), nil},
		{"no license", "license-missing", confidenceCertain, screen("(6, 0x80180018)"), nil},
		{"Home", "edition", confidenceCertain, screen("0x80180022"), nil},
		{"enrollment", "enroll-failed", confidenceLikely, events("DM", 10).event("DM", 71, "HRESULT", hr(0x80180005)), nil},

		{"started after the seal", "join-lost", confidenceCertain, lostJoin().event("AAD", 1098, "Error", hr(0xCAA9004D)), nil},
		{"started after the seal, at the sign-in", "join-lost", confidenceLikely, lostJoin().event("SC", 62404, "CXID", "AADHello"), nil},
		{"transport key", "session-key", confidenceCertain, events("AAD", 1103), nil},
		{"management certificate", "mdm-certificate-gone", confidenceCertain, events("DM", 218), nil},

		{"provider", "provider-timeout", confidenceCertain, events("MD", 287).event("MD", 289, "Provider", "Sidecar", "Timeout", uint32(900)), nil},
		{"provider, in the registry", "provider-timeout", confidenceCertain, new(bundle).file("esp.reg", espRegistry(4, 3, "Sidecar")), nil},
		{"co-management", "comanagement", confidenceCertain, new(bundle).file("esp.reg", espRegistry(3, 3, "ConfigMgr")), nil},
		{"app", "app-failed", confidenceCertain, new(bundle).file("esp.reg", espRegistry(3, 4, "Sidecar")), nil},
		{"app, on the screen", "app-failed", confidenceCertain, screen("Apps (Failed: 0x81036502)"), nil},
		{"app, in the log", "app-failed", confidenceLikely, new(bundle).file("AppWorkload.log", `<![LOG[[Win32App] detection failed after install, 0x87D1041C]LOG]!><time="10:20:30.1234567" date="11-28-2026" component="AppWorkload" context="" type="3" thread="5" file="">`+"\r\n"), nil},
		{"restart by a policy", "policy-reboot", confidenceLikely, events("DM", 2800, "URI", "./Device/Vendor/MSFT/Policy/x").event("KG", 12), nil},

		{"no controller", "hybrid-no-controller", confidenceCertain, screen("0x80070774"), nil},
		{"no controller, in events", "hybrid-no-controller", confidenceLikely, events("DM", 108, "HRESULT", hr(0x8007054B)), nil},
		{"hybrid registration", "hybrid-registration", confidenceCertain, events("UDR", 304, "ExitCode", hr(0x801C001D)).event("UDR", 307), nil},
	}...)
}

// lostJoin is a run that was sealed, and a start after it.
func lostJoin() *bundle {
	return events("UDR", 104).event("UDR", 105).event("DM", 72).event("UDR", 110).event("UDR", 111).event("KG", 12)
}

const csvHeader = "Device Serial Number,Windows Product ID,Hardware Hash\r\n"

// twoHashes has the registered hash, and one taken after the board was replaced.
func twoHashes() *bundle {
	return new(bundle).file("registered.csv", csvHeader+"FAKE0001,,"+hash("FAKE0001", 1)+"\r\n").
		file("DeviceHash_now.csv", csvHeader+"FAKE0001,,"+hash("FAKE0001", 2)+"\r\n")
}

func keylessHash() *bundle {
	return new(bundle).file("DeviceHash.csv", csvHeader+"FAKE0001,,"+hash("FAKE0001", 0)+"\r\n")
}

// TestFaults finds each planted fault, in the right confidence, with evidence, and
// names no other first cause but those that the case allows.
func TestFaults(t *testing.T) {
	for _, c := range faults() {
		t.Run(c.name, func(t *testing.T) {
			r := c.evidence.report(t)
			f := find(r, c.rule)
			if f == nil {
				t.Fatalf("not found\n%s", describe(r))
			}
			if f.Confidence != c.confidence || len(f.Evidence) == 0 || f.Evidence[0].Text == "" || f.Evidence[0].File == "" {
				t.Errorf("%s", describe(r))
			}
			for _, other := range r.Findings {
				if other.ID != c.rule && other.First && !slices.Contains(c.with, other.ID) {
					t.Errorf("also a first cause: %s", other)
				}
			}
		})
	}
}

// TestGoodRun finds nothing.
func TestGoodRun(t *testing.T) {
	r := goodRun().report(t)
	if len(r.Findings) > 0 {
		t.Errorf("%s", describe(r))
	}
	if len(r.Timeline) < 40 {
		t.Errorf("%d entries", len(r.Timeline))
	}
	for _, s := range r.Sources {
		if len(s.Problems) > 0 || s.Records == 0 || s.Kind == kindUnread {
			t.Errorf("%+v", s)
		}
	}
}

// TestRules checks the table itself: every rule is complete, has a case above, refers
// to rules that exist, and names its source.
func TestRules(t *testing.T) {
	cases := map[string]bool{}
	for _, c := range faults() {
		cases[c.rule] = true
	}
	list := Rules()
	seen := map[string]bool{}
	for _, r := range list {
		seen[r.ID] = true
	}
	if len(seen) != len(list) || len(list) < 40 {
		t.Errorf("%d rules, %d IDs", len(list), len(seen))
	}
	for _, r := range list {
		if r.Title == "" || !strings.HasSuffix(r.Title, ".") || r.Remedy == "" || !strings.HasSuffix(r.Remedy, ".") || len(r.When) == 0 || stepOrder(r.Step) == len(steps) {
			t.Errorf("%s is not complete: %+v", r.ID, r)
		}
		if r.Source == "" || !strings.Contains("DCIX", r.Source[:1]) || r.Source[1] != ':' {
			t.Errorf("%s: source %q", r.ID, r.Source)
		}
		if !cases[r.ID] {
			t.Errorf("%s has no case", r.ID)
		}
		for _, id := range r.Causes {
			if !seen[id] || id == r.ID {
				t.Errorf("%s causes %s", r.ID, id)
			}
			if slices.Contains(ruleOf(id).Causes, r.ID) {
				t.Errorf("%s and %s cause each other", r.ID, id)
			}
		}
		for _, a := range r.alternatives {
			for _, x := range a.atoms {
				for _, s := range slices.Concat(x.says...) {
					if s == "" || s != strings.ToLower(s) {
						t.Errorf("%s looks for %q", r.ID, s)
					}
				}
				for _, e := range x.events {
					if provider, _, _ := strings.Cut(e, " "); providerNames[provider] == "" {
						t.Errorf("%s: event %s", r.ID, e)
					}
				}
			}
			if a.atoms[0].no {
				t.Errorf("%s begins with what is not there", r.ID)
			}
		}
	}
}

func TestParseRulesErrors(t *testing.T) {
	for _, text := range []string{
		"title x", "rule a\nwhat b", "rule a\nwhen certain event MD 1", "rule a\nwhen sure: event MD 1", "rule a\nwhen certain: event", "rule a\nwhen certain: thing x",
		"rule a\nwhen certain: code 0xZZ", "codes x 1,y", "rule a\nwhen certain: value a =",
	} {
		if _, err := parseRules(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// hash returns the hardware hash of a device with a TPM of that number, or without
// one for 0.
func hash(serial string, tpm int64) string {
	d := autopilottest.Device{Serial: serial}
	if tpm > 0 {
		n := new(big.Int).Lsh(big.NewInt(1), 2047)
		d.EK = &rsa.PublicKey{N: n.Add(n, big.NewInt(2*tpm+1)), E: 65537}
	}
	return d.Text()
}
