package evidence

import (
	"slices"
	"strings"
	"testing"
)

// TestChains has faults with what follows from them: the first cause comes first, and
// the rest says why.
func TestChains(t *testing.T) {
	for _, c := range []struct {
		name     string
		evidence *bundle
		first    string
		follows  []string
	}{
		{
			"the maker's service is blocked, and all after it",
			events("MD", 164).event("MD", 161).event("MD", 209).event("MD", 202, "HRESULT", hr(0x80190190)).
				event("MD", 192, "HRESULT", hr(0x80190190), "WaitMs", uint32(5000), "Attempt", uint32(10), "Max", uint32(10)).event("MD", 189).
				event("MD", 171, "HRESULT", hr(0x81039001)).event("SC", 62407, "Name", "CommercialOOBE_ESPDevicePreparation_TPMAttestation_Failed").
				file("firewall.log", "2026-11-28 09:00:11 DENY 10.0.0.7 -> ekop.intel.com:443 blocked"),
			"ek-service-blocked",
			[]string{"ek-missing", "aik-refused", "attestation-retries"},
		},
		{
			"the clock is wrong, and nobody confirms the TPM",
			events("MD", 753, "ServerTime", start, "ClientTime", start.AddDate(-4, 0, 0)).event("MD", 710, "HRESULT", hr(0x80048823)).
				file("screen.txt", "Securing your hardware (Failed: 0x800705B4)"),
			"clock-wrong",
			[]string{"ticket-missing", "attestation-timeout"},
		},
		{
			"404 for ten tries",
			events("MD", 208).event("MD", 192, "HRESULT", hr(0x80190194), "Attempt", uint32(10), "Max", uint32(10)).event("MD", 189).
				file("CertReq_enrollaik_Output.txt", "GetCACaps: Not Found\r\n0x80190194\r\n").file("screen.txt", "0x81039001"),
			"aik-unknown-maker",
			[]string{"attestation-retries"},
		},
		{
			"a hash without a key, refused at the join",
			keylessHash().event("UDR", 204, "ExitCode", int32(-2145647638)),
			"hash-without-key",
			[]string{"board-replaced"},
		},
		{
			"started after the seal, and the key is gone",
			lostJoin().event("AAD", 1098, "Error", hr(0xCAA9004D)).event("AAD", 1155),
			"join-lost",
			[]string{"session-key"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.evidence.report(t)
			if len(r.Findings) == 0 || r.Findings[0].ID != c.first || !r.Findings[0].First {
				t.Fatalf("%s", describe(r))
			}
			for _, id := range c.follows {
				if f := find(r, id); f == nil || f.First || !strings.Contains(f.String(), "It follows from") {
					t.Errorf("%s does not follow\n%s", id, describe(r))
				}
			}
			if !slices.Contains(r.Findings[0].Causes, c.follows[0]) {
				t.Errorf("%v", r.Findings[0].Causes)
			}
		})
	}
}

// TestStories has what readers of the articles tell, in their own kind of words, and
// what an expert would answer.
func TestStories(t *testing.T) {
	for _, c := range []struct {
		name, text, rule string
		remedy           []string
	}{
		{
			"securing completed, then the enrollment",
			"We see: Securing your hardware (completed), Joining your organization's network (completed), Registering your device for mobile management (6, 0x80180014). Same device worked last month.",
			"not-unblocked",
			[]string{"Unblock device", "Intune"},
		},
		{
			"hosts blocked",
			"Where do I allow https://ekop.intel.com/ekcertservice and *.microsoftaik.azure.net? Our firewall has them blocked.",
			"ek-service-blocked",
			[]string{"outbound firewall or proxy", "nothing to set in the cloud"},
		},
		{
			"hosts blocked, the second host",
			"Our firewall has *.microsoftaik.azure.net blocked.",
			"aik-host-blocked",
			[]string{"*.microsoftaik.azure.net"},
		},
		{
			"identifying",
			"After the hybrid join the device setup shows Apps (Identifying) for an hour. We have co-management with Configuration Manager.",
			"comanagement",
			[]string{"co-management"},
		},
		{
			"powered on after the seal",
			"The technician clicked Reseal. In the warehouse somebody powered on the laptop to check it, and now the user cannot sign in.",
			"join-lost",
			[]string{"fresh credentials", "Keep sealed devices off"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := screen(c.text).report(t)
			f := find(r, c.rule)
			if f == nil || r.Findings[0].ID != c.rule {
				t.Fatalf("%s", describe(r))
			}
			for _, s := range c.remedy {
				if !strings.Contains(f.Remedy, s) {
					t.Errorf("%q is not in %q", s, f.Remedy)
				}
			}
			if f.Confidence != confidenceCertain && f.Collect == "" {
				t.Error("what to collect next is missing")
			}
		})
	}
}

// TestSought says what was looked for in vain.
func TestSought(t *testing.T) {
	f := find(events("MD", 209).event("MD", 200).report(t), "ek-missing")
	if f == nil || !slices.Contains(f.Sought, "event MD 208") || !slices.Contains(f.Sought, "value IsReadyInformation has 0x40000") {
		t.Errorf("%+v", f)
	}
}

// TestPassed drops trouble that passed, but not what a screen shows.
func TestPassed(t *testing.T) {
	b := events("MD", 192, "HRESULT", hr(0x80190194)).event("MD", 205).event("MD", 169)
	if r := b.report(t); len(r.Findings) > 0 {
		t.Errorf("%s", describe(r))
	}
	b.file("screen.txt", "0x80190194 and GetCACaps: Not Found")
	if r := b.report(t); find(r, "aik-unknown-maker") == nil {
		t.Errorf("%s", describe(r))
	}
	b = events("MD", 205).event("MD", 169).event("MD", 192, "HRESULT", hr(0x80190194))
	if r := b.report(t); find(r, "aik-unknown-maker") == nil {
		t.Errorf("%s", describe(r))
	}
}
