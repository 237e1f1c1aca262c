package autopilot_test

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
)

// bytesOf reads hexadecimal digits.
func bytesOf(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// key returns an RSA public key that nobody has the private key of.
func key(seed string) *rsa.PublicKey {
	var modulus []byte
	for i := range 8 {
		sum := sha256.Sum256([]byte{byte(i), seed[0]})
		modulus = append(modulus, sum[:]...)
	}
	modulus[0], modulus[255] = modulus[0]|0x80, modulus[255]|1
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
}

// A sample restates a hash that was seen in public, with the details that belong
// to a device or a person replaced.
type sample struct {
	seen    string // where
	records []autopilot.Record
	want    func(w *autopilot.Hardware) string // what is not as stated there, or ""
	lint    []string
}

// firstRecord returns the first record of a hash of which only the beginning is
// public: what is public, completed by the bytes rest.
func firstRecord(t testing.TB, public string, rest ...byte) autopilot.Record {
	t.Helper()
	b, err := base64.RawStdEncoding.DecodeString(public)
	if err != nil {
		t.Fatal(err)
	}
	return autopilot.Record{Type: 1, Data: append(b[8:], rest...)}
}

func versions(tool, os string, taken time.Time) func(w *autopilot.Hardware) string {
	return func(w *autopilot.Hardware) string {
		switch {
		case w.Tool.String() != tool:
			return "tool " + w.Tool.String()
		case w.OS.String() != os:
			return "Windows " + w.OS.String()
		case w.Taken.Sub(taken).Abs() > 24*time.Hour:
			return "taken " + w.Taken.String()
		}
		return ""
	}
}

func day(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 12, 0, 0, 0, time.UTC)
}

// samples returns the samples.
func samples(t testing.TB) map[string]sample {
	text := func(kind uint16, s string) autopilot.Record {
		return autopilot.Record{Type: kind, Data: append([]byte(s), 0)}
	}
	raw := func(kind uint16, digits string) autopilot.Record {
		return autopilot.Record{Type: kind, Data: bytesOf(t, digits)}
	}
	ek := key("h")
	sum := sha256.Sum256(ek.N.Bytes())
	smbios := []autopilot.Record{
		raw(12, "102132435465768798a9bacbdcedfe0f"), text(14, "MOCK0002"), text(16, "Mock Manufacturer"), text(17, "Mock Book"),
	}
	tpm := []autopilot.Record{
		text(13, "TPM-Version:2.0 -Level:0-Revision:1.38-VendorID:'STM '-Firmware:4784136.0"),
		{Type: 25, Data: ek.N.Bytes()},
	}
	return map[string]sample{
		// The order of the records, their lengths and all that is not the
		// device's own are as published. So is that the published checksum was
		// right and the offline device ID the SHA-256 of the modulus.
		"notebook": {
			seen: "pastebin.com/dyh3Hef5: a business notebook with Windows 10 1709 and a discrete TPM",
			records: []autopilot.Record{
				raw(1, "00000a00f800ab3f00000a00f800ab3f05fb462278020903"),
				raw(2, "090001000400080001000000"),
				raw(5, "080000000000000040000000000000000200010003"),
				text(3, "GenuineIntel"),
				text(4, "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz\x00\x00\x00\x00\x00\x00\x00"),
				raw(6, "000100000000000011000001"),
				{Type: 7, Data: []byte("0000_0000_0000_0000_0000_0000_0000_0001.|INTEL SSDPEKKF256G7H|")},
				raw(8, "0900000000005e0053010800000050004300490000"+"00"),
				raw(8, "0a00000000005e0053020800000042005400480000"+"00"),
				raw(8, "0e00000000005e0053030800000050004300490000"+"00"),
				raw(9, "5801c1008007380400000080"),
				raw(27, "22001300"),
				raw(10, "0a02000000"),
				text(13, "TPM-Version:2.0 -Level:0-Revision:1.16-VendorID:'IFX '-Firmware:458814.800256"),
				{Type: 25, Data: ek.N.Bytes()},
				{Type: 11, Data: append(bytesOf(t, "00000000010020000000"), sum[:]...)},
				raw(12, "102132435465768798a9bacbdcedfe0f"),
				text(14, "MOCK000001"), text(15, "HP"), text(16, "HP"), text(17, "HP ProBook 450 G5"), text(18, "2WJ96PA#ABG"),
				text(19, "103C_5336AN HP ProBook"), text(23, " "), text(20, "HP"), text(21, "837D"), text(22, "KBC Version 02.21.00"),
				text(24, "0000000000000"), text(26, "[TH]X19-99481"),
				text(28, "0000_0000_0000_0000_0000_0000_0000_0001.|INTEL SSDPEKKF256G7H|"),
			},
			want: func(w *autopilot.Hardware) string {
				if s := versions("10.0.16299.248", "10.0.16299.248", day(2018, time.March, 23))(w); s != "" {
					return s
				}
				switch {
				case w.OSType != "full" || w.OSArchitecture != "x64" || w.ToolLevel != 3:
					return "system " + w.OSType + w.OSArchitecture
				case w.CPU != autopilot.Processor{"GenuineIntel", "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz", "x64", 1, 4, 8, true}:
					return "processor"
				case w.Memory != autopilot.Memory{Total: 8, Maximum: 64, Slots: 2, Arrays: 1, Correction: "none"}:
					return "memory"
				case len(w.Disks) != 1 || w.Disks[0] != autopilot.Disk{256, "NVMe", "SSD", "0000_0000_0000_0000_0000_0000_0000_0001.", "INTEL SSDPEKKF256G7H"}:
					return "disks"
				case len(w.Networks) != 3 || w.Networks[2] != autopilot.Network{"Ethernet", "00:00:5e:00:53:03", "PCI"} || w.Networks[1].Bus != "BTH":
					return "networks"
				case len(w.Displays) != 1 || w.Displays[0] != autopilot.Display{344, 193, 1920, 1080}:
					return "display"
				case w.Chassis != "notebook" || w.Role != "mobile":
					return "chassis"
				case w.TPM == nil || w.TPM.Vendor != "IFX" || w.TPM.Spec != "2.0" || w.TPM.Revision != "1.16" || w.TPM.Firmware.String() != "7.62.12.13824":
					return "TPM"
				case w.UUID != "43322110-6554-8776-98a9-bacbdcedfe0f" || w.SKU != "2WJ96PA#ABG" || w.ProductKeyPart != "[TH]X19-99481":
					return "texts"
				case w.OfflineID == nil || w.OfflineID.Kind != "TPM_EK" || string(w.OfflineID.ID) != string(sum[:]):
					return "offline device ID"
				case len(w.Other) != 2 || w.Other[0].Type != 27:
					return "other records"
				}
				return ""
			},
		},
		// Microsoft's example of a Partner Center file, cut off there after 39
		// characters: an OEM tool of Windows 10 on Windows 7.
		"documented": {
			seen:    "Partner Center's sample file, the row that has only a hardware hash",
			records: append([]autopilot.Record{firstRecord(t, "T0FzAQEAHAAAAAoA6AOCOgEABgBgW7EdzorHH3g", 2, 9, 3)}, smbios...),
			want:    versions("10.0.14978.1000", "6.1.7601.23392", day(2016, time.November, 23)),
			lint:    []string{"no-tpm"},
		},
		"older tool": {
			seen:    "the help text of EXOKeyCheck: an older tool on Windows 10 1903",
			records: append([]autopilot.Record{firstRecord(t, "T0GDAgEAHAAAAAoADwCrPwAACgCRALpHq0gcJ3gC", 9, 3)}, append(smbios, tpm...)...),
			want:    versions("10.0.16299.15", "10.0.18362.145", day(2020, time.October, 16)),
		},
		"broken build": {
			seen:    "the help text of Upload-IntuneAutopilotHash: Windows 10 with an update that took wrong hashes",
			records: append([]autopilot.Record{firstRecord(t, "T0FmBAEAHAAAAAoAHgZhSgAACgCSBmFKYGIyKgg", 2, 9, 5)}, append(smbios, tpm...)...),
			want:    versions("10.0.19041.1566", "10.0.19041.1682", day(2022, time.June, 7)),
			lint:    []string{"broken-build"},
		},
		"virtual machine": {
			seen: "a slide of Black Hat Europe 2024 (read by text recognition) and posts on Hyper-V: a virtual TPM",
			records: append(append([]autopilot.Record{
				raw(1, "00000a004907614a00000a009d04654a3c56cc2de4020905"), raw(2, "090001000400080001000000"),
			}, smbios...), text(13, "TPM-Version:2.0 -Level:0-Revision:1.16-VendorID:'MSFT'-Firmware:538247443.1394722"), autopilot.Record{Type: 25, Data: ek.N.Bytes()}),
			want: func(w *autopilot.Hardware) string {
				if w.TPM.Firmware.String() != "8213.275.21.18466" { // as tpm.msc showed it: oofhours.com, 2022-08-12
					return "firmware " + w.TPM.Firmware.String()
				}
				return versions("10.0.19041.1865", "10.0.19045.1181", day(2024, time.May, 7))(w)
			},
			lint: []string{"virtual-tpm"},
		},
		// The service took a hash with four records.
		"base": {
			seen:    "tadvaas/tscrub, mdm.php: the fewest records that the service took",
			records: smbios,
			want: func(w *autopilot.Hardware) string {
				if w.Serial != "MOCK0002" || w.Product != "Mock Book" || !w.Taken.IsZero() || w.Tool.String() != "" {
					return "texts"
				}
				return ""
			},
			lint: []string{"no-tpm"},
		},
		"tpm not ready": {
			seen:    "posts on hashes taken while the TPM was off: its records are there and empty",
			records: append([]autopilot.Record{text(13, ""), {Type: 25}}, smbios...),
			want:    func(*autopilot.Hardware) string { return "" },
			lint:    []string{"empty-tpm"},
		},
		"empty SMBIOS": {
			seen:    "MicrosoftDocs/windows-itpro-docs#2079 and others: a virtual machine without serial number (error 802)",
			records: []autopilot.Record{text(14, ""), text(16, ""), text(17, "Virtual Machine"), raw(12, "00000000000000000000000000000000")},
			want:    func(*autopilot.Hardware) string { return "" },
			lint:    []string{"no-serial", "no-manufacturer", "placeholder-uuid", "no-tpm"},
		},
	}
}

// Each sample says what was said where it was seen.
func TestSamples(t *testing.T) {
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			text := autopilottest.Encode(s.records)
			h, err := autopilot.ParseHash(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Verify(); err != nil || len(text) != 4000 || !h.Mock() {
				t.Errorf("checksum %v, %d characters, mock %v", err, len(text), h.Mock())
			}
			if wrong := s.want(h.Hardware()); wrong != "" {
				t.Errorf("not as stated in %s: %s", s.seen, wrong)
			}
			if got := ids(h.Lint()); got != join(append(s.lint, "mock")) {
				t.Errorf("findings %s, want %s", got, join(s.lint))
			}
		})
	}
}
