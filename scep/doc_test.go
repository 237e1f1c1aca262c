package scep_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/scep"
)

// TestBadAnswersTable compares the table in the package documentation with what
// the methods of Error return.
func TestBadAnswersTable(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	wraps := map[string]error{
		"ErrUntrusted": scep.ErrUntrusted, "ErrMalformed": scep.ErrMalformed, "ErrMismatch": scep.ErrMismatch, "ErrDecrypt": scep.ErrDecrypt,
		"ErrCapability": scep.ErrCapability, "ErrCapability,": scep.ErrLegacy, "ErrLegacy": scep.ErrLegacy, "ErrAlgorithm": scep.ErrAlgorithm,
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		row, ok := strings.CutPrefix(line, "//\t")
		if !ok || len(row) < 70 {
			continue
		}
		answer, kind, again, remedy := strings.TrimSpace(row[:45]), strings.TrimSpace(row[45:60]), strings.TrimSpace(row[60:67]), strings.TrimSpace(row[67:])
		var errs []*scep.Error
		switch status, isHTTP := strings.CutPrefix(answer, "HTTP "); {
		case isHTTP:
			for n := range strings.SplitSeq(status, ", ") {
				code, err := strconv.Atoi(n)
				if err != nil {
					t.Fatal(err)
				}
				errs = append(errs, &scep.Error{HTTPStatus: code})
			}
		case strings.HasPrefix(answer, "failInfo "):
			for info := scep.BadAlg; info <= scep.BadCertID; info++ {
				if info.String() == strings.TrimPrefix(answer, "failInfo ") {
					errs = append(errs, &scep.Error{HTTPStatus: http.StatusOK, FailInfo: info})
				}
			}
		case wraps[kind] != nil:
			err := wraps[kind]
			if strings.HasPrefix(answer, "a web page") {
				err = fmt.Errorf("%w: %w", err, wire.ErrWebPage)
			}
			if strings.HasSuffix(answer, "is expired") {
				err = fmt.Errorf("%w: %w", err, x509.CertificateInvalidError{Reason: x509.Expired})
			}
			errs = append(errs, &scep.Error{HTTPStatus: http.StatusOK, Err: err})
		default:
			continue
		}
		rows++
		if len(errs) == 0 {
			t.Errorf("%s: nothing to compare", answer)
		}
		for _, e := range errs {
			has := e.Remedy() == "" && strings.HasPrefix(remedy, "-") || e.Remedy() != "" && strings.Contains(e.Remedy(), remedy)
			if e.Retryable() != (again == "yes") || !has {
				t.Errorf("%s: retryable %v, remedy %q; the table has %s, %q", answer, e.Retryable(), e.Remedy(), again, remedy)
			}
		}
	}
	if rows != 26 {
		t.Errorf("%d rows were compared", rows)
	}
}
