package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/examples/internal/device"
	"github.com/whiteglove/whiteglove/scep"
)

// A challengeFile is what begin leaves for complete.
type challengeFile struct {
	EK        []byte         `json:"ek"`        // public key (SubjectPublicKeyInfo, DER)
	Key       string         `json:"key"`       // attestation key, wrapped by the TPM (TSS2 PEM)
	Challenge *aik.Challenge `json:"challenge"` // with the secret key of the SCEP messages
}

// begin asks the CA and writes its challenge to a file.
func (e *enroller) begin(ctx context.Context, name string, stdout io.Writer) error {
	req, err := e.request(ctx)
	if err != nil {
		return err
	}
	f := new(challengeFile)
	if f.Challenge, err = e.aik.Begin(ctx, req); err != nil {
		return err
	}
	if f.EK, err = x509.MarshalPKIXPublicKey(e.ek.Public); err != nil {
		return err
	}
	key, err := e.key.MarshalText()
	if err != nil {
		return err
	}
	f.Key = string(key)
	text, err := command.JSON(f)
	if err != nil {
		return err
	}
	if err := command.WriteFile(name, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "challenge of %s written to %s\n", f.Challenge.URL, name)
	return err
}

// readChallenge reads the file that begin wrote.
func readChallenge(name string) (*challengeFile, error) {
	text, err := command.ReadSmall(name)
	if err != nil {
		return nil, command.Wrong("-complete", err)
	}
	f := new(challengeFile)
	err = json.Unmarshal(text, f)
	syntax, isSyntax := errors.AsType[*json.SyntaxError](err)
	_, isKind := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		err = errors.New("the file is empty: name the file that -begin wrote")
	case isSyntax && text[0] == '{' && syntax.Offset == int64(len(text)):
		err = errors.New("the file ends in the middle: take the whole file, or ask again with -begin")
	case isSyntax, isKind, err == nil && f.Challenge == nil:
		err = errors.New("no challenge in it: name the file that -begin wrote")
	default:
		err = command.Advise(err, "Name the file that -begin wrote, or ask again with -begin.")
	}
	return f, command.Wrong("-complete "+name, err)
}

// complete lets the TPM open the challenge that begin wrote, and answers it.
func (e *enroller) complete(ctx context.Context, name string, f *challengeFile) error {
	ek, err := x509.ParsePKIXPublicKey(f.EK)
	if err != nil {
		return command.Wrong("-complete "+name, fmt.Errorf("its endorsement key cannot be read, so the file is damaged: ask again with -begin: %w", err))
	}
	if err := e.findEK(ctx, ek); err != nil {
		return command.At("-complete "+name, err)
	}
	if e.key, err = e.tpm.LoadKey(ctx, []byte(f.Key)); err != nil {
		return device.Kept("-complete "+name, err, "ask again with -begin")
	}
	secret, err := e.tpm.ActivateCredential(ctx, e.ek, e.key, f.Challenge.Credential)
	if err != nil {
		return err
	}
	e.chain, err = e.aik.Complete(ctx, f.Challenge, secret)
	return onceOnly(err)
}

// onceOnly returns err, with what to do with this program if the CA waits for no answer
// to the challenge.
func onceOnly(err error) error {
	var refused *scep.Error
	if errors.As(err, &refused) && (refused.FailInfo == scep.BadRequest || refused.HTTPStatus == http.StatusBadRequest) {
		return command.Advise(err, "Ask for a new challenge with -begin, then -complete it within minutes. "+
			"A challenge can be answered only once, and with the TPM that it was made for.")
	}
	return err
}

// findEK finds an endorsement key.
func (e *enroller) findEK(ctx context.Context, want crypto.PublicKey) error {
	for ek, err := range e.tpm.EKs(ctx) {
		if err != nil {
			return err
		}
		if k, ok := ek.Public.(interface{ Equal(crypto.PublicKey) bool }); ok && k.Equal(want) {
			e.ek = ek
			return nil
		}
	}
	return errors.New("the challenge is for another TPM: give the -tpm of -begin, or ask again with -begin for this one")
}
