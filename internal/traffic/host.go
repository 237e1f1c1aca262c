package traffic

import "strings"

// A Need tells how much a device needs a host.
type Need int

// Needs.
const (
	Needed Need = iota
	Minor       // a device gets through without it
	Quick       // a device gets through without it if the connection fails at once
)

// A Host is a row of the table.
type Host struct {
	Name  string // "*." stands for any labels
	Step  string
	Use   string // what a device asks it for
	Need  Need
	Maker string // the only maker whose TPMs need it, "" if all devices do
	Allow string // what a firewall has to let through, if that is more than the host
}

const (
	allowManage = "*.manage.microsoft.com:443"
	useRevoked  = "revocation of TLS certificates"
)

// hosts are Microsoft's "Networking requirements" for Windows Autopilot, the makers'
// services of its section on TPMs, and, for what needs no action, hosts that an
// annotated capture of a run shows. A row before another goes before it.
var hosts = []Host{
	{Name: "www.msftconnecttest.com", Step: "network", Use: "setup's own test for internet", Allow: "*.msftconnecttest.com:80"},
	{Name: "*.msftconnecttest.com", Step: "network", Use: "setup's own test for internet"},
	{Name: "dns.msftncsi.com", Step: "network", Use: "setup's own test for internet"},
	{Name: "time.windows.com", Step: "clock", Use: "setting the clock", Allow: "time.windows.com:123/udp", Need: Minor},

	{Name: "login.live.com", Step: "ticket", Use: "the device's ticket"},
	{Name: "ztd.dds.microsoft.com", Step: "profile", Use: "the deployment profile"},
	{Name: "cs.dds.microsoft.com", Step: "profile", Use: "the deployment profile"},

	{Name: "licensing.mp.microsoft.com", Step: "activation", Use: "activation of Windows", Need: Minor},
	{Name: "activation.sls.microsoft.com", Step: "activation", Use: "activation of Windows", Allow: "*.sls.microsoft.com:443", Need: Minor},
	{Name: "*.sls.microsoft.com", Step: "activation", Use: "activation of Windows", Need: Minor},
	{Name: "go.microsoft.com", Step: "activation", Use: "activation of Windows", Need: Minor},

	{Name: "fe2cr.update.microsoft.com", Step: "update", Use: "updates during setup", Allow: "*.update.microsoft.com:443", Need: Minor},
	{Name: "*.update.microsoft.com", Step: "update", Use: "updates during setup", Need: Minor},
	{Name: "fe3cr.delivery.mp.microsoft.com", Step: "update", Use: "updates during setup", Allow: "*.delivery.mp.microsoft.com:443", Need: Minor},
	{Name: "*.dl.delivery.mp.microsoft.com", Step: "setup", Use: "downloads", Need: Minor},
	{Name: "*.delivery.mp.microsoft.com", Step: "update", Use: "updates during setup", Need: Minor},
	{Name: "ctldl.windowsupdate.com", Step: "update", Use: "the list of trusted roots", Allow: "*.windowsupdate.com:80", Need: Minor},
	{Name: "*.windowsupdate.com", Step: "update", Use: "updates during setup", Need: Minor},

	{Name: "ekop.intel.com", Step: "ek", Use: "EK certificates of Intel's firmware TPMs", Maker: "INTC"},
	{Name: "trustedservices.intel.com", Step: "ek", Use: "issuers of Intel's EK certificates", Maker: "INTC"},
	{Name: "ftpm.amd.com", Step: "ek", Use: "EK certificates of AMD's firmware TPMs", Maker: "AMD"},
	{Name: "ekcert.spserv.microsoft.com", Step: "ek", Use: "EK certificates of Qualcomm's TPMs and Pluton", Maker: "QCOM"},
	{Name: "*.microsoftaik.azure.net", Step: "aik", Use: "certificates of attestation keys", Allow: "*.microsoftaik.azure.net:443"},

	{Name: "enterpriseregistration.windows.net", Step: "join", Use: "joining the tenant"},
	{Name: "login.microsoftonline.com", Step: "token", Use: "tokens"},
	{Name: "device.login.microsoftonline.com", Step: "token", Use: "tokens for joined devices"},
	{Name: "login.windows.net", Step: "token", Use: "tokens", Need: Minor},
	{Name: "aadcdn.msauth.net", Step: "signin", Use: "the sign-in page"},
	{Name: "aadcdn.msftauth.net", Step: "signin", Use: "the sign-in page"},
	{Name: "graph.microsoft.com", Step: "signin", Use: "the directory"},
	{Name: "graph.windows.net", Step: "signin", Use: "the directory's older interface", Need: Minor},
	{Name: "autologon.microsoftazuread-sso.com", Step: "signin", Use: "single sign-on of hybrid tenants", Need: Minor},
	{Name: "tokenprovider.termsofuse.identitygovernance.azure.com", Step: "signin", Use: "terms of use, if the tenant has them", Need: Minor},

	{Name: "enrollment.manage.microsoft.com", Step: "enroll", Use: "enrollment", Allow: allowManage},
	{Name: "enterpriseenrollment.manage.microsoft.com", Step: "enroll", Use: "finding the enrollment service", Allow: allowManage},
	{Name: "enterpriseenrollment-s.manage.microsoft.com", Step: "enroll", Use: "finding the enrollment service", Allow: allowManage},
	{Name: "portal.manage.microsoft.com", Step: "enroll", Use: "terms of use and portal", Allow: allowManage},
	{Name: "*.manage.microsoft.com", Step: "provider", Use: "management sessions, and the management extension", Allow: allowManage},
	{Name: "lgmsape*.blob.core.windows.net", Step: "logs", Use: "sending logs", Allow: "lgmsape*.blob.core.windows.net:443", Need: Minor},

	{Name: "naprodimedata*.azureedge.net", Step: "setup", Use: "apps and scripts, North America", Allow: "naprodimedata*.azureedge.net:443", Need: Minor},
	{Name: "euprodimedata*.azureedge.net", Step: "setup", Use: "apps and scripts, Europe", Allow: "euprodimedata*.azureedge.net:443", Need: Minor},
	{Name: "approdimedata*.azureedge.net", Step: "setup", Use: "apps and scripts, Asia and Pacific", Allow: "approdimedata*.azureedge.net:443", Need: Minor},
	{Name: "*.do.dsp.mp.microsoft.com", Step: "setup", Use: "sharing downloads with neighbors", Need: Minor},
	{Name: "displaycatalog.mp.microsoft.com", Step: "setup", Use: "apps of the store", Allow: "*.mp.microsoft.com:443", Need: Minor},
	{Name: "*.mp.microsoft.com", Step: "setup", Use: "apps of the store", Need: Minor},
	{Name: "officecdn.microsoft.com", Step: "setup", Use: "Office", Need: Minor},

	{Name: "client.wns.windows.com", Step: "push", Use: "telling the device to check in", Allow: "*.wns.windows.com:443, *.notify.windows.com:443", Need: Minor},
	{Name: "*.wns.windows.com", Step: "push", Use: "telling the device to check in", Need: Minor},
	{Name: "*.notify.windows.com", Step: "push", Use: "telling the device to check in", Need: Minor},

	{Name: "ocsp.digicert.com", Step: "revocation", Use: useRevoked, Need: Quick},
	{Name: "crl3.digicert.com", Step: "revocation", Use: useRevoked, Need: Quick},
	{Name: "crl4.digicert.com", Step: "revocation", Use: useRevoked, Need: Quick},
	{Name: "crl.microsoft.com", Step: "revocation", Use: useRevoked, Need: Quick},
	{Name: "www.microsoft.com", Step: "revocation", Use: "revocation of TLS and attestation key certificates", Need: Quick},
	{Name: "oneocsp.microsoft.com", Step: "revocation", Use: useRevoked, Need: Quick},

	{Name: "*.events.data.microsoft.com", Step: "telemetry", Use: "telemetry", Need: Minor},
	{Name: "settings-win.data.microsoft.com", Step: "telemetry", Use: "settings of telemetry", Need: Minor},
	{Name: "mobile.pipe.aria.microsoft.com", Step: "telemetry", Use: "telemetry of Office", Need: Minor},
	{Name: "wdcp.microsoft.com", Step: "telemetry", Use: "Defender's cloud", Need: Minor},

	{Name: "*.skype.com", Step: "desktop", Use: "Teams and Skype", Need: Minor},
	{Name: "*.teams.microsoft.com", Step: "desktop", Use: "Teams", Need: Minor},
	{Name: "*.one.microsoft.com", Step: "desktop", Use: "Teams", Need: Minor},
	{Name: "*.officeapps.live.com", Step: "desktop", Use: "Office", Need: Minor},
	{Name: "www.bing.com", Step: "desktop", Use: "tiles", Need: Minor},
	{Name: "maps.windows.com", Step: "desktop", Use: "tiles", Need: Minor},
}

// Lookup returns the row of a host, or nil if the table has none.
func Lookup(name string) *Host {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if h, ok := exact[name]; ok {
		return h
	}
	for _, h := range wildcards {
		before, after, _ := strings.Cut(h.Name, "*")
		if len(name) > len(before)+len(after) && strings.HasPrefix(name, before) && strings.HasSuffix(name, after) {
			return h
		}
	}
	return nil
}

var exact, wildcards = index()

func index() (exact map[string]*Host, wildcards []*Host) {
	exact = map[string]*Host{}
	for i := range hosts {
		if strings.Contains(hosts[i].Name, "*") {
			wildcards = append(wildcards, &hosts[i])
		} else {
			exact[hosts[i].Name] = &hosts[i]
		}
	}
	return exact, wildcards
}
