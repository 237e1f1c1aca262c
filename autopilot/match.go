package autopilot

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
)

// A Verdict says whether two things belong to the same device.
type Verdict string

// The verdicts of [Hash.Match] and [Hash.Compare].
const (
	Same      Verdict = "same device"
	Other     Verdict = "another mainboard"
	Undecided Verdict = "cannot tell"
)

// A Match is a verdict with its reason.
type Match struct {
	Verdict Verdict `json:"verdict"`

	// Reason says what was compared, or why nothing could be.
	Reason string `json:"reason"`

	// Differences name what else differs, such as "serial number", if two
	// hashes were compared. Differences of the same device are parts that were
	// replaced, and what changes from one collection to the next.
	Differences []string `json:"differences,omitempty"`
}

// String returns verdict, reason and differences on one line.
func (m Match) String() string {
	s := string(m.Verdict) + ": " + m.Reason
	if len(m.Differences) > 0 {
		s += "; different: " + strings.Join(m.Differences, ", ")
	}
	return s
}

// Match says whether the hash is of the device whose TPM has the endorsement key
// ek, an *[rsa.PublicKey]. A hash holds only the modulus of an RSA key, or its
// SHA-256 as the offline device ID, so that nothing can be said of an ECC key, nor
// by a hash that was taken without a TPM. Registered with another device's hash, a
// device fails when it proves its endorsement key to the directory (inferred; such
// failures are reported with the code 0x801C03EA).
func (h *Hash) Match(ek crypto.PublicKey) Match {
	key, ok := ek.(*rsa.PublicKey)
	if !ok || key == nil || key.N == nil {
		return Match{Verdict: Undecided, Reason: fmt.Sprintf("a hash holds an RSA endorsement key only, and this key is %s", kind(ek))}
	}
	if own := h.EK(); own != nil {
		if own.N.Cmp(key.N) == 0 {
			return Match{Verdict: Same, Reason: "the endorsement key is the one in the hash"}
		}
		return Match{Verdict: Other, Reason: "the endorsement key is not the one in the hash"}
	}
	if id := h.Hardware().OfflineID; id != nil && id.Kind == offlineEK {
		if sum := sha256.Sum256(key.N.Bytes()); bytes.Equal(sum[:], id.ID) {
			return Match{Verdict: Same, Reason: "the offline device ID is that of the endorsement key"}
		}
		return Match{Verdict: Other, Reason: "the offline device ID is that of another endorsement key"}
	}
	return Match{Verdict: Undecided, Reason: "the hash holds no endorsement key: the TPM was off or not ready when the hash was taken"}
}

// MatchCertificate is like [Hash.Match], for the key of an endorsement
// certificate. It does not verify the certificate. cert may be nil.
func (h *Hash) MatchCertificate(cert *x509.Certificate) Match {
	if cert == nil {
		return h.Match(nil)
	}
	return h.Match(cert.PublicKey)
}

// kind names the kind of a key for an error message.
func kind(key crypto.PublicKey) string {
	if key == nil {
		return "missing or cannot be read"
	}
	return fmt.Sprintf("a %T", key)
}

// Compare says whether two hashes are of the same device. Two hashes of one
// device are never equal as texts: time, disks and networks change. Compare
// decides by the endorsement key; without one in both hashes, by the offline
// device ID if that comes from the endorsement key in both; without, by the SMBIOS
// UUID and the serial number together, which a replaced mainboard may repeat.
func (h *Hash) Compare(other *Hash) Match {
	a, b := h.Hardware(), other.Hardware()
	m := compare(a, b, h.EK(), other.EK())
	m.Differences = differences(a, b)
	return m
}

func compare(a, b *Hardware, ekA, ekB *rsa.PublicKey) Match {
	switch {
	case ekA != nil && ekB != nil:
		if ekA.N.Cmp(ekB.N) == 0 {
			return Match{Verdict: Same, Reason: "both have the same endorsement key"}
		}
		return Match{Verdict: Other, Reason: "they have different endorsement keys"}
	case a.hasEKID() && b.hasEKID():
		if bytes.Equal(a.OfflineID.ID, b.OfflineID.ID) {
			return Match{Verdict: Same, Reason: "both have the same offline device ID"}
		}
		return Match{Verdict: Other, Reason: "they have offline device IDs of different endorsement keys"}
	case !usable(a.UUID) || !usable(b.UUID) || placeholder(a.Serial) || placeholder(b.Serial):
		return Match{Verdict: Undecided, Reason: "there is no endorsement key in both, and no UUID and serial number of their own"}
	case a.UUID == b.UUID && strings.EqualFold(a.Serial, b.Serial):
		return Match{Verdict: Same, Reason: "both have the same UUID and serial number; the endorsement key is not in both"}
	}
	return Match{Verdict: Other, Reason: "UUID or serial number differ; the endorsement key is not in both"}
}

// hasEKID reports whether the offline device ID comes from the endorsement key.
func (w *Hardware) hasEKID() bool { return w.OfflineID != nil && w.OfflineID.Kind == offlineEK }

// differences names what is not the same in two inventories.
func differences(a, b *Hardware) []string {
	var out []string
	differ := func(what string, different bool) {
		if different {
			out = append(out, what)
		}
	}
	differ("serial number", a.Serial != b.Serial)
	differ("UUID", a.UUID != b.UUID)
	differ("manufacturer", a.Manufacturer != b.Manufacturer)
	differ("product", a.Product != b.Product)
	differ("SKU", a.SKU != b.SKU)
	differ("board product", a.BoardProduct != b.BoardProduct)
	differ("board version", a.BoardVersion != b.BoardVersion)
	differ("firmware version", a.FirmwareVersion != b.FirmwareVersion)
	differ("product key ID", a.ProductKeyID != b.ProductKeyID)
	differ("endorsement key", !bytes.Equal(a.EKModulus, b.EKModulus))
	differ("TPM", tpmText(a) != tpmText(b))
	differ("processor", a.CPU != b.CPU)
	differ("memory", a.Memory != b.Memory)
	differ("disks", fmt.Sprint(a.Disks) != fmt.Sprint(b.Disks))
	differ("network adapters", fmt.Sprint(a.Networks) != fmt.Sprint(b.Networks))
	differ("displays", fmt.Sprint(a.Displays) != fmt.Sprint(b.Displays))
	differ("graphics adapters", fmt.Sprint(a.GPUs) != fmt.Sprint(b.GPUs))
	differ("Windows version", a.OS != b.OS)
	differ("time", !a.Taken.Equal(b.Taken))
	return out
}

func tpmText(w *Hardware) string {
	if w.TPM == nil {
		return ""
	}
	return w.TPM.Text
}

// usable reports whether an SMBIOS UUID identifies a device: it is neither
// missing nor one that firmware has before its maker sets it.
func usable(uuid string) bool {
	switch uuid {
	case "", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"03000200-0400-0500-0006-000700080009":
		return false
	}
	return true
}

// placeholder reports whether a text is missing or stands in for one that the
// device's maker did not set.
func placeholder(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "0", "none", "n/a", "na", "invalid", "unknown", "default string", "not specified", "not applicable",
		"not available", "to be filled by o.e.m.", "o.e.m.", "oem", "system serial number", "system manufacturer",
		"system product name", "chassis serial number", "123456789", "0123456789", "1234567890":
		return true
	}
	return false
}
