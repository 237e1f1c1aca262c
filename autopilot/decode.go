package autopilot

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// epoch is where the time of a hash starts.
var epoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// numbered is a list of numbers with their names.
type numbered []struct {
	number uint64
	name   string
}

// Names of numbers in a hash.
var (
	osTypes       = numbered{{2, "full"}}
	architectures = numbered{{0, "x86"}, {9, "x64"}, {12, "ARM64"}}
	corrections   = numbered{{3, "none"}, {4, "parity"}, {5, "single-bit"}, {6, "multi-bit"}, {7, "CRC"}}
	buses         = numbered{{1, "SCSI"}, {2, "ATAPI"}, {3, "ATA"}, {8, "RAID"}, {10, "SAS"}, {11, "SATA"}, {17, "NVMe"}}
	diskKinds     = numbered{{0, "SSD"}, {255, "HDD"}}
	media         = numbered{{1, "wireless LAN"}, {9, "native 802.11"}, {10, "Bluetooth"}, {14, "Ethernet"}}
	roles         = numbered{
		{0, "unspecified"},
		{1, "desktop"},
		{2, "mobile"},
		{3, "workstation"},
		{4, "enterprise server"},
		{5, "small office server"},
		{6, "appliance"},
		{7, "performance server"},
		{8, "slate"},
	}
	// Chassis types are those of SMBIOS (DMTF DSP0134, section 7.4.1).
	chassisTypes = numbered{
		{1, "other"},
		{2, "unknown"},
		{3, "desktop"},
		{4, "low profile desktop"},
		{5, "pizza box"},
		{6, "mini tower"},
		{7, "tower"},
		{8, "portable"},
		{9, "laptop"},
		{10, "notebook"},
		{11, "hand held"},
		{12, "docking station"},
		{13, "all in one"},
		{14, "sub notebook"},
		{15, "space-saving"},
		{16, "lunch box"},
		{17, "main server chassis"},
		{23, "rack mount"},
		{30, "tablet"},
		{31, "convertible"},
		{32, "detachable"},
		{33, "IoT gateway"},
		{34, "embedded PC"},
		{35, "mini PC"},
		{36, "stick PC"},
	}
	offlineKinds = numbered{{1, offlineEK}, {2, "UEFI_VARIABLE_TPM"}}
)

// offlineEK is the kind of an OfflineID that is computed from the endorsement key.
const offlineEK = "TPM_EK"

// name returns the name of a number, or the number.
func name(names numbered, n uint64) string {
	for _, known := range names {
		if known.number == n {
			return known.name
		}
	}
	return strconv.FormatUint(n, 10)
}

// A decoder puts records into a Hardware. It counts those that come in pairs.
type decoder struct{ disks, diskSerials, gpus, gpuNames int }

// record puts one record into w. It returns false if the type is unknown or the
// data too short.
func (d *decoder) record(w *Hardware, r Record) bool {
	if p := w.text(r.Type); p != nil {
		*p = text(r.Data)
		return true
	}
	data := r.Data
	if least := leastSize(r.Type); len(data) < least || least == 0 {
		return false
	}
	le := binary.LittleEndian
	switch r.Type {
	case recordVersions:
		w.Tool, w.OS = version(data), version(data[8:])
		w.Taken, w.Zone = epoch.Add(time.Duration(le.Uint32(data[16:]))*time.Second), data[20]
		w.OSType, w.OSArchitecture, w.ToolLevel = name(osTypes, uint64(data[21])), name(architectures, uint64(data[22])), data[23]
	case recordCPU:
		w.CPU.Architecture = name(architectures, uint64(le.Uint16(data)))
		w.CPU.Packages, w.CPU.Cores, w.CPU.Threads = le.Uint16(data[2:]), le.Uint16(data[4:]), le.Uint16(data[6:])
		w.CPU.HyperThreading = le.Uint16(data[8:]) == 1
	case recordMemory:
		w.Memory = Memory{
			Total: le.Uint64(data), Maximum: le.Uint64(data[8:]), Slots: le.Uint16(data[16:]), Arrays: le.Uint16(data[18:]),
			Correction: name(corrections, uint64(data[20])),
		}
	case recordDisk:
		disk := w.disk(&d.disks)
		disk.Capacity, disk.Bus, disk.Kind = le.Uint32(data), name(buses, uint64(data[8])), name(diskKinds, uint64(data[10]))
	case recordDiskSerial:
		disk := w.disk(&d.diskSerials)
		serial, rest, _ := strings.Cut(text(data), "|")
		disk.Serial = serial
		disk.Model, _, _ = strings.Cut(rest, "|")
	case recordNetwork:
		w.Networks = append(w.Networks, Network{
			Medium: name(media, uint64(le.Uint32(data))), MAC: net.HardwareAddr(data[4:10]).String(),
			Bus: wideText(data[14:min(uint64(len(data)), 14+uint64(le.Uint32(data[10:])))]),
		})
	case recordDisplay:
		w.Displays = append(w.Displays, Display{le.Uint16(data), le.Uint16(data[2:]), le.Uint16(data[4:]), le.Uint16(data[6:])})
	case recordChassis:
		w.Chassis, w.Role = name(chassisTypes, uint64(data[0])), name(roles, uint64(data[1]))
	case recordOfflineID:
		size := int(le.Uint16(data[6:]))
		if len(data) < 10+size {
			return false
		}
		w.OfflineID = &OfflineID{Kind: name(offlineKinds, uint64(le.Uint16(data[4:]))), ID: data[10 : 10+size : 10+size]}
	case recordUUID:
		w.UUID = guid(data)
	case recordTPM:
		w.TPM = readTPM(text(data))
	case recordEK:
		w.EKModulus = data
	case recordGPU:
		gpu := w.gpu(&d.gpus)
		gpu.Dedicated, gpu.System = le.Uint32(data), le.Uint32(data[4:])
	case recordGPUName:
		w.gpu(&d.gpuNames).Name = wideText(data)
	}
	return true
}

// leastSize returns the least length of the data of a record that is not text, or 0 if
// there is no such type of record.
func leastSize(kind uint16) int {
	switch kind {
	case recordVersions:
		return 24
	case recordCPU, recordOfflineID:
		return 10
	case recordMemory:
		return 21
	case recordDisk:
		return 11
	case recordNetwork:
		return 14
	case recordDisplay, recordGPU:
		return 8
	case recordChassis:
		return 2
	case recordUUID:
		return 16
	case recordDiskSerial, recordTPM, recordEK, recordGPUName:
		return 1
	}
	return 0
}

// text returns where the text of a type of record goes, or nil if it is no text.
func (w *Hardware) text(kind uint16) *string {
	switch kind {
	case recordCPUVendor:
		return &w.CPU.Vendor
	case recordCPUModel:
		return &w.CPU.Model
	case recordSerial:
		return &w.Serial
	case recordFirmwareVendor:
		return &w.FirmwareVendor
	case recordManufacturer:
		return &w.Manufacturer
	case recordProduct:
		return &w.Product
	case recordSKU:
		return &w.SKU
	case recordFamily:
		return &w.Family
	case recordFirmwareVersion:
		return &w.FirmwareVersion
	case recordBoardProduct:
		return &w.BoardProduct
	case recordBoardVersion:
		return &w.BoardVersion
	case recordSystemVersion:
		return &w.Version
	case recordProductKeyID:
		return &w.ProductKeyID
	case recordProductKeyPart:
		return &w.ProductKeyPart
	case recordDiskSerialKernel:
		return &w.DiskSerialKernel
	}
	return nil
}

// disk returns the next disk that a counter has not reached.
func (w *Hardware) disk(n *int) *Disk {
	if *n == len(w.Disks) {
		w.Disks = append(w.Disks, Disk{})
	}
	*n++
	return &w.Disks[*n-1]
}

// gpu returns the next graphics adapter that a counter has not reached.
func (w *Hardware) gpu(n *int) *GPU {
	if *n == len(w.GPUs) {
		w.GPUs = append(w.GPUs, GPU{})
	}
	*n++
	return &w.GPUs[*n-1]
}

// version reads a version: minor, major, revision, build.
func version(b []byte) Version {
	le := binary.LittleEndian
	return Version{Minor: le.Uint16(b), Major: le.Uint16(b[2:]), Revision: le.Uint16(b[4:]), Build: le.Uint16(b[6:])}
}

// text reads UTF-8 with zeros at its end. Bytes that are no UTF-8 become U+FFFD.
func text(b []byte) string { return strings.ToValidUTF8(string(bytes.TrimRight(b, "\x00")), "\ufffd") }

// wideText reads UTF-16, little-endian, with zeros at its end.
func wideText(b []byte) string {
	return strings.TrimRight(string(wide.Decode(b, binary.LittleEndian)), "\x00")
}

// guid prints 16 bytes of which the first three numbers are little-endian.
func guid(b []byte) string {
	le := binary.LittleEndian
	be := binary.BigEndian.AppendUint32(nil, le.Uint32(b))
	be = binary.BigEndian.AppendUint16(be, le.Uint16(b[4:]))
	be = binary.BigEndian.AppendUint16(be, le.Uint16(b[6:]))
	s := hex.EncodeToString(append(be, b[8:16]...))
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// readTPM reads a description such as
// "TPM-Version:2.0 -Level:0-Revision:1.16-VendorID:'IFX '-Firmware:458814.800256".
// What it cannot read stays empty.
func readTPM(s string) *TPM {
	after := func(label, end string) string {
		_, rest, _ := strings.Cut(s, label)
		value, _, _ := strings.Cut(rest, end)
		return strings.TrimSpace(value)
	}
	t := &TPM{Text: s, Spec: after("TPM-Version:", "-"), Revision: after("-Revision:", "-"), Vendor: after("-VendorID:'", "'")}
	// The numbers are TPM_PT_FIRMWARE_VERSION_1 and _2, which Windows prints as
	// four (tpm.msc, Get-Tpm).
	one, two, _ := strings.Cut(after("-Firmware:", " "), ".")
	a, errA := strconv.ParseUint(one, 10, 32)
	b, errB := strconv.ParseUint(two, 10, 32)
	if errA == nil && errB == nil {
		t.Firmware = Version{uint16(a >> 16), uint16(a), uint16(b >> 16), uint16(b)}
	}
	return t
}
