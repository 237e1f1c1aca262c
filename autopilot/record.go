package autopilot

import "fmt"

// Types of records. The names are this package's; Windows has published none.
const (
	recordVersions         = 1
	recordCPU              = 2
	recordCPUVendor        = 3
	recordCPUModel         = 4
	recordMemory           = 5
	recordDisk             = 6
	recordDiskSerial       = 7
	recordNetwork          = 8
	recordDisplay          = 9
	recordChassis          = 10
	recordOfflineID        = 11
	recordUUID             = 12
	recordTPM              = 13
	recordSerial           = 14
	recordFirmwareVendor   = 15
	recordManufacturer     = 16
	recordProduct          = 17
	recordSKU              = 18
	recordFamily           = 19
	recordFirmwareVersion  = 20
	recordBoardProduct     = 21
	recordBoardVersion     = 22
	recordSystemVersion    = 23
	recordProductKeyID     = 24
	recordEK               = 25
	recordProductKeyPart   = 26
	recordUndeciphered     = 27
	recordDiskSerialKernel = 28
	recordGPU              = 29
	recordGPUName          = 30
	recordMock             = 255 // of package autopilottest
)

// mockMark is what the data of a record of type recordMock starts with.
const mockMark = "MOCK: "

// recordNames are the names of types.
var recordNames = [...]string{
	recordVersions:         "versions",
	recordCPU:              "processor",
	recordCPUVendor:        "processor vendor",
	recordCPUModel:         "processor model",
	recordMemory:           "memory",
	recordDisk:             "disk",
	recordDiskSerial:       "disk serial number",
	recordNetwork:          "network adapter",
	recordDisplay:          "display",
	recordChassis:          "chassis",
	recordOfflineID:        "offline device ID",
	recordUUID:             "SMBIOS UUID",
	recordTPM:              "TPM",
	recordSerial:           "serial number",
	recordFirmwareVendor:   "firmware vendor",
	recordManufacturer:     "manufacturer",
	recordProduct:          "product name",
	recordSKU:              "SKU number",
	recordFamily:           "system family",
	recordFirmwareVersion:  "firmware version",
	recordBoardProduct:     "board product",
	recordBoardVersion:     "board version",
	recordSystemVersion:    "system version",
	recordProductKeyID:     "product key ID",
	recordEK:               "TPM endorsement key",
	recordProductKeyPart:   "product key part number",
	recordDiskSerialKernel: "disk serial number of the kernel",
	recordGPU:              "graphics memory",
	recordGPUName:          "graphics adapter",
	recordMock:             "mock",
}

// recordName returns the name of a type, or "" if what it is for is not known.
func recordName(kind uint16) string {
	if int(kind) < len(recordNames) {
		return recordNames[kind]
	}
	return ""
}

// Name returns a name for the record's type, such as "serial number", or
// "record 27" if what the type is for is not known.
func (r Record) Name() string {
	if name := recordName(r.Type); name != "" {
		return name
	}
	return fmt.Sprintf("record %d", r.Type)
}
