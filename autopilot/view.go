package autopilot

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// String returns the inventory as text, a line for each fact, in a form for
// people that may change.
func (w *Hardware) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		if text := strings.TrimSpace(fmt.Sprintf(format, args...)); text != "" {
			fmt.Fprintf(&b, "%-17s %s\n", name, wire.Visible(text))
		}
	}
	line("manufacturer", "%s", w.Manufacturer)
	line("product", "%s", w.Product)
	line("serial number", "%s", w.Serial)
	line("UUID", "%s", w.UUID)
	line("SKU", "%s", w.SKU)
	line("family", "%s", w.Family)
	line("system version", "%s", w.Version)
	line("chassis", "%s", strings.Join(present(w.Chassis, w.Role), ", "))
	line("firmware", "%s", strings.Join(present(w.FirmwareVendor, w.FirmwareVersion), ", "))
	line("board", "%s", strings.Join(present(w.BoardProduct, w.BoardVersion), ", "))
	if w.CPU != (Processor{}) {
		line("processor", "%s %s, %d cores, %d threads", w.CPU.Model, w.CPU.Architecture, w.CPU.Cores, w.CPU.Threads)
	}
	if w.Memory != (Memory{}) {
		line("memory", "%d GB of at most %d GB", w.Memory.Total, w.Memory.Maximum)
	}
	for _, d := range w.Disks {
		line("disk", "%d GB %s %s %s, serial number %s", d.Capacity, d.Bus, d.Kind, d.Model, or(d.Serial, "unknown"))
	}
	for _, n := range w.Networks {
		line("network", "%s %s %s", n.Medium, n.MAC, n.Bus)
	}
	for _, d := range w.Displays {
		line("display", "%d x %d mm, %d x %d", d.Width, d.Height, d.HorizontalPixels, d.VerticalPixels)
	}
	for _, g := range w.GPUs {
		line("graphics", "%s", or(g.Name, "unnamed"))
	}
	if w.TPM != nil {
		line("TPM", "%s, revision %s, vendor %s, firmware %s", w.TPM.Spec, w.TPM.Revision, w.TPM.Vendor, w.TPM.Firmware)
	}
	line("endorsement key", "%s", key(w.EKModulus))
	if w.OfflineID != nil {
		line("offline device ID", "%s (%s)", hex.EncodeToString(w.OfflineID.ID), w.OfflineID.Kind)
	}
	line("product key ID", "%s", strings.Join(present(w.ProductKeyID, w.ProductKeyPart), ", "))
	line("Windows", "%s", w.OS)
	if !w.Taken.IsZero() {
		line("taken", "%s by version %s", w.Taken.Format(time.DateTime), w.Tool)
	}
	for _, r := range w.Other {
		line(r.Name(), "%s", hex.EncodeToString(r.Data))
	}
	return b.String()
}

// key describes a modulus.
func key(modulus []byte) string {
	if len(modulus) == 0 {
		return ""
	}
	return fmt.Sprintf("RSA, %d bits, starts with %x", 8*len(modulus), modulus[:min(8, len(modulus))])
}

// present returns those of texts that say something.
func present(texts ...string) []string {
	var out []string
	for _, s := range texts {
		if strings.TrimSpace(s) != "" {
			out = append(out, s)
		}
	}
	return out
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
