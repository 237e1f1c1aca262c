package provisiontest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
	"github.com/whiteglove/whiteglove/autopilot/graph"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// Environment variables of the other process: what it is to do, in which directory,
// with the server at which URL, and the device's ticket.
const (
	processTask   = "PROVISIONTEST_TASK"
	processDir    = "PROVISIONTEST_DIR"
	processURL    = "PROVISIONTEST_URL"
	processTicket = "PROVISIONTEST_TICKET"
)

// TestMain turns the test program into the other process if it is called as such.
func TestMain(m *testing.M) {
	do := map[string]func(dir, url string) error{"capture": capture, "import": importFile, "run": provisionDevice}[os.Getenv(processTask)]
	if do == nil {
		os.Exit(m.Run())
	}
	if err := do(os.Getenv(processDir), os.Getenv(processURL)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// openDevice opens the device whose TPM is kept in the directory.
func openDevice(dir string) (*provisiontest.Device, error) {
	return provisiontest.NewDevice(attesttest.Config{StateFile: filepath.Join(dir, "tpm")})
}

// capture writes devices.csv: the device's hardware hash, as for the portal.
func capture(dir, _ string) error {
	d, err := openDevice(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	h, err := d.Hash(context.Background())
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := autopilot.WriteCSV(&b, autopilot.Intune, []autopilot.Row{{Hash: h.String()}}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "devices.csv"), b.Bytes(), 0o600)
}

// readDevices reads devices.csv.
func readDevices(dir string) ([]autopilot.Row, error) {
	f, err := os.Open(filepath.Join(dir, "devices.csv"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := autopilot.ReadCSV(f)
	if err != nil {
		return nil, err
	}
	if len(s.Rows) != 1 || len(s.Findings) != 0 {
		return nil, fmt.Errorf("%d devices, findings %v", len(s.Rows), s.Findings)
	}
	return s.Rows, nil
}

// roots reads roots.pem: what to trust at the server.
func roots(dir string) (*x509.CertPool, error) {
	text, err := os.ReadFile(filepath.Join(dir, "roots.pem"))
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(text) {
		err = errors.New("no roots")
	}
	return pool, err
}

// importFile registers the devices of devices.csv, as an administrator does.
func importFile(dir, url string) error {
	rows, err := readDevices(dir)
	if err != nil {
		return err
	}
	pool, err := roots(dir)
	if err != nil {
		return err
	}
	r := &graph.Registration{
		Client: &graph.Client{
			BaseURL:    url + provisiontest.AutopilotPath,
			HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}},
			Token:      func(context.Context) (string, error) { return "mock-token", nil },
		},
		Pause: func(graph.Stage, int) time.Duration { return 10 * time.Millisecond },
	}
	_, err = r.Run(context.Background(), rows)
	return err
}

// provisionDevice is the device: it downloads its profile, and does what that says.
func provisionDevice(dir, url string) error {
	d, err := openDevice(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	rows, err := readDevices(dir)
	if err != nil {
		return err
	}
	h, err := autopilot.ParseHash(rows[0].Hash)
	if err != nil {
		return err
	}
	pool, err := roots(dir)
	if err != nil {
		return err
	}
	transport := func(c *tls.Config) http.RoundTripper {
		c.RootCAs = pool
		return &http.Transport{TLSClientConfig: c}
	}
	client := &http.Client{Transport: transport(&tls.Config{}), Timeout: time.Minute}
	p := &provision.Provisioner{
		TPM:  d.TPM,
		Hash: h,
		Profile: &autopilot.ProfileClient{
			URL: url + provisiontest.AutopilotPath + autopilottest.ProfilePath, HTTPClient: client,
			Ticket: func(context.Context) (string, error) { return os.Getenv(processTicket), nil },
		},
		Steps:      slices.DeleteFunc(provision.Technician(), func(s provision.Step) bool { return s == provision.StepSession || s == provision.StepSeal }),
		Management: url + provisiontest.DiscoveryPath,
		EKCert:     &ekcert.Client{Roots: ekcert.Roots{attesttest.Vendor: attesttest.Roots()}},
		AIK:        &aik.Client{URL: url + provisiontest.AIKPath, Roots: pool},
		DRS:        &drs.Client{BaseURL: url + provisiontest.DirectoryPath},
		HTTPClient: client,
		MutualTLS:  transport,
	}
	_, err = p.Run(context.Background())
	return err
}

// A device's hash goes to the directory and the device joins with its TPM. The
// device and its administrator are other processes than the server.
func TestProcesses(t *testing.T) {
	s := startServer(t, nil)
	dir := t.TempDir()
	var trusted []byte
	for _, root := range s.Roots {
		trusted = append(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})...)
	}
	if err := os.WriteFile(filepath.Join(dir, "roots.pem"), trusted, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	task := func(name, dir, ticket string) (string, error) {
		c := exec.CommandContext(t.Context(), self)
		c.Env = append(os.Environ(), processTask+"="+name, processDir+"="+dir, processURL+"="+s.URL, processTicket+"="+ticket)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	do := func(name, ticket string) {
		t.Helper()
		if out, err := task(name, dir, ticket); err != nil {
			t.Fatalf("%s: %v: %s\nrefused: %q", name, err, out, s.Refusals())
		}
	}

	do("capture", "")
	rows, err := readDevices(dir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := autopilot.ParseHash(rows[0].Hash)
	if err != nil {
		t.Fatal(err)
	}
	do("import", "")
	objects := s.Directory.Objects()
	if len(objects) != 1 || objects[0].Enabled || objects[0].ZTDID == "" {
		t.Fatalf("imported: %+v", objects)
	}

	// Another TPM with this hash sends nothing, and enables nothing.
	thief := t.TempDir()
	if err := os.CopyFS(thief, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(thief, "tpm")); err != nil {
		t.Fatal(err)
	}
	if out, err := task("run", thief, s.Autopilot.Ticket(h)); err == nil || !strings.Contains(out, "does not belong to this TPM") {
		t.Errorf("another TPM: %v: %s", err, out)
	}
	if s.Directory.Objects()[0].Enabled {
		t.Fatal("another TPM enabled the object")
	}

	do("run", s.Autopilot.Ticket(h))
	after := s.Directory.Objects()
	if len(after) != 1 || !after[0].Enabled || after[0].DeviceID != objects[0].DeviceID || after[0].ZTDID != objects[0].ZTDID || !strings.HasPrefix(after[0].DisplayName, "MOCK-") {
		t.Errorf("before %+v, after %+v", objects, after)
	}
}
