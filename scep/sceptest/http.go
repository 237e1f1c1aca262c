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

// maxMessage is the largest message accepted, in bytes.
const maxMessage = 256 << 10

// ServeHTTP implements [http.Handler]. It answers the operations of SCEP at
// every path.
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

// nextCA is the operation that asks for the certificates of the next CA.
const nextCA = "GetNextCACert"

// next sends the certificates of Next, in a bag that the current CA signs.
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

// certificates sends a single certificate in DER, and several in a bag (RFC
// 8894, section 4.2.1).
func (s *Server) certificates(w http.ResponseWriter, op string, k *keys) {
	if len(k.certificates) == 1 && !s.Quirks.has(QuirkSignedBag) {
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		_, _ = w.Write(k.certificates[0].Raw)
		return
	}
	der, err := bag(k.certificates)
	if s.Quirks.has(QuirkSignedBag) {
		der, err = s.signedBag(k)
	}
	if err != nil {
		s.refuse(w, op, &scep.Error{HTTPStatus: http.StatusInternalServerError, Err: err})
		return
	}
	w.Header().Set("Content-Type", "application/x-x509-ca-ra-cert")
	_, _ = w.Write(der)
}

// message returns the pkiMessage in a request, from its body or its URL.
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

// unreadable returns the answer of Windows's attestation CA to a message that it
// cannot parse.
func unreadable(err error) error {
	return &scep.Error{HTTPStatus: http.StatusBadRequest, Message: "Failed to parse SCEP request.", Err: err}
}

// refuse records a refusal, and answers with an HTTP status and a Message in
// JSON.
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

// reason returns the error that is recorded for a refusal.
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
