package autopilot

import (
	"crypto/rsa"
	"fmt"
	"math/big"
	"time"
)

// Hardware is what the records of a hash say. A field is empty or nil if there
// is no such record. Its form in JSON has the field names below; of a field whose
// meaning is inferred from samples, the comment says so.
type Hardware struct {
	Tool      Version `json:"tool"`      // of the program that took the hash
	ToolLevel uint8   `json:"toolLevel"` // a small number that grows with the program's version
	OS        Version `json:"os"`        // of Windows

	// OSType is "full" for an installed Windows, else the number in the hash.
	OSType string `json:"osType,omitempty"`

	// OSArchitecture is "x86", "x64" or "ARM64", else the number in the hash.
	OSArchitecture string `json:"osArchitecture,omitempty"`

	// Taken is when the hash was taken. That the hash counts the seconds since
	// the year 2000 is inferred: in five public samples it gives a plausible
	// time, which may be local time.
	Taken time.Time `json:"taken,omitzero"`

	// Zone is the byte behind the time. In two samples of newer programs it is
	// the offset from UTC in quarters of an hour, signed; older ones have 0x78.
	Zone uint8 `json:"zone"`

	CPU      Processor `json:"cpu"`
	Memory   Memory    `json:"memory"`
	Disks    []Disk    `json:"disks,omitempty"`
	Networks []Network `json:"networks,omitempty"`
	Displays []Display `json:"displays,omitempty"`
	GPUs     []GPU     `json:"gpus,omitempty"`

	Chassis string `json:"chassis,omitempty"` // SMBIOS type 3, "notebook"; else the number
	Role    string `json:"role,omitempty"`    // the power platform role, "mobile"; else the number

	UUID         string `json:"uuid,omitempty"`   // SMBIOS type 1, as Windows prints it, in lower case
	Serial       string `json:"serial,omitempty"` // SMBIOS type 1
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	SKU          string `json:"sku,omitempty"`
	Family       string `json:"family,omitempty"`
	Version      string `json:"version,omitempty"` // of the system

	FirmwareVendor  string `json:"firmwareVendor,omitempty"`
	FirmwareVersion string `json:"firmwareVersion,omitempty"` // in one sample the vendor again
	BoardProduct    string `json:"boardProduct,omitempty"`
	BoardVersion    string `json:"boardVersion,omitempty"`

	ProductKeyID     string `json:"productKeyId,omitempty"`     // the PKID: 13 digits, only if the maker put a key into the firmware
	ProductKeyPart   string `json:"productKeyPart,omitempty"`   // the key's edition, such as "[TH]X19-99481"
	DiskSerialKernel string `json:"diskSerialKernel,omitempty"` // the first disk, "serial|model|"

	TPM       *TPM       `json:"tpm,omitempty"`
	OfflineID *OfflineID `json:"offlineId,omitempty"`

	// EKModulus is the modulus of the TPM's RSA endorsement key, big-endian. The
	// hash does not say the exponent, nor anything of an ECC key.
	EKModulus []byte `json:"ekModulus,omitempty"`

	// Other are the records of unknown types, and those of known types whose
	// data is too short.
	Other []Record `json:"other,omitempty"`
}

// A Version is a version of Windows, or of a TPM's firmware.
type Version struct{ Major, Minor, Build, Revision uint16 }

// String returns four numbers, such as "10.0.19041.1682", or "" for the zero
// value.
func (v Version) String() string {
	if v == (Version{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", v.Major, v.Minor, v.Build, v.Revision)
}

// MarshalText returns what [Version.String] returns. The error is always nil.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// A Processor is the processor of a device.
type Processor struct {
	Vendor         string `json:"vendor,omitempty"`
	Model          string `json:"model,omitempty"`
	Architecture   string `json:"architecture,omitempty"` // "x64"; else the number in the hash
	Packages       uint16 `json:"packages"`
	Cores          uint16 `json:"cores"`
	Threads        uint16 `json:"threads"`
	HyperThreading bool   `json:"hyperThreading"`
}

// Memory is the main memory of a device.
type Memory struct {
	Total      uint64 `json:"total"`         // in GB
	Maximum    uint64 `json:"maximum"`       // what the board can hold, in GB
	Slots      uint16 `json:"slots"`         // for modules
	Arrays     uint16 `json:"arrays"`        // SMBIOS type 16
	Correction string `json:"ecc,omitempty"` // "none", "parity", "single-bit", "multi-bit", "CRC"; else the number
}

// A Disk is a disk of a device. Capacity and bus come from one record, serial
// number and model from another; that the first of one belongs to the first of
// the other is inferred.
type Disk struct {
	Capacity uint32 `json:"capacity"`       // in GB
	Bus      string `json:"bus,omitempty"`  // "NVMe", "SATA", "SAS", "RAID", "ATA", "ATAPI", "SCSI"; else the number
	Kind     string `json:"kind,omitempty"` // "SSD" or "HDD"; else the number
	Serial   string `json:"serial,omitempty"`
	Model    string `json:"model,omitempty"`
}

// A Network is a network adapter.
type Network struct {
	Medium string `json:"medium"`        // "Ethernet", "Bluetooth", "native 802.11", "wireless LAN"; else the number
	MAC    string `json:"mac"`           // six pairs of hexadecimal digits with colons
	Bus    string `json:"bus,omitempty"` // such as "PCI"
}

// A Display is a display: its size in millimeters, and its resolution in pixels.
type Display struct {
	Width            uint16 `json:"width"`
	Height           uint16 `json:"height"`
	HorizontalPixels uint16 `json:"horizontalPixels"`
	VerticalPixels   uint16 `json:"verticalPixels"`
}

// A GPU is a graphics adapter.
type GPU struct {
	Name      string `json:"name,omitempty"`
	Dedicated uint32 `json:"dedicated"` // video memory of its own; the unit is not known
	System    uint32 `json:"system"`    // main memory of its own; the unit is not known
}

// An OfflineID identifies a device without asking a service.
type OfflineID struct {
	// Kind is "TPM_EK" if ID is the SHA-256 of the modulus of the TPM's RSA
	// endorsement key, "UEFI_VARIABLE_TPM" if it is a random number in the
	// firmware's memory, else the number in the hash.
	Kind string `json:"kind"`
	ID   []byte `json:"id"` // 32 bytes
}

// A TPM is what a hash says of the TPM.
type TPM struct {
	Text     string  `json:"text"`     // as it stands in the hash
	Spec     string  `json:"spec"`     // "2.0" or "1.2"
	Revision string  `json:"revision"` // of the TCG's specification, such as "1.16"
	Vendor   string  `json:"vendor"`   // TCG vendor ID without spaces at its end, such as "IFX"
	Firmware Version `json:"firmware"` // as Windows prints it
}

// Hardware returns what the records say. The caller owns it.
func (h *Hash) Hardware() *Hardware {
	w := &Hardware{}
	var d decoder
	for _, r := range h.Records() {
		if !d.record(w, r) {
			w.Other = append(w.Other, r)
		}
	}
	return w
}

// maxModulus limits the modulus of an endorsement key, in bytes.
const maxModulus = 1024

// EK returns the TPM's RSA endorsement key as the hash has it, with the exponent
// 65537 that all known endorsement keys have, or nil if the hash has none.
func (h *Hash) EK() *rsa.PublicKey {
	modulus := h.find(recordEK)
	n := new(big.Int).SetBytes(modulus)
	if n.Sign() == 0 || len(modulus) > maxModulus {
		return nil
	}
	return &rsa.PublicKey{N: n, E: 65537}
}
