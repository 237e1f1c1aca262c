package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/trace"
)

// A summary is the content of summary.json.
type summary struct {
	DeviceID string       `json:"deviceId"`
	TenantID string       `json:"tenantId"`
	EKSHA256 string       `json:"ekSha256"` // of the SubjectPublicKeyInfo, in hexadecimal
	AIKName  string       `json:"aikName"`  // TPM name, in hexadecimal
	Steps    []stepReport `json:"steps"`
}

// write writes the results of a run to dir: certificates with their issuers,
// keys wrapped by the TPM (TSS2 PEM), and a summary. Where the state has none,
// the file is empty.
func write(dir string, s *provision.State, steps []stepReport) error {
	text, err := command.JSON(summary{
		DeviceID: s.DeviceID, TenantID: s.TenantID,
		EKSHA256: hex.EncodeToString(s.EKSHA256), AIKName: hex.EncodeToString(s.AIKName), Steps: steps,
	})
	if err != nil {
		return err
	}
	return command.WriteDir(dir, []command.File{
		{Name: "ek.pem", Text: command.EncodeDER(s.EKCertificates...)},
		{Name: "aik.pem", Text: command.EncodeDER(s.AIKCertificates...)},
		{Name: "device.pem", Text: command.EncodeDER(s.DeviceCertificate)},
		{Name: "mdm.pem", Text: command.EncodeDER(s.ManagementCertificates...)},
		{Name: "aik-key.pem", Text: []byte(s.AIK)},
		{Name: "device-key.pem", Text: []byte(s.DeviceKey)},
		{Name: "transport-key.pem", Text: []byte(s.TransportKey)},
		{Name: "mdm-key.pem", Text: []byte(s.ManagementKey)},
		{Name: "summary.json", Text: text},
	}...)
}

// writeTraces writes the trace in the forms that the flags ask for.
func (o *options) writeTraces(t *trace.Trace) error {
	var failed []error
	for _, f := range []struct {
		flag, name string
		write      func(io.Writer) error
	}{{"-trace-md", o.traceMD, t.WriteMarkdown}, {"-har", o.har, t.WriteHAR}, {"-report", o.report, t.WriteHTML}} {
		if f.name == "" {
			continue
		}
		var text bytes.Buffer
		err := f.write(&text)
		if err == nil {
			err = command.WriteFile(f.name, text.Bytes())
		}
		failed = append(failed, command.At(f.flag, err))
	}
	return errors.Join(failed...)
}
