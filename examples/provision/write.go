package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/trace"
)

// A summary is what summary.json holds.
type summary struct {
	DeviceID string       `json:"deviceId"`
	TenantID string       `json:"tenantId"`
	EKSHA256 string       `json:"ekSha256"` // of the SubjectPublicKeyInfo, hexadecimal
	AIKName  string       `json:"aikName"`  // TPM name, hexadecimal
	Steps    []stepReport `json:"steps"`
}

// write writes what a run won to dir: certificates (with issuers), keys
// (wrapped by the TPM, TSS2 PEM) and a summary.
func write(dir string, s *provision.State, steps []stepReport) error {
	text, err := json.MarshalIndent(summary{
		DeviceID: s.DeviceID, TenantID: s.TenantID,
		EKSHA256: hex.EncodeToString(s.EKSHA256), AIKName: hex.EncodeToString(s.AIKName), Steps: steps,
	}, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text []byte
	}{
		{"ek.pem", device.EncodeCertificates(s.EKCertificates...)},
		{"aik.pem", device.EncodeCertificates(s.AIKCertificates...)},
		{"device.pem", device.EncodeCertificates(s.DeviceCertificate)},
		{"mdm.pem", device.EncodeCertificates(s.ManagementCertificates...)},
		{"aik-key.pem", []byte(s.AIK)},
		{"device-key.pem", []byte(s.DeviceKey)},
		{"transport-key.pem", []byte(s.TransportKey)},
		{"mdm-key.pem", []byte(s.ManagementKey)},
		{"summary.json", append(text, '\n')},
	} {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeTraces writes the trace in the forms that were asked for.
func (o *options) writeTraces(t *trace.Trace) error {
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{o.traceMD, t.WriteMarkdown}, {o.har, t.WriteHAR}, {o.report, t.WriteHTML}} {
		if f.name == "" {
			continue
		}
		var text bytes.Buffer
		if err := f.write(&text); err != nil {
			return err
		}
		if err := os.WriteFile(f.name, text.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}
