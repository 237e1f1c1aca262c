package provision_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/ekcerttest"
	"github.com/whiteglove/whiteglove/provision"
)

// An otherNV is a TPM whose NV indices have other contents.
type otherNV struct {
	transport.TPM
	content map[uint32]func(b []byte)
}

func (o *otherNV) Send(command []byte) ([]byte, error) {
	answer, err := o.TPM.Send(command)
	if binary.BigEndian.Uint32(command[6:]) == 0x14E && len(answer) > 16 { // TPM2_NV_Read
		if change := o.content[binary.BigEndian.Uint32(command[14:])]; change != nil {
			change(answer[16 : 16+binary.BigEndian.Uint16(answer[14:])])
		}
	}
	return answer, err
}

func fill(v byte) func([]byte) { return func(b []byte) { copy(b, bytes.Repeat([]byte{v}, len(b))) } }

func text(b []byte) { copy(b, bytes.Repeat([]byte("none"), len(b)/4+1)) }

// An NV index with something else than the certificate of its key does not end a run:
// the next key may have one, or the maker's CA issues one.
func TestUnusableCertificates(t *testing.T) {
	for name, change := range map[string]func([]byte){
		"00": fill(0), "FF": fill(0xFF), "text": text,
		"damaged": func(b []byte) { b[4] ^= 1 },
	} {
		w := newWorld(t, nil)
		tpm, _ := newTPM(t, attesttest.Config{})
		tpm = &attest.TPM{Transport: &otherNV{tpm.Transport, map[uint32]func([]byte){0x01C00002: change}}}
		w.admit(t, tpm)
		p := w.provisioner(tpm)
		p.Steps = []provision.Step{provision.StepEK}
		state, err := p.Run(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		cert, err := ekcert.Parse(state.EKCertificates[0])
		if err != nil || cert.PublicKeyAlgorithm.String() != "ECDSA" {
			t.Errorf("%s: %+v, %v", name, cert, err)
		}
	}
}

// If no key has a certificate, the error says what is stored for each, and whether a
// service failed.
func TestNoUsableCertificate(t *testing.T) {
	w := newWorld(t, func(w *world) { w.Maker = &ekcerttest.Server{} })
	both := map[uint32]func([]byte){0x01C00002: fill(0), 0x01C0000A: text}
	for name, tt := range map[string]struct {
		nv   map[uint32]func([]byte)
		url  string
		want error
		says []string
	}{
		"nothing issued": {both, "", ekcert.ErrNotFound, []string{"nv:0x01C00002: certificate cannot be read: it is blank: all", "nv:0x01C0000A: certificate cannot be read: neither DER"}},
		"CA not there":   {both, "http://127.0.0.1:1/", nil, []string{"no certificate that can be used", "nv:0x01C0000A", "and its maker's CA issued none", "127.0.0.1:1"}},
	} {
		chip, _ := newTPM(t, attesttest.Config{})
		tpm := &attest.TPM{Transport: &otherNV{chip.Transport, tt.nv}}
		p := w.provisioner(tpm)
		own := *p.EKCert
		own.SCEPURL, own.Services = tt.url, map[string]ekcert.Fetcher{}
		p.Backoff = func(provision.Step, int, error) time.Duration { return 0 }
		p.EKCert, p.Steps = &own, []provision.Step{provision.StepEK}
		_, err := p.Run(t.Context())
		var e *provision.Error
		if err == nil || !errors.As(err, &e) || e.Step != provision.StepEK || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, s := range tt.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v does not say %q", name, err, s)
			}
		}
	}
}
