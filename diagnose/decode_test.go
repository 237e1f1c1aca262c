package diagnose_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
)

// names returns the names and symbols of what a text means.
func names(text string) string {
	var list []string
	for _, m := range diagnose.Decode(text) {
		s := m.Name
		if m.Symbol != "" {
			s += " " + m.Symbol
		}
		list = append(list, s)
	}
	return strings.Join(list, ", ")
}

func TestDecode(t *testing.T) {
	const blocked = "0x80180014 MENROLL_E_DEVICENOTSUPPORTED"
	const integrity = "0x8028009F TPM_20_E_INTEGRITY"
	for text, want := range map[string]string{
		// The forms of one code.
		"0x80180014":                   blocked,
		"0X80180014":                   blocked,
		" 0x80180014. ":                blocked,
		"0x80180014L":                  blocked,
		"80180014":                     blocked,
		"-2145910764":                  blocked,
		"2149056532":                   blocked,
		"0xFFFFFFFF80180014":           blocked,
		"(6, 0x80180014)":              blocked,
		"6, 0x80180014":                blocked,
		"MENROLL_E_DEVICENOTSUPPORTED": blocked,
		"menroll_e_devicenotsupported": blocked,
		"Registering your device for mobile management (Failed: 6, 0x80180014)": blocked,
		"Event 71: MDM Enroll: Failed (Unknown Win32 Error code: 0x80180014)":   blocked,
		"codes 0x80180014 and again 80180014, then -1073445812":                 blocked + ", 0xC004844C AAD_CLOUDAP_E_OAUTH_USERNAME_IS_MALFORMED",

		// Names that are not the first, and names of the TCG.
		"E_ACCESSDENIED":            "0x80070005 E_ACCESSDENIED",
		"ERROR_INTERNET_TIMEOUT":    "0x80072EE2 ERROR_INTERNET_TIMEOUT",
		"TPM_RC_INTEGRITY":          integrity,
		"tpm_rc_integrity":          integrity,
		"0x80190001":                "0x80190001 HTTP_E_STATUS_UNEXPECTED, 0x80190001 MREGISTER_E_DEVICE_MESSAGE_FORMAT_ERROR",
		"MENROLL_E_NOTSUPPORTED":    "0x80180015 MENROLL_E_NOTSUPPORTED",
		"MENROLL_E_USERLICENSE":     "0x80180018 MENROLL_E_USERLICENSE",
		"0xC1036501":                "0xC1036501",
		"0xC1039001":                "0xC1039001 E_AUTOPILOT_CLIENT_TPM_MAX_ATTESTATION_RETRY_EXCEEDED",
		"0xD000006D":                "0xD000006D STATUS_LOGON_FAILURE",
		"0x8018000C":                "0x8018000C",
		"wininet_e_decoding_failed": "0x80072F8F WININET_E_DECODING_FAILED",

		// By rule.
		"0x80190194": "0x80190194 HTTP_E_STATUS_NOT_FOUND",
		"0x801901AD": "0x801901AD",
		"0x801900C8": "0x801900C8",
		"0x802801DF": integrity,
		"0x1DF":      integrity,
		"0x9A2":      "0x802800A2 TPM_20_E_BAD_AUTH",
		"0x921":      "0x80280921 TPM_20_E_LOCKOUT",
		"0x80070999": "0x80070999",
		"0x5B4":      "0x800705B4 ERROR_TIMEOUT",
		"12007":      "0x80072EE7 WININET_E_NAME_NOT_RESOLVED",
		"1460":       "0x800705B4 ERROR_TIMEOUT",

		// Families with numbers of their own.
		"807":          "ZTD 807 ZtdDeviceIsNotRegistered, MD event 807",
		"ZTD 807":      "ZTD 807 ZtdDeviceIsNotRegistered",
		"AADSTS50155":  "AADSTS50155",
		"aadsts 50155": "AADSTS50155",
		"AADSTS50155: Device authentication failed.": "AADSTS50155",
		"badTime":         "SCEP 3 badTime",
		"BADTIME":         "SCEP 3 badTime",
		"failInfo 2":      "SCEP 2 badRequest",
		"SCEP failInfo 4": "SCEP 4 badCertId",
		"MD event 171":    "MD event 171",
		"udr 204":         "UDR event 204",
		"TW 1794":         "TW event 1794",
		"MD event 216":    "MD event 216",
		"HTTP 503":        "0x801901F7 HTTP_E_STATUS_SERVICE_UNAVAIL",
		"http status 422": "0x801901A6",
		"50155":           "AADSTS50155",
		"422":             "0x801901A6, MD event 422",
		"0x80190132":      "0x80190132",
		"0x801901FA":      "0x801901FA",
		"0":               "0x00000000 S_OK, SCEP 0 badAlg",

		// What is none.
		"":                           "",
		"(, )":                       "",
		"-":                          "",
		"no such code":               "",
		"AADSTS1":                    "",
		"AADSTS":                     "",
		"-1":                         "",
		"-99999999999":               "",
		"99999999999":                "",
		"0x":                         "",
		"0x123456789":                "",
		"12345678":                   "",
		"0x12345678":                 "",
		"HTTP 99":                    "",
		"the state is Unknown, or 6": "",
		"5 of 10 in 404 ms":          "",
		"MD event":                   "",
	} {
		if got := names(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// What the setup screen was at is read, but only from the screen's form.
func TestDecodePhase(t *testing.T) {
	for text, want := range map[string]string{
		"(3, 0x80180014)":                 "joining the tenant [join]",
		"(6, 0x80070005)":                 "enrolling in management [enroll]",
		"Failed: 5, 0x80070005":           "obtaining the device's token [token]",
		"(7, 0x80180014)":                 "after the last phase [enroll]",
		"(9, 0x80180014)":                 " [enroll]",
		"attempt 3, 0x80180014":           " [enroll]",
		"0x80180014":                      " [enroll]",
		"Securing (Failed: 0x80190194)":   " []",
		"(33, 0x80180014)":                " [enroll]",
		"first (x); then 3; 0x80180014":   " [enroll]",
		"Preparing (Failed: 6, 80180014)": "enrolling in management [enroll]",
	} {
		m := diagnose.Decode(text)
		if len(m) != 1 || fmt.Sprint(m[0].Phase, " ", m[0].Steps) != want {
			t.Errorf("%s: %+v, want %s", text, m, want)
		}
	}
}

// Every code of the table is whole, and is found again by each way to write it.
func TestCodes(t *testing.T) {
	all := diagnose.Codes()
	if len(all) < 1000 {
		t.Errorf("%d codes", len(all))
	}
	for _, m := range all {
		if m.Name == "" || m.Family == "" || m.Text == "" || m.Causes == "" || m.Remedy == "" || m.Source == "" || !m.Known() {
			t.Errorf("not whole: %+v", m)
		}
		forms := []string{m.Name, strings.ToLower(m.Name), "it failed with " + m.Name + ", again"}
		if m.Symbol != "" {
			forms = append(forms, m.Symbol, strings.ToLower(m.Symbol))
		}
		if strings.HasPrefix(m.Name, "0x") {
			forms = append(forms, m.Name[2:], fmt.Sprint(int32(m.Code)), fmt.Sprint(m.Code))
		}
		for _, form := range forms {
			if !has(diagnose.Decode(form), m) {
				t.Errorf("%s is not found as %q: %v", m.Name, form, diagnose.Decode(form))
			}
		}
	}
}

// has reports whether a meaning is among others.
func has(list []diagnose.Meaning, want diagnose.Meaning) bool {
	for _, m := range list {
		if m.Name == want.Name && m.Family == want.Family && m.Symbol == want.Symbol && m.Text == want.Text {
			return true
		}
	}
	return false
}

// Only a family is not knowing a code.
func TestKnownMeaning(t *testing.T) {
	for text, want := range map[string]string{
		"0x8018000C": "family", "0x81039999": "family", "0x80190999": "family", "0x801901A6": "computed", "0x80280FFF": "family",
		"0x802801DF": "computed", "0x8028009F": "documented", "0x801C03EE": "documented", "AADSTS700003": "observed", "0x80070999": "computed",
	} {
		m := diagnose.Decode(text)
		if len(m) != 1 || m[0].Source != want || m[0].Known() != (want != "family") {
			t.Errorf("%s: %+v, want %s", text, m, want)
		}
	}
}

// The numbers of handles, sessions and parameters are told.
func TestDecodeSubject(t *testing.T) {
	for text, want := range map[string]string{"0x1DF": "(parameter 1)", "0x18B": "(handle 1)", "0x98E": "(session 1)"} {
		if m := diagnose.Decode(text); len(m) == 0 || !strings.HasSuffix(m[0].Text, want) {
			t.Errorf("%s: %v, want %s", text, m, want)
		}
	}
}

// A long text is read as far as the limit, and in little time.
func TestDecodeLimit(t *testing.T) {
	if got := diagnose.Decode(strings.Repeat(" ", 5000) + "0x80180014"); got != nil {
		t.Errorf("behind the limit: %v", got)
	}
	if got := diagnose.Decode(strings.Repeat(" ", 4096-9) + "0x80180014"); got != nil {
		t.Errorf("cut off at the limit: %v", got)
	}
	start := time.Now()
	diagnose.Decode(strings.Repeat("0x80180014 807 ", 1<<20))
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"0x80180014", "-2145910764", "(6, 0x80180014)", "MENROLL_E_USER_LICENSE", "AADSTS50155", "MD event 171", "0x1DF", "failInfo 2",
		"HTTP status 99999999999", "Registering (Failed: 3, 0x801C03EA)", "0xFFFFFFFF80180014", "\xff0x80180014", "TPM_RC_", "0x80070000",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range diagnose.Decode(text) {
			if m.Name == "" || m.Text == "" || m.Causes == "" || m.Remedy == "" || m.Source == "" || m.Family == "" {
				t.Errorf("not whole: %+v", m)
			}
			named := func(o diagnose.Meaning) bool { return o.Name == m.Name && o.Family == m.Family }
			if !slices.ContainsFunc(diagnose.Decode(m.Name), named) {
				t.Errorf("%+v is not found by its name", m)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for b.Loop() {
		diagnose.Decode("(6, 0x80180014)")
	}
}

func TestMeaningString(t *testing.T) {
	m := diagnose.Decode("(6, 0x80190193)")
	const want = "0x80190193 HTTP_E_STATUS_FORBIDDEN: not permitted; likely: a proxy, or a decision of the service. " +
		"Check restrictions, the addresses that are allowed and the proxy: the service or a proxy before it does not let the device in. [HTTP; documented; while enrolling in management]"
	if len(m) != 1 || m[0].String() != want {
		t.Errorf("%v, want %s", m, want)
	}
}
