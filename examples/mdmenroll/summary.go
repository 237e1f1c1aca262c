package main

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/mdm/esp"
)

// A summary is the content of summary.json.
type summary struct {
	DeviceID   string           `json:"deviceId"`
	ProviderID string           `json:"providerId"`
	Server     string           `json:"server"`
	EnrollURL  string           `json:"enrollUrl"`
	Version    string           `json:"enrollVersion"`
	Subject    string           `json:"subject"`
	Issuer     string           `json:"issuer"`
	NotAfter   time.Time        `json:"notAfter"`
	KeyName    string           `json:"keyName"` // TPM name, hexadecimal
	Sessions   []sessionSummary `json:"sessions"`
	StatusPage *esp.Report      `json:"statusPage,omitempty"`
}

// write writes the results to the folder of -out. It leaves the provisioning
// document out, because that contains secrets.
func (e *enrollment) write() error {
	text, err := command.JSON(summary{
		DeviceID: e.client.Device.ID, ProviderID: e.got.ProviderID, Server: e.got.Server, EnrollURL: e.at.EnrollURL, Version: e.at.EnrollVersion,
		Subject: e.cert.Subject.String(), Issuer: e.cert.Issuer.String(), NotAfter: e.cert.NotAfter,
		KeyName: hex.EncodeToString(e.key.Name()), Sessions: e.held, StatusPage: e.report,
	})
	if err != nil {
		return err
	}
	key, err := e.key.MarshalText()
	if err != nil {
		return err
	}
	files := []command.File{
		{Name: "mdm.pem", Text: command.EncodeCertificates(append([]*x509.Certificate{e.cert}, e.got.Issuers...)...)},
		{Name: "mdm-key.pem", Text: key},
	}
	for i, o := range e.orders {
		if key, err = o.key.MarshalText(); err != nil {
			return err
		}
		name := fmt.Sprintf("scep-%d", i+1) // the server's own name might be a path
		files = append(files,
			command.File{Name: name + ".pem", Text: command.EncodeCertificates(o.cert)},
			command.File{Name: name + "-key.pem", Text: key})
	}
	return command.WriteDir(e.out, append(files, command.File{Name: "summary.json", Text: text})...)
}
