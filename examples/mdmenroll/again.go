package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/mdm"
)

// again does -renew or -unenroll with what an enrollment wrote to the folder of
// -out. The TPM must be the one that holds the key.
func (e *enrollment) again(ctx context.Context) error {
	name := filepath.Join(e.out, "summary.json")
	text, err := command.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("-out %s: there is no enrollment in it, for summary.json is missing: name the folder that an enrollment wrote", e.out)
	}
	if err != nil {
		return command.At("-out", err)
	}
	var sum struct{ DeviceID, ProviderID, Server, EnrollURL, EnrollVersion string }
	if json.Unmarshal(text, &sum) != nil {
		return fmt.Errorf("%s is not what an enrollment wrote, or is damaged: name the folder of one with -out, or enroll again", name)
	}
	certs, err := command.ReadCertificates(filepath.Join(e.out, "mdm.pem"))
	if err != nil {
		return command.At("-out", err)
	}
	name = filepath.Join(e.out, "mdm-key.pem")
	if text, err = command.ReadFile(name); err != nil {
		return command.At("-out", err)
	}
	if e.key, err = e.tpm.LoadKey(ctx, text); err != nil {
		return device.Kept(name, err, "enroll again")
	}
	e.cert, e.client.Device.ID = certs[0], sum.DeviceID
	e.at = &mdm.Discovery{EnrollURL: sum.EnrollURL, EnrollVersion: sum.EnrollVersion}
	e.got = &mdm.Enrollment{Certificate: e.cert, Issuers: certs[1:], Server: sum.Server, ProviderID: sum.ProviderID}
	s, err := e.newSession()
	if err != nil {
		return err
	}
	if e.unenroll {
		if _, err := s.Unenroll(ctx); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "unenrolled   %s at %s\n", e.cert.Subject, e.got.Server)
		return nil
	}
	e.client.HTTPClient = s.HTTPClient // with -har it shows the certificate
	got, err := e.client.Renew(ctx, e.at, nil, &mdm.Renewal{Certificate: e.cert, Key: e.key, Issuers: e.got.Issuers})
	if err != nil {
		return err
	}
	e.got.Certificate, e.got.Issuers = got.Certificate, got.Issuers
	e.cert = got.Certificate
	fmt.Fprintf(e.stdout, "renewal      %s by %s until %s\n", e.cert.Subject, e.cert.Issuer, e.cert.NotAfter.UTC().Format(time.DateOnly))
	return e.write()
}

// writeHAR writes the HTTP messages to the file of -har.
func (e *enrollment) writeHAR() error {
	var text bytes.Buffer
	if err := e.trace.WriteHAR(&text); err != nil {
		return err
	}
	return command.WriteFile(e.har, text.Bytes())
}
