package main

import (
	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/services"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// enroller returns an enroller with the clients that the flags describe. The
// function stop stops the mock CA, if there is one.
func (o *options) enroller(tpm *attest.TPM) (e *enroller, stop func(), err error) {
	e = &enroller{tpm: tpm, template: attest.Template{Algorithm: attest.RSA2048, Usage: attest.Attest}}
	if o.windows {
		e.template = aik.WindowsTemplate()
	}
	trusted, makers, err := services.EKRoots(o.ekRoots)
	if err != nil {
		return nil, nil, err
	}
	e.ekcert = &ekcert.Client{Roots: trusted}
	e.aik, stop = &aik.Client{URL: o.url, AllowLegacy: o.legacy}, func() {}
	if o.url == "windows" {
		e.aik.URL = "" // which means that one
	}
	if o.url == "" && o.complete == "" {
		mock, err := services.Open("", "", &provisiontest.Server{EKRoots: makers})
		if err != nil {
			return nil, nil, err
		}
		e.aik.URL, e.aik.Roots, stop = mock.URL+provisiontest.AIKPath, mock.Roots, mock.Close
	} else if e.aik.Roots, err = command.ReadRoots("-roots", o.roots); err != nil {
		return nil, nil, err
	}
	e.aik.HTTPClient = command.HTTPClient(e.aik.Roots)
	return e, stop, nil
}
