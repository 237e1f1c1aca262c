package sceptest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/scep"
)

// maxMessage bounds a message.
const maxMessage = 256 << 10

// ServeHTTP implements http.Handler. The path is not looked at.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := r.URL.Query().Get("operation")
	switch op {
	case "GetCACaps", "GetCACert", "GetCACertChain", nextCA, "PKIOperation":
	default:
		s.refuse(w, "?", &scep.Error{HTTPStatus: http.StatusBadRequest, Message: "Unknown operation."})
		return
	}
	if s.Fail != nil && s.Fail(op, w) {
		return
	}
	k, err := s.ready()
	if err != nil {
		s.refuse(w, op, &scep.Error{HTTPStatus: http.StatusInternalServerError, Err: err})
		return
	}
	switch {
	case op == "PKIOperation":
		s.operate(w, r, k)
	case r.Method != http.MethodGet:
		s.refuse(w, op, &scep.Error{HTTPStatus: http.StatusMethodNotAllowed})
	case op == "GetCACaps":
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, strings.Join(s.caps(), "\n")+"\r\n")
	case op == "GetCACertChain" && !s.caps().Has(op), op == nextCA && s.Next == nil:
		s.refuse(w, op, &scep.Error{HTTPStatus: http.StatusBadRequest, Message: "Unknown operation."})
	case op == nextCA:
		s.next(w, r, k)
	default:
		s.certificates(w, op, k)
	}
}

// nextCA is the operation that asks for the certificates of the CA to come.
const nextCA = "GetNextCACert"

// next answers with the certificates of Next, in a bag that the CA signs.
func (s *Server) next(w http.ResponseWriter, r *http.Request, k *keys) {
	der, err := bag(s.Next.chain())
	if err == nil {
		der, err = s.sign(k, nil, der)
	}
	if err != nil {
		s.refuse(w, nextCA, &scep.Error{HTTPStatus: http.StatusInternalServerError, Err: err})
		return
	}
	w.Header().Set("Content-Type", "application/x-x509-next-ca-cert")
	s.Quirks.write(w, r, der)
}

// certificates answers with one certificate as it is, and several in a bag.
func (s *Server) certificates(w http.ResponseWriter, op string, k *keys) {
	if len(k.certificates) == 1 {
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		_, _ = w.Write(k.certificates[0].Raw)
		return
	}
	der, err := bag(k.certificates)
	if err != nil {
		s.refuse(w, op, &scep.Error{HTTPStatus: http.StatusInternalServerError, Err: err})
		return
	}
	w.Header().Set("Content-Type", "application/x-x509-ca-ra-cert")
	_, _ = w.Write(der)
}

// message returns the pkiMessage of a request.
func message(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	switch r.Method {
	case http.MethodPost:
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
		if err != nil {
			return nil, &scep.Error{HTTPStatus: http.StatusRequestEntityTooLarge, Err: err}
		}
		return body, nil
	case http.MethodGet:
		// Some clients leave the plus sign as it is, which then means a space.
		text := strings.ReplaceAll(r.URL.Query().Get("message"), " ", "+")
		if len(text) > maxMessage {
			return nil, &scep.Error{HTTPStatus: http.StatusRequestURITooLong}
		}
		body, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, unreadable(err)
		}
		return body, nil
	}
	return nil, &scep.Error{HTTPStatus: http.StatusMethodNotAllowed}
}

// unreadable is what Windows's attestation CA says to what is no message.
func unreadable(err error) error {
	return &scep.Error{HTTPStatus: http.StatusBadRequest, Message: "Failed to parse SCEP request.", Err: err}
}

// refuse answers with an HTTP status and a Message in JSON.
func (s *Server) refuse(w http.ResponseWriter, op string, e *scep.Error) {
	s.refusals.Add(s.Logger, op, reason(e))
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds())))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.HTTPStatus)
	text := e.Message
	if text == "" {
		text = http.StatusText(e.HTTPStatus)
	}
	_ = json.NewEncoder(w).Encode(struct{ Message string }{text})
}

// reason returns what of an error is worth to be kept.
func reason(e *scep.Error) error {
	text := e.Message
	if e.HTTPStatus != 0 {
		text = strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", e.HTTPStatus, text))
	}
	switch {
	case e.Err == nil:
		return errors.New(text)
	case text == "":
		return e.Err
	}
	return fmt.Errorf("%s: %w", text, e.Err)
}
