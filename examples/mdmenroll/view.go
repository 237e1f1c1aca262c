package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/mdm/esp"
)

// A view shows the status page: on a terminal over what was shown before, else
// below it if something has changed.
type view struct {
	out      io.Writer
	terminal bool
	lines    int // on the terminal
	last     string
}

func (v *view) show(r *esp.Report) {
	text := page(r)
	switch {
	case v.terminal && v.lines > 0:
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J%s", v.lines, text)
	case v.terminal || text != v.last:
		fmt.Fprint(v.out, text)
	}
	v.lines, v.last = strings.Count(text, "\n"), text
}

// page returns the page as text.
func page(r *esp.Report) string {
	var b strings.Builder
	done, total := r.Progress()
	fmt.Fprintf(&b, "status page  %s, %d of %d\n", r.State, done, total)
	for _, c := range r.Categories {
		fmt.Fprintf(&b, "  %-22s %s\n", c.Title, c.Text)
		for _, s := range c.Steps {
			fmt.Fprintf(&b, "    %-40s %s\n", s.Title, s.Text)
		}
	}
	return b.String()
}

// isTerminal reports whether f shows text to a person.
func isTerminal(f io.Writer) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	fi, err := file.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0
}

// A summary is what summary.json holds.
type summary struct {
	DeviceID   string           `json:"deviceId"`
	ProviderID string           `json:"providerId"`
	Server     string           `json:"server"`
	Subject    string           `json:"subject"`
	Issuer     string           `json:"issuer"`
	NotAfter   time.Time        `json:"notAfter"`
	KeyName    string           `json:"keyName"` // TPM name, hexadecimal
	Sessions   []sessionSummary `json:"sessions"`
	StatusPage *esp.Report      `json:"statusPage,omitempty"`
}

// write writes what was won to the folder of -out. The provisioning document is
// not written: it has secrets.
func (e *enrollment) write() error {
	if err := os.MkdirAll(e.out, 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(summary{
		DeviceID: e.client.Device.ID, ProviderID: e.got.ProviderID, Server: e.got.Server,
		Subject: e.cert.Subject.String(), Issuer: e.cert.Issuer.String(), NotAfter: e.cert.NotAfter,
		KeyName: hex.EncodeToString(e.key.Name()), Sessions: e.held, StatusPage: e.report,
	}, "", "\t")
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"summary.json": append(text, '\n'),
		"mdm.pem":      device.EncodeCertificates(append([][]byte{e.got.Certificate}, e.got.Issuers...)...),
	}
	if files["mdm-key.pem"], err = e.key.MarshalText(); err != nil {
		return err
	}
	for i, o := range e.orders {
		name := fmt.Sprintf("scep-%d", i+1) // the server's name for it might be a path
		files[name+".pem"] = device.EncodeCertificates(o.cert.Raw)
		if files[name+"-key.pem"], err = o.key.MarshalText(); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(e.out, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
