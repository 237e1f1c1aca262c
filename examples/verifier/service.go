package main

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"net/http"
	"sync"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/verify"
)

// A service is a verifier behind HTTP. Each path takes a message and answers with one:
//
//	POST /hello     Hello     Challenge
//	POST /answer    Answer    Request
//	POST /again     Again     Request
//	POST /evidence  Evidence  Verdict
//
// What is refused is answered with a Verdict that says why, and an HTTP status of 4xx
// or 503.
type service struct {
	verifier *verify.Verifier
	token    string // bearer token; empty for none
	log      *log.Logger
	learn    string // file for a policy; empty for none

	untrusted string // what helps against ekcert.ErrUntrusted; empty for what the library says

	mu      sync.Mutex
	devices map[string]*known
}

// A known is a device that has proven its attestation key.
type known struct {
	mu     sync.Mutex // held during a check, so that the device's clock is that of its last quote
	device *verify.Device
}

// maxDevices limits the devices that are known.
const maxDevices = 10000

var (
	errUnknown  = errors.New("device is not known: send a hello")
	errToken    = errors.New("bearer token is missing or wrong")
	errCapacity = errors.New("too many devices")
)

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hello", answer(s, func(ctx context.Context, m *verify.Hello) (verify.Message, error) {
		return s.verifier.Challenge(ctx, m)
	}))
	mux.HandleFunc("POST /answer", answer(s, s.answered))
	mux.HandleFunc("POST /again", answer(s, func(ctx context.Context, m *verify.Again) (verify.Message, error) {
		k, err := s.find(m.Device)
		if err != nil {
			return nil, err
		}
		return s.verifier.Request(ctx, k.device)
	}))
	mux.HandleFunc("POST /evidence", answer(s, s.evidence))
	return mux
}

// answer returns a handler that reads a message, and writes the one that do returns.
func answer[M any, P interface {
	*M
	verify.Message
}](s *service, do func(context.Context, P) (verify.Message, error),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in := P(new(M))
		var out verify.Message
		err := s.admit(r)
		if err == nil {
			err = verify.Decode(r.Body, in)
		}
		if err == nil {
			out, err = do(r.Context(), in)
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			s.log.Println(s.refusal(sender(r, in), err))
			out = verdict(err)
			w.WriteHeader(status(err))
		}
		_ = verify.Encode(w, out) // it fails only if the device has gone
	}
}

// refusal returns the line of the log for an error. That a device is not known is no refusal:
// every one that kept its key asks, and the verifier may have been started anew.
func (s *service) refusal(sender string, err error) string {
	if errors.Is(err, errUnknown) {
		return sender + " is not known here yet: asked it for a hello"
	}
	if s.untrusted != "" && errors.Is(err, ekcert.ErrUntrusted) {
		err = command.Advise(err, s.untrusted)
	}
	return fmt.Sprintf("refused: %s: %s", sender, command.Explain(err))
}

// sender names the device that sent a message as attestor does, or says where it is if the
// message does not tell which device it is.
func sender(r *http.Request, m any) string {
	id := ""
	switch m := m.(type) {
	case *verify.Hello:
		if m.AIKCreation != nil {
			id = (&verify.Device{AIKPublicArea: m.AIKCreation.PublicArea}).ID()
		}
	case *verify.Again:
		id = m.Device
	case *verify.Evidence:
		id = m.Device
	}
	if _, err := hex.DecodeString(id); err != nil || id == "" { // a name is not to be trusted
		return "a device at " + r.RemoteAddr
	}
	return "device " + id
}

// admit checks the bearer token.
func (s *service) admit(r *http.Request) error {
	if s.token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.token)) != 1 {
		return errToken
	}
	return nil
}

// answered accepts the answer to a challenge. A device that is known already keeps its
// clock: a hello must not make the verifier forget it.
func (s *service) answered(ctx context.Context, m *verify.Answer) (verify.Message, error) {
	d, err := s.verifier.Accept(ctx, m)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.devices[d.ID()] == nil {
		if len(s.devices) >= maxDevices {
			return nil, errCapacity
		}
		if s.devices == nil {
			s.devices = make(map[string]*known)
		}
		s.devices[d.ID()] = &known{device: d}
	}
	return s.verifier.Request(ctx, d)
}

func (s *service) find(id string) (*known, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.devices[id]; k != nil {
		return k, nil
	}
	return nil, errUnknown
}

// evidence checks evidence and prints what it proves.
func (s *service) evidence(ctx context.Context, m *verify.Evidence) (verify.Message, error) {
	k, err := s.find(m.Device)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	result, err := s.verifier.Check(ctx, k.device, m)
	if err != nil {
		return nil, err
	}
	k.device.Clock = &result.Clock
	s.report(k.device, result)
	return &verify.Verdict{Trusted: true}, nil
}

// verdict returns what a device is told of an error.
func verdict(err error) *verify.Verdict {
	var e *verify.Error
	return &verify.Verdict{Reason: command.Reason(err), Retryable: errors.As(err, &e) && e.Retryable()}
}

// status returns the HTTP status of an error.
func status(err error) int {
	switch {
	case errors.Is(err, verify.ErrMalformed):
		return http.StatusBadRequest
	case errors.Is(err, errToken):
		return http.StatusUnauthorized
	case errors.Is(err, errUnknown):
		return http.StatusNotFound
	case errors.Is(err, verify.ErrChallenge):
		return http.StatusConflict
	case errors.Is(err, verify.ErrLog):
		return http.StatusUnprocessableEntity
	case errors.Is(err, verify.ErrFull), errors.Is(err, errCapacity):
		return http.StatusServiceUnavailable
	}
	return http.StatusForbidden
}

// report prints a line about a device, and writes a policy if the first one is to be
// learned from.
func (s *service) report(d *verify.Device, r *verify.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Println(summary(d, r))
	if s.learn == "" {
		return
	}
	var text bytes.Buffer
	err := verify.Encode(&text, r.Policy())
	if err == nil {
		err = command.WriteFile(s.learn, text.Bytes())
	}
	if err != nil {
		s.log.Println("policy not written:", err)
		return
	}
	s.log.Println("policy written to", s.learn)
	s.learn = ""
}
