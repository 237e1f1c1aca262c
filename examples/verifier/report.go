package main

import (
	"strings"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/verify"
)

// summary says in a line what a device has proven.
func summary(d *verify.Device, r *verify.Result) string {
	parts := []string{"trusted: device " + d.ID()}
	switch b := r.Boot; {
	case b == nil:
		parts = append(parts, "no event log")
	case b.Unknown != "":
		parts = append(parts, "secure boot unknown")
	case b.SecureBoot:
		parts = append(parts, "secure boot on")
	default:
		parts = append(parts, "secure boot off")
	}
	if r.Boot != nil {
		parts = append(parts, command.Count(len(r.Boot.Loaders), "boot loader"))
	}
	if r.Firmware != "" {
		parts = append(parts, "firmware "+r.Firmware)
	}
	if r.Since != nil {
		parts = append(parts, "started "+command.Count(int(r.Since.Resets), "time")+" since")
	}
	if len(r.Keys) > 0 {
		parts = append(parts, command.Count(len(r.Keys), "key"))
	}
	return strings.Join(parts, ", ")
}
