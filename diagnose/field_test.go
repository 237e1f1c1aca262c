package diagnose_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/diagnose"
)

// What people see in the field has a meaning, the likeliest first, with the causes and
// remedies that helped there.
func TestField(t *testing.T) {
	for text, want := range map[string]struct {
		first string   // name and symbol of the likeliest meaning
		in    []string // in its line
	}{
		// Codes of one family within another.
		"0x80192EE2": {"0x80192EE2 WININET_E_TIMEOUT", []string{"did not answer in time", "[HTTP; computed]"}},
		"0x80192EE7": {"0x80192EE7 WININET_E_NAME_NOT_RESOLVED", []string{"name was not found"}},
		"0x80192F8F": {"0x80192F8F ERROR_WINHTTP_SECURE_FAILURE", []string{"TLS failed"}},
		"0xCAA82EE2": {"0xCAA82EE2 ERROR_ADAL_INTERNET_TIMEOUT", []string{"did not answer in time"}},
		"0xCAA82EFF": {"0xCAA82EFF WININET_E_CONNECTION_RESET", []string{"reset", "computed"}},
		"0xCAA30193": {"0xCAA30193 HTTP_E_STATUS_FORBIDDEN", []string{"not permitted", "computed"}},
		"0xCAA30194": {"0xCAA30194 HTTP_E_STATUS_NOT_FOUND", nil},

		// Sign-in.
		"0xCAA2000C":    {"0xCAA2000C ERROR_ADAL_SERVER_ERROR_INTERACTION_REQUIRED", []string{"AADSTS50076", "AADSTS50158", "documented"}},
		"0xCAA20064":    {"0xCAA20064 ERROR_ADAL_SERVER_ERROR_CODE_UNKNOWN", []string{"does not know"}},
		"CAA90056":      {"0xCAA90056", []string{"primary refresh token", "CAA2000C"}},
		"AADSTS50011":   {"AADSTS50011", []string{"redirect address"}},
		"AADSTS700016":  {"AADSTS700016", []string{"not known in the tenant"}},
		"AADSTS9002341": {"AADSTS9002341", []string{"single sign-on"}},
		"AADSTS90094":   {"AADSTS90094", []string{"consent"}},
		"AADSTS7000112": {"AADSTS7000112", []string{"disabled"}},
		"AADSTS500133":  {"AADSTS500133", []string{"clock"}},
		"AADSTS50158":   {"AADSTS50158", []string{"outside of Entra"}},

		// Causes and remedies.
		"0x80180027": {"0x80180027 MENROLL_E_CERTPOLICY_PRIVATEKEYCREATION_FAILED", []string{"authentication policy"}},
		"0x80180014": {"0x80180014 MENROLL_E_DEVICENOTSUPPORTED", []string{"personally owned", "record still exists", "restriction", "register it as corporate."}},
		"0x8018000B": {"0x8018000B MENROLL_E_DEVICE_NOT_ENROLLED", []string{"already enrolled", "Leave the earlier enrollment first"}},
		"0x802800A5": {"0x802800A5 TPM_20_E_BINDING", []string{"Infineon", "firmware"}},
		"0x80090030": {"0x80090030 NTE_DEVICE_NOT_READY", []string{"Infineon", "firmware"}},
		"0x80070490": {"0x80070490 ERROR_NOT_FOUND", []string{"STM TPMs on Windows 11 24H2", "before any request", "Zen 1 to Zen 3", "3.*.0"}},
		"0x80280009": {"0x80280009 TPM_E_FAIL", []string{"without giving a reason"}},
		"0x80070002": {"0x80070002 ERROR_FILE_NOT_FOUND", []string{"MD events 102 and 104", "DM event 404", "UDR events"}},
		"0x81039023": {"0x81039023", []string{"0x800705B4", "clock", "KB5013943"}},
		"0x81036C00": {"0x81036C00", []string{"device association"}},
		"0x801C03EE": {"0x801C03EE", []string{"Sign out", "documented"}},

		// Forms that people really see.
		"0x0x81039001": {"0x81039001 E_AUTOPILOT_CLIENT_TPM_MAX_ATTESTATION_RETRY_EXCEEDED", nil},
		"Securing your hardware (Failed: 0x0x81039001)": {"0x81039001 E_AUTOPILOT_CLIENT_TPM_MAX_ATTESTATION_RETRY_EXCEEDED", nil},

		// Texts of screens and logs.
		"Something happened, and TPM attestation timed out.":                                                         {"TPM attestation timed out", []string{"Infineon SLB9672"}},
		"Securing your hardware: EK certificate not found":                                                           {"EK certificate not found", []string{"maker's service"}},
		`{"Message":"Attestation statement cannot be verified, rejecting request. TPM firmware needs update."}`:      {"Attestation statement cannot be verified ... firmware", []string{"Install the TPM firmware update"}},
		`GetCACaps: Not Found {"Message":"The authority \"amd-keyid-578c.microsoftaik.azure.net\" does not exist."}`: {"The authority ... does not exist", []string{"attestation CA"}},
		`UDR event 204 0x801C0003 {"Code":"AuthorizationError","SubCode":"MsaTicketTpmValidationFailed"}`:            {"MsaTicketTpmValidationFailed", []string{"Update the TPM's firmware."}},
		"OOBEIDPS": {"OOBEIDPS", []string{"identity provider"}},

		// Events without the name of their log, and those of certificate enrollment.
		"Event ID 1794":       {"TW event 1794", []string{"vulnerable"}},
		"event 171":           {"MD event 171", []string{"TPM identity failed"}},
		"Ereignis 86":         {"", nil},
		"Event 86":            {"CERTENROLL event 86", []string{"could not be started"}},
		"CertEnroll 87":       {"CERTENROLL event 87", []string{"microsoftaik"}},
		"CertEnroll event 86": {"CERTENROLL event 86", nil},
		"86":                  {"CERTENROLL event 86", nil},
	} {
		found := diagnose.Decode(text)
		if want.first == "" {
			if found != nil {
				t.Errorf("%s: %v", text, found)
			}
			continue
		}
		if len(found) == 0 || !found[0].Known() || strings.TrimSpace(found[0].Name+" "+found[0].Symbol) != want.first {
			t.Errorf("%s: %v, want %s", text, found, want.first)
			continue
		}
		for _, s := range want.in {
			if line := found[0].String(); !strings.Contains(line, s) {
				t.Errorf("%s: %s\nwant in it: %s", text, line, s)
			}
		}
	}
}

// With its subcode, 0x801C0003 is a matter of the TPM's firmware, not of a quota.
func TestFieldTicket(t *testing.T) {
	found := diagnose.Decode(`(3, 0x801C0003) AuthorizationError MsaTicketTpmValidationFailed`)
	at := func(name string) int {
		return slices.IndexFunc(found, func(m diagnose.Meaning) bool { return m.Name == name })
	}
	if at("MsaTicketTpmValidationFailed") != 0 || at("0x801C0003") < 0 || !strings.Contains(found[at("0x801C0003")].Remedy, "MsaTicketTpmValidationFailed") {
		t.Errorf("%v", found)
	}
}
