package ekcerttest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/refusal"
)

const intelPath, amdPath, caPath, crlPath = "/ekcertservice/", "/pki/aia/", "/ca/", "/crl/"

// ServeHTTP implements [http.Handler]. It answers GET requests for the paths that the
// description of [Maker] lists.
func (m *Maker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := m.start(); err != nil {
		m.refuse(w, r, http.StatusInternalServerError, err)
		return
	}
	if r.Method != http.MethodGet {
		m.refuse(w, r, http.StatusMethodNotAllowed, fmt.Errorf("method %s", r.Method))
		return
	}
	path := r.URL.EscapedPath()
	switch {
	case strings.HasPrefix(path, intelPath):
		m.serveKey(w, r, strings.TrimPrefix(path, intelPath), true)
	case strings.HasPrefix(path, amdPath):
		m.serveKey(w, r, strings.ToLower(strings.TrimPrefix(path, amdPath)), false)
	case strings.HasPrefix(path, caPath):
		m.serveCA(w, r)
	case strings.HasPrefix(path, crlPath):
		m.serveCRL(w, r)
	default:
		m.refuse(w, r, http.StatusNotFound, errors.New("no such path"))
	}
}

// refuse records a refusal and answers with an HTTP status.
func (m *Maker) refuse(w http.ResponseWriter, r *http.Request, status int, reason error) {
	m.refusals.Add(m.Logger, r.URL.Path, reason)
	http.Error(w, refusal.Text(reason), status)
}

// serveKey sends the certificate of a key by the key's name.
func (m *Maker) serveKey(w http.ResponseWriter, r *http.Request, name string, intel bool) {
	if status := m.badStatus(); status != 0 {
		w.Header().Set("Retry-After", "120")
		m.refuse(w, r, status, errors.New("quirk"))
		return
	}
	if intel && strings.ContainsAny(name, "=+") {
		m.refuse(w, r, http.StatusForbidden, errors.New("the padding is not escaped"))
		return
	}
	m.mu.Lock()
	der := m.issued[name]
	m.mu.Unlock()
	if der == nil {
		m.refuse(w, r, http.StatusNotFound, errors.New("certificate not found"))
		return
	}
	m.answer(w, r, name, der, intel)
}

// badStatus returns the HTTP status of a quirk, or 0.
func (m *Maker) badStatus() int {
	for quirk, status := range map[string]int{"status-403": 403, "status-405": 405, "status-429": 429, "status-500": 500} {
		if m.has(quirk) {
			return status
		}
	}
	return 0
}

// answer sends a certificate in the form of the service or of a quirk.
func (m *Maker) answer(w http.ResponseWriter, r *http.Request, name string, der []byte, intel bool) {
	switch {
	case m.has("answer-portal"):
		fmt.Fprint(w, "<!DOCTYPE html><title>Please sign in</title>")
	case m.has("answer-redirect"):
		http.Redirect(w, r, "http://portal.test/", http.StatusFound)
	case m.has("answer-huge"):
		for chunk := bytes.Repeat(der, 100); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case m.has("answer-pem"):
		pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	case m.has("answer-foreign"):
		w.Write(m.ca.Raw)
	case m.has("answer-der"):
		w.Header().Set("Content-Type", "text/plain")
		w.Write(der)
	case intel || m.has("answer-json"):
		text := strings.ReplaceAll(base64.URLEncoding.EncodeToString(der), "=", "%3D")
		json.NewEncoder(w).Encode(map[string]string{"pubhash": name, "certificate": text})
	default:
		w.Write(der)
	}
}

// serveCA sends the certificate of the CA or the root.
func (m *Maker) serveCA(w http.ResponseWriter, r *http.Request) {
	cert := m.ca
	switch {
	case m.has("aia-missing"):
		m.refuse(w, r, http.StatusNotFound, errors.New("quirk"))
		return
	case strings.Contains(r.URL.Path, "root"):
		cert = m.root
	case !strings.Contains(r.URL.Path, "issuing"):
		m.refuse(w, r, http.StatusNotFound, errors.New("no such CA"))
		return
	}
	switch {
	case m.has("aia-pem"):
		pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	case m.has("aia-p7b"):
		bag, err := cms.Bag(append(m.Certificates(), m.signer.Certificate))
		if err != nil {
			m.refuse(w, r, http.StatusInternalServerError, err)
			return
		}
		w.Write(bag)
	default:
		w.Write(cert.Raw)
	}
}

// serveCRL sends a CRL.
func (m *Maker) serveCRL(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, crlPath), ".crl")
	if m.has("crl-missing") || name != "root" && name != "issuing" && name != "indirect" {
		m.refuse(w, r, http.StatusNotFound, errors.New("no such CRL"))
		return
	}
	der, err := m.crl(name)
	switch {
	case err != nil:
		m.refuse(w, r, http.StatusInternalServerError, err)
	case m.has("crl-pem"):
		pem.Encode(w, &pem.Block{Type: "X509 CRL", Bytes: der})
	default:
		w.Write(der)
	}
}
