package trace_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/whiteglove/whiteglove/trace"
)

// The log of a proxy is laid beside a run: both have the same form. WriteHTML writes
// the time line.
func ExampleAnnotate() {
	access := `1795856400.500    300 10.0.0.7 TCP_TUNNEL/200 9120 CONNECT login.live.com:443 - HIER_DIRECT/192.0.2.1 -
1795856402.000    100 10.0.0.7 TCP_TUNNEL/200 7000 CONNECT ztd.dds.microsoft.com:443 - HIER_DIRECT/192.0.2.2 -
1795856403.000      0 10.0.0.7 TCP_DENIED/403 3900 CONNECT ekop.intel.com:443 - HIER_NONE/- text/html
`
	t, err := trace.Annotate(strings.NewReader(access))
	if err != nil {
		log.Fatal(err)
	}
	var b strings.Builder
	if err := t.WriteMarkdown(&b); err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ">") {
			fmt.Print(line)
		}
	}
	// Output:
	// # Traffic of a device, 2026-11-28 09:00:00 UTC
	// ## ticket: done after 300ms, begun at 0s
	// ## profile: done after 100ms, begun at 1.7s
	// ## ek: failed after 0s, begun at 2.8s
	// > ekop.intel.com: the proxy or firewall refuses it. The endorsement key gets no certificate, so the attestation CA refuses the TPM until the tries are used up. The screen then shows: Securing your hardware (Failed: 0x81039001).
}
