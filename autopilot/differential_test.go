package autopilot_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/internal/tooltest"
)

// python runs a program of testdata, which reads input. Without Python the test
// is skipped, unless WHITEGLOVE_REQUIRE_TOOLS is set.
func python(t *testing.T, program, input string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tooltest.Path(t, "python3"), append([]string{"-S", "testdata/" + program}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, stderr.Bytes())
	}
	return out
}

// number returns the number that a name stands for, by a table of the test's own.
func number(names map[int]string, name string) int {
	for n, s := range names {
		if s == name {
			return n
		}
	}
	n := 0
	if _, err := fmt.Sscan(name, &n); err != nil {
		return -1
	}
	return n
}

var (
	archNumbers   = map[int]string{0: "x86", 9: "x64", 12: "ARM64"}
	eccNumbers    = map[int]string{3: "none", 4: "parity", 5: "single-bit", 6: "multi-bit", 7: "CRC"}
	busNumbers    = map[int]string{1: "SCSI", 2: "ATAPI", 3: "ATA", 8: "RAID", 10: "SAS", 11: "SATA", 17: "NVMe"}
	diskNumbers   = map[int]string{0: "SSD", 255: "HDD"}
	mediumNumbers = map[int]string{1: "wireless LAN", 9: "native 802.11", 10: "Bluetooth", 14: "Ethernet"}
	roleNumbers   = map[int]string{
		0: "unspecified", 1: "desktop", 2: "mobile", 3: "workstation", 4: "enterprise server",
		5: "small office server", 6: "appliance", 7: "performance server", 8: "slate",
	}
	chassisNumbers = map[int]string{3: "desktop", 9: "laptop", 10: "notebook", 30: "tablet", 31: "convertible"}
	osNumbers      = map[int]string{2: "full"}
	idNumbers      = map[int]string{1: "TPM_EK", 2: "UEFI_VARIABLE_TPM"}
)

// values restates an inventory in the form of the other reader.
func values(h *autopilot.Hash) map[string]any {
	w := h.Hardware()
	has := func(kind uint16, least int) bool {
		return slices.ContainsFunc(h.Records(), func(r autopilot.Record) bool { return r.Type == kind && len(r.Data) >= least })
	}
	out := map[string]any{}
	for kind, v := range map[uint16][2]string{
		3: {"cpuVendor", w.CPU.Vendor}, 4: {"cpuModel", w.CPU.Model}, 14: {"serial", w.Serial}, 15: {"firmwareVendor", w.FirmwareVendor},
		16: {"manufacturer", w.Manufacturer}, 17: {"product", w.Product}, 18: {"sku", w.SKU}, 19: {"family", w.Family},
		20: {"firmwareVersion", w.FirmwareVersion}, 21: {"boardProduct", w.BoardProduct}, 22: {"boardVersion", w.BoardVersion},
		23: {"systemVersion", w.Version}, 24: {"productKeyId", w.ProductKeyID}, 26: {"productKeyPkPn", w.ProductKeyPart},
		28: {"diskSerialKernel", w.DiskSerialKernel},
	} {
		if has(kind, 0) {
			out[v[0]] = v[1]
		}
	}
	if has(1, 24) {
		out["tool"], out["os"], out["osType"] = w.Tool.String(), w.OS.String(), number(osNumbers, w.OSType)
		out["osArchitecture"], out["toolVersion"] = number(archNumbers, w.OSArchitecture), int(w.ToolLevel)
	}
	if has(2, 10) {
		hyper := 0
		if w.CPU.HyperThreading {
			hyper = 1
		}
		out["cpu"] = []int{number(archNumbers, w.CPU.Architecture), int(w.CPU.Packages), int(w.CPU.Cores), int(w.CPU.Threads), hyper}
	}
	if has(5, 21) {
		m := w.Memory
		out["memory"] = []any{m.Total, m.Maximum, m.Slots, m.Arrays, number(eccNumbers, m.Correction)}
	}
	var disks, serials, networks, displays, gpus, gpuNames []any
	for _, d := range w.Disks {
		if has(6, 11) && d.Bus != "" {
			disks = append(disks, []any{d.Capacity, number(busNumbers, d.Bus), number(diskNumbers, d.Kind)})
		}
		if has(7, 1) && d.Serial != "" {
			serials = append(serials, []string{d.Serial, d.Model})
		}
	}
	for _, n := range w.Networks {
		networks = append(networks, []any{number(mediumNumbers, n.Medium), n.MAC, n.Bus})
	}
	for _, d := range w.Displays {
		displays = append(displays, []uint16{d.Width, d.Height, d.HorizontalPixels, d.VerticalPixels})
	}
	for _, g := range w.GPUs {
		gpus = append(gpus, []uint32{g.Dedicated, g.System})
		gpuNames = append(gpuNames, g.Name)
	}
	for name, list := range map[string][]any{
		"disks": disks, "diskSerials": serials, "networks": networks, "displays": displays, "gpus": gpus, "gpuNames": gpuNames,
	} {
		if len(list) > 0 {
			out[name] = list
		}
	}
	if has(10, 2) {
		out["chassis"], out["role"] = number(chassisNumbers, w.Chassis), number(roleNumbers, w.Role)
	}
	if w.OfflineID != nil {
		out["offlineId"] = []any{number(idNumbers, w.OfflineID.Kind), hex.EncodeToString(w.OfflineID.ID)}
	}
	if w.UUID != "" {
		out["uuid"] = w.UUID
	}
	if has(13, 0) {
		out["tpm"] = ""
		if w.TPM != nil {
			out["tpm"] = w.TPM.Text
		}
	}
	if has(25, 0) {
		out["ek"] = hex.EncodeToString(w.EKModulus)
	}
	return out
}

// canonical returns a value as JSON with the names of objects sorted.
func canonical(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var again any
	if err := json.Unmarshal(raw, &again); err != nil {
		t.Fatal(err)
	}
	raw, _ = json.MarshalIndent(again, "", " ")
	return string(raw)
}

// A reader in Python, written from a description of the layout and not from this
// package, reads the same from each hash.
func TestOtherReader(t *testing.T) {
	var texts []string
	for _, s := range samples(t) {
		texts = append(texts, autopilottest.Encode(s.records))
	}
	texts = append(
		texts,
		autopilottest.Device{}.Text(),
		autopilottest.Device{EK: key("x"), ProductKeyID: "1234567890123", Serial: "Ünïcode – 序列号"}.Text(),
		autopilottest.Device{Omit: []uint16{1, 2, 5, 9}, Extra: []autopilot.Record{{Type: 77, Data: []byte{1, 2, 3}}}}.Text(),
	)
	bad := parse(t, texts[0]).Bytes()
	bad[10] ^= 1
	texts = append(texts, base64.StdEncoding.EncodeToString(bad))
	var input strings.Builder
	for _, s := range texts {
		input.WriteString(s + "\n")
	}
	lines := strings.Split(strings.TrimSpace(string(python(t, "hash.py", input.String()))), "\n")
	if len(lines) != len(texts) {
		t.Fatalf("%d answers for %d hashes", len(lines), len(texts))
	}
	for i, text := range texts {
		h := parse(t, text)
		var records [][]any
		for _, r := range h.Records() {
			records = append(records, []any{r.Type, hex.EncodeToString(r.Data)})
		}
		total := 4
		for _, r := range h.Records() {
			total += 4 + len(r.Data)
		}
		ours := canonical(t, map[string]any{
			"size": len(h.Bytes()), "total": total, "checksum": h.Verify() == nil, "records": records, "values": values(h),
		})
		if theirs := canonical(t, json.RawMessage(lines[i])); ours != theirs {
			t.Errorf("hash %d: we read\n%s\nPython reads\n%s", i, ours, theirs)
		}
	}
}
