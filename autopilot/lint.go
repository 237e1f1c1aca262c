package autopilot

import (
	"bytes"
	"crypto/sha256"
	"strings"
)

// Lint returns what the service would refuse, and what predicts trouble. The
// findings are
//
//	wrong-checksum       refused  the checksum is missing or wrong (error 802; observed)
//	no-serial            refused  no serial number (error 802; documented)
//	no-manufacturer      refused  no manufacturer (error 802; documented)
//	no-product           refused  no product name (observed)
//	no-uuid              refused  no SMBIOS UUID (observed)
//	unpadded             refused  the base64 lacks its "=" (HTTP status 400; observed); package graph adds them
//	placeholder-serial   a serial number that is not the device's own, so that error 813 may follow
//	placeholder-uuid     a UUID that is not the device's own
//	not-4k               the text has not 4,000 characters (name HashNot4k; documented)
//	no-tpm               no TPM: self-deploying mode and pre-provisioning cannot work
//	empty-tpm            the record of the TPM or of its endorsement key is empty
//	no-ek                no endorsement key: registration works, attestation will fail (inferred)
//	ek-size              the endorsement key has not 2048 bits, as known hashes have
//	wrong-offline-id     the offline device ID is not that of the endorsement key
//	old-tpm              a TPM older than 2.0, which cannot attest
//	virtual-tpm          the TPM of a virtual machine, whose attestation fails (documented)
//	broken-build         a Windows that is known to take wrong hashes: Windows 10 with the
//	                     updates KB5011831 or KB5013942 of 2022, mended by KB5015020 (documented)
//	unreadable-record    a record of a known type is too short, but not empty
//	mock                 made by package autopilottest
func (h *Hash) Lint() []Finding {
	w := h.Hardware()
	var f findings
	err := h.Verify()
	f.add(err != nil, true, "wrong-checksum", "the checksum is missing or wrong: the hash was damaged or put together by hand")
	f.add(strings.TrimSpace(w.Serial) == "", true, "no-serial", "there is no serial number")
	f.add(strings.TrimSpace(w.Manufacturer) == "", true, "no-manufacturer", "there is no manufacturer")
	f.add(strings.TrimSpace(w.Product) == "", true, "no-product", "there is no product name")
	f.add(w.UUID == "", true, "no-uuid", "there is no SMBIOS UUID")
	f.add(h.unpadded, true, idUnpadded, "the base64 has %d characters, which is no multiple of four", h.chars)
	f.add(strings.TrimSpace(w.Serial) != "" && placeholder(w.Serial), false, "placeholder-serial", "%q is no serial number", w.Serial)
	f.add(w.UUID != "" && !usable(w.UUID), false, "placeholder-uuid", "%s is no UUID of a device", w.UUID)
	f.add(h.chars != fullChars, false, "not-4k", "the text has %d characters, not %d: it may have been cut off, and the service has a refusal for that, HashNot4k", h.chars, fullChars)
	h.lintTPM(&f, w)
	f.add(isBroken(w.OS), false, "broken-build", "Windows %s is known to take wrong hashes; update it, and take the hash again", w.OS)
	for _, r := range w.Other {
		f.add(recordName(r.Type) != "" && r.Type != recordMock && len(r.Data) > 0, false, "unreadable-record", "%s has only %d bytes", r.Name(), len(r.Data))
	}
	f.add(h.Mock(), false, "mock", "the hash belongs to no device; no real service gets it")
	return f
}

// ekSize is the length of the modulus of a 2048-bit key, in bytes.
const ekSize = 256

// virtualVendors are TPM vendors of virtual machines.
var virtualVendors = map[string]string{"MSFT": "Hyper-V", "VMW": "VMware", "GOOG": "Google", "AMZN": "Amazon", "IBM": "a TPM emulator"}

func (h *Hash) lintTPM(f *findings, w *Hardware) {
	tpm, ek := h.find(recordTPM), h.find(recordEK)
	blank := tpm != nil && text(tpm) == "" || ek != nil && h.EK() == nil
	f.add(blank, false, "empty-tpm", "a record of the TPM is empty: the TPM was off or not ready when the hash was taken")
	f.add(tpm == nil && ek == nil && !w.hasEKID(), false, "no-tpm", "the hash knows of no TPM")
	f.add(tpm != nil && ek == nil, false, "no-ek", "the hash knows a TPM, but not its endorsement key")
	f.add(h.EK() != nil && len(ek) != ekSize, false, "ek-size", "the endorsement key has %d bytes, not %d", len(ek), ekSize)
	if h.EK() != nil && w.hasEKID() {
		sum := sha256.Sum256(ek)
		f.add(!bytes.Equal(sum[:], w.OfflineID.ID), false, "wrong-offline-id", "the offline device ID is not that of the endorsement key")
	}
	if w.TPM == nil {
		return
	}
	f.add(w.TPM.Spec != "" && w.TPM.Spec != "2.0", false, "old-tpm", "the TPM has version %s, and attestation needs 2.0", w.TPM.Spec)
	name, virtual := virtualVendors[w.TPM.Vendor]
	f.add(virtual, false, "virtual-tpm", "the TPM is that of %s, and attestation needs one of hardware", name)
}

// isBroken reports whether a Windows takes wrong hashes: Windows 10 from the
// update of April 25, 2022 (revision 1682) to that of May 10 (1706). All builds
// from 19041 to 19044 share their revisions. A public sample of revision 1682 has
// build 19041.
func isBroken(v Version) bool {
	return v.Major == 10 && v.Build >= 19041 && v.Build <= 19044 && v.Revision >= 1682 && v.Revision <= 1706
}
