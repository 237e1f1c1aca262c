package evidence

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/evtx/evtxtest"
)

var start = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

// A bundle is evidence that a test makes: event logs and files. All details in it are
// invented.
type bundle struct {
	events []evtxtest.Event
	files  map[string]string
}

var providerNames = map[string]string{
	"MD":  "Microsoft-Windows-ModernDeployment-Diagnostics-Provider",
	"UDR": "Microsoft-Windows-User Device Registration",
	"DM":  "Microsoft-Windows-DeviceManagement-Enterprise-Diagnostics-Provider",
	"SC":  "Microsoft-Windows-Shell-Core",
	"TW":  "Microsoft-Windows-TPM-WMI",
	"AAD": "Microsoft-Windows-AAD",
	"KG":  "Microsoft-Windows-Kernel-General",
	"CE":  "Microsoft-Windows-CertificateServicesClient-CertEnroll",
}

// event appends an event, ten seconds after the last. Values are in pairs: a name and
// a value.
func (b *bundle) event(provider string, id uint16, values ...any) *bundle {
	e := evtxtest.Event{
		Provider: providerNames[provider], ID: id, Level: 4, Channel: providerNames[provider] + "/Admin", Computer: "DESKTOP-FAKE001",
		Time: start.Add(time.Duration(len(b.events)) * 10 * time.Second), Data: []evtxtest.Datum{},
	}
	for i := 0; i+1 < len(values); i += 2 {
		e.Data = append(e.Data, evtxtest.Datum{Name: values[i].(string), Value: values[i+1]})
	}
	b.events = append(b.events, e)
	return b
}

// file adds a file.
func (b *bundle) file(name, text string) *bundle {
	if b.files == nil {
		b.files = map[string]string{}
	}
	b.files[name] = text
	return b
}

func events(provider string, id uint16, values ...any) *bundle {
	return new(bundle).event(provider, id, values...)
}

func screen(text string) *bundle { return new(bundle).file("screen.txt", text) }

// contents returns all files, with the events in one log for each provider.
func (b *bundle) contents() map[string][]byte {
	files := map[string][]byte{}
	for name, text := range b.files {
		files[name] = []byte(text)
	}
	logs := map[string][]evtxtest.Event{}
	for _, e := range b.events {
		logs[e.Provider] = append(logs[e.Provider], e)
	}
	for provider, list := range logs {
		files[strings.ReplaceAll(provider, " ", "-")+"-Admin.evtx"] = evtxtest.Log(list, evtxtest.Options{})
	}
	return files
}

// folder writes the evidence into a folder.
func (b *bundle) folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range b.contents() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// report returns what a case says of the evidence.
func (b *bundle) report(t testing.TB) *Report {
	t.Helper()
	var c Case
	files := b.contents()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := c.Add(context.Background(), name, strings.NewReader(string(files[name]))); err != nil {
			t.Fatal(err)
		}
	}
	return c.Report()
}

func ids(r *Report) (list []string) {
	for _, f := range r.Findings {
		list = append(list, f.ID)
	}
	return list
}

func find(r *Report, id string) *Finding {
	for i := range r.Findings {
		if r.Findings[i].ID == id {
			return &r.Findings[i]
		}
	}
	return nil
}

func describe(r *Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "first=%v because=%v %s\n", f.First, f.Because, f)
	}
	for _, s := range r.Sources {
		fmt.Fprintf(&b, "%+v\n", s)
	}
	return b.String()
}

// goodRun are the events of a run that went well, to the user's sign-in.
func goodRun() *bundle {
	b := new(bundle)
	b.event("KG", 12)
	b.event("MD", 164).event("MD", 150).event("MD", 160).event("MD", 161).event("MD", 153, "OldState", uint32(1), "NewState", uint32(3)).event("MD", 702)
	b.event("MD", 151).event("MD", 152).event("TW", 1025)
	b.event("MD", 212, "HRESULT", evtxtest.Hex32(0), "VulnerabilityDetected", false, "VulnerabilityFlags", evtxtest.Hex64(0))
	b.event("MD", 209).event("MD", 208).event("MD", 190)
	b.event("MD", 192, "HRESULT", evtxtest.Hex32(0x80190194), "WaitMs", uint32(5000), "Attempt", uint32(1), "Max", uint32(10))
	b.event("MD", 205).event("MD", 250).event("MD", 251, "HRESULT", evtxtest.Hex32(0)).event("MD", 168).event("MD", 169)
	b.event("MD", 178, "State", uint32(2)).event("UDR", 100).event("UDR", 101).event("UDR", 102, "JoinRequest", "11").event("UDR", 103, "AuthToken", "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.")
	b.event("UDR", 104, "HttpStatus", uint32(200)).event("UDR", 105).event("MD", 181, "Disposition", uint32(3))
	b.event("DM", 58).event("DM", 72).event("MD", 181, "Disposition", uint32(6)).event("MD", 195).event("UDR", 110).event("UDR", 111).event("MD", 196)
	b.event("MD", 287).event("MD", 288).event("DM", 2800, "URI", "./Device/Vendor/MSFT/Policy/x")
	b.event("SC", 62407, "Name", "CommercialOOBE_WhiteGlove_TechnicianFlow_Succeeded", "Value", "{}")
	b.event("KG", 12).event("SC", 62404, "CXID", "AADHello").event("UDR", 102).event("UDR", 104).event("UDR", 105).event("AAD", 1006)
	b.file("DsRegCmd.txt", dsregJoined)
	b.file("tpmtool.txt", tpmReady)
	b.file("CertReq_enrollaik_Output.txt", "-----BEGIN CERTIFICATE-----\r\nMIIB\r\n-----END CERTIFICATE-----\r\n\r\nCertReq: command completed successfully.\r\n")
	b.file("AutopilotDDSZTDFile.json", `{"CloudAssignedTenantId":"11111111-2222-3333-4444-555555555555","CloudAssignedDomainJoinMethod":0,"CloudAssignedTenantDomain":"contoso-invented.onmicrosoft.com","CloudAssignedOobeConfig":286,"DeploymentProfileName":"White glove"}`)
	b.file("IntuneManagementExtension.log", `<![LOG[[Win32App] app evaluation done, state 1000]LOG]!><time="10:20:30.1234567" date="11-28-2026" component="IntuneManagementExtension" context="" type="1" thread="5" file="">`+"\r\n")
	b.file("MdmDiagReport_RegistryDump.reg", espRegistry(3, 3, "Sidecar"))
	return b
}

const (
	dsregJoined = "+----------------------------------------------------------------------+\r\n| Device State                                                         |\r\n+----------------------------------------------------------------------+\r\n\r\n" +
		"             AzureAdJoined : YES\r\n          EnterpriseJoined : NO\r\n              DomainJoined : NO\r\n               Device Name : DESKTOP-FAKE001\r\n"
	tpmReady = "-TPM Present: True\r\n-TPM Version: 2.0\r\n-TPM Manufacturer ID: INTC\r\n-TPM Manufacturer Full Name: Intel\r\n-Is Initialized: True\r\n-Ready For Storage: True\r\n-Ready For Attestation: True\r\n-Is Capable For Attestation: True\r\n-TPM Has Vulnerable Firmware: False\r\n"
)

// espRegistry is the registry of the status page with a provider and an app.
func espRegistry(provider, app int, name string) string {
	return fmt.Sprintf("Windows Registry Editor Version 5.00\r\n\r\n"+
		`[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\Autopilot\EnrollmentStatusTracking\Device\DevicePreparation\PolicyProviders\%s]`+"\r\n"+
		`"InstallationState"=dword:%08x`+"\r\n\r\n"+
		`[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\Autopilot\EnrollmentStatusTracking\Device\Setup\Apps\Tracking\%s\Win32App_0123]`+"\r\n"+
		`"InstallationState"=dword:%08x`+"\r\n", name, provider, name, app)
}
