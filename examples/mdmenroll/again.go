package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/mdm"
)

// A kept is what an enrollment wrote to the folder of -out.
type kept struct {
	summary struct{ DeviceID, ProviderID, Server, EnrollURL, EnrollVersion string }
	certs   []*x509.Certificate // the device's first
	key     []byte
}

// readKept reads the enrollment in the folder of -out.
func (o *options) readKept() (*kept, error) {
	k := new(kept)
	text, err := o.readOut("summary.json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &k.summary); err != nil || k.summary.DeviceID == "" || k.summary.Server == "" {
		return nil, command.Wrong("-out "+o.out, errors.New("summary.json is not what an enrollment wrote, or is damaged: name the folder of one, or enroll again"))
	}
	if text, err = o.readOut("mdm.pem"); err != nil {
		return nil, err
	}
	if k.certs, err = command.ParseCertificates("mdm.pem", text); err != nil {
		return nil, command.Wrong("-out "+o.out, err)
	}
	k.key, err = o.readOut("mdm-key.pem")
	return k, err
}

// readOut reads a file in the folder of -out.
func (o *options) readOut(name string) ([]byte, error) {
	text, err := command.ReadFile(filepath.Join(o.out, name))
	if errors.Is(err, fs.ErrNotExist) {
		missing := "there is no enrollment in it, for " + name + " is missing"
		if _, err := os.Stat(o.out); err != nil {
			missing = "there is no such folder"
		}
		return nil, command.Wrong("-out "+o.out, errors.New(missing+": name the folder that an enrollment wrote"))
	}
	return text, command.Wrong("-out", err)
}

// again does -renew or -unenroll with what an enrollment wrote. The TPM must be the one
// that holds the key.
func (e *enrollment) again(ctx context.Context, k *kept) error {
	var err error
	if e.key, err = e.tpm.LoadKey(ctx, k.key); err != nil {
		return device.Kept(filepath.Join(e.out, "mdm-key.pem"), err, "enroll again")
	}
	sum, certs := k.summary, k.certs
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
