package diagnose_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/diagnose"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/mdm"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/scep"
)

// refused is a connection that nobody takes.
var refused = &url.Error{Op: "Get", URL: "https://ca.test/", Err: &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}

// Every package's error is read: where, what, which code, and what helps.
func TestDiagnose(t *testing.T) {
	badRequest := &scep.Error{Op: "PKCSReq", URL: "https://ca.test/scep", HTTPStatus: 200, FailInfo: scep.BadRequest, Code: 0x80094817, Message: "EK not trusted"}
	busy := &scep.Error{Op: "GetCACaps", URL: "https://ca.test/scep", HTTPStatus: 503, FailInfo: scep.NoFailInfo, RetryAfter: 30 * time.Second}
	integrity := &attest.Error{Op: "TPM2_ActivateCredential", RC: 0x1DF, Err: tpm2.TPMRC(0x1DF)}
	for name, c := range map[string]struct {
		err  error
		want diagnose.Diagnosis // without Cause and Remedy
		in   string             // in String
	}{
		"the TPM": {
			step(provision.StepKeys, fmt.Errorf("device key: %w", &attest.Error{Op: "TPM2_Create", RC: tpm2.TPMRCLockout, Err: tpm2.TPMRCLockout})),
			diagnose.Diagnosis{Step: "keys", Op: "TPM2_Create", Protocol: "TPM_RC_LOCKOUT", HRESULT: 0x80280921, Symbol: "TPM_20_E_LOCKOUT", Retryable: true},
			"(0x80280921 TPM_20_E_LOCKOUT); may pass",
		},
		"the TPM below the attestation CA": {
			step(provision.StepAIK, &aik.Error{Op: "activate", URL: "https://ca.test/scep", RequestID: "id-1", Err: integrity}),
			diagnose.Diagnosis{
				Step: "aik", Op: "TPM2_ActivateCredential", RequestID: "id-1",
				Protocol: "TPM_RC_INTEGRITY (parameter 1)", HRESULT: 0x8028009F, Symbol: "TPM_20_E_INTEGRITY",
			},
			"aik: TPM2_ActivateCredential: TPM_RC_INTEGRITY (parameter 1)",
		},
		"the attestation CA refuses": {
			step(provision.StepAIK, &aik.Error{Op: "enroll", URL: "https://ca.test/scep", Err: badRequest}),
			diagnose.Diagnosis{
				Step: "aik", Op: "PKCSReq", URL: "https://ca.test/scep", HTTPStatus: 200, Protocol: "SCEP badRequest",
				HRESULT: 0x80094817, Symbol: "CERTSRV_E_INVALID_EK", Message: "EK not trusted",
			},
			`HTTP status 200: SCEP badRequest: "EK not trusted" (0x80094817 CERTSRV_E_INVALID_EK). Register`,
		},
		"the attestation CA's tries are used up": {
			step(provision.StepAIK, &aik.Error{Op: "authority", Err: busy}),
			diagnose.Diagnosis{
				Step: "aik", Op: "GetCACaps", URL: "https://ca.test/scep", HTTPStatus: 503,
				HRESULT: 0x801901F7, Symbol: "HTTP_E_STATUS_SERVICE_UNAVAIL", Screen: 0x81039001, Retryable: true, RetryAfter: 30 * time.Second,
			},
			"(0x801901F7 HTTP_E_STATUS_SERVICE_UNAVAIL; setup screen 0x81039001). The service is busy or under maintenance: run again in 30 s.",
		},
		"no attestation CA": {
			&aik.Error{Op: "authority", Err: aik.ErrNoAuthority},
			diagnose.Diagnosis{Op: "authority", HRESULT: 0x80190194, Symbol: "HTTP_E_STATUS_NOT_FOUND"},
			"authority: no attestation CA",
		},
		"the certificate": {
			step(provision.StepEK, &ekcert.Error{Op: "verify", Origin: "NV 0x01c00002", Err: ekcert.ErrAtRisk}),
			diagnose.Diagnosis{Step: "ek", Op: "verify", HRESULT: 0x81039024},
			"ek: verify: TPM is known to be at risk (0x81039024",
		},
		"the maker's service does not answer": {
			step(provision.StepEK, &ekcert.Error{Op: "fetch", Origin: "https://maker.test/ek", Err: context.DeadlineExceeded}),
			diagnose.Diagnosis{
				Step: "ek", Op: "fetch", URL: "https://maker.test/ek", HRESULT: 0x80072EE2, Symbol: "WININET_E_TIMEOUT", Screen: 0x800705B4,
			},
			"setup screen 0x800705B4",
		},
		"the directory": {
			step(provision.StepJoin, &drs.Error{
				Op: "Join", URL: "https://drs.test/join", HTTPStatus: 400, Code: "AuthorizationError", Subcode: "AttestationFailed",
				Message: "no", RequestID: "id-2",
			}),
			diagnose.Diagnosis{
				Step: "join", Op: "Join", URL: "https://drs.test/join", HTTPStatus: 400, Protocol: "DRS AuthorizationError/AttestationFailed",
				HRESULT: 0x801C0011, Symbol: "DSREG_E_DEVICE_ATTESTATION_ERROR", Screen: 0x801C03EA, RequestID: "id-2", Message: "no",
			},
			"setup screen 0x801C03EA",
		},
		"the directory does not know the EK": {
			step(provision.StepToken, &drs.Error{Op: "Authenticate", HTTPStatus: 400, Code: "invalid_grant", Subcode: "tpm_ek_unknown"}),
			diagnose.Diagnosis{
				Step: "token", Op: "Authenticate", HTTPStatus: 400, Protocol: "OAuth invalid_grant/tpm_ek_unknown", HRESULT: 0x801C03EA,
			},
			"(0x801C03EA). Check",
		},
		"the management server": {
			step(provision.StepEnroll, &mdm.Error{
				Op: "Enroll", URL: "https://mdm.test/enroll", HTTPStatus: 500, TraceID: "t-1", Message: "once only",
				Fault: &mdm.Fault{Code: "s:Receiver", Subcode: "s:Authorization", Type: "DeviceNotSupported"},
			}),
			diagnose.Diagnosis{
				Step: "enroll", Op: "Enroll", URL: "https://mdm.test/enroll", HTTPStatus: 500, Protocol: "SOAP s:Receiver/s:Authorization/DeviceNotSupported",
				HRESULT: 0x80180014, Symbol: "MENROLL_E_DEVICENOTSUPPORTED", RequestID: "t-1", Message: "once only",
			},
			"(0x80180014 MENROLL_E_DEVICENOTSUPPORTED)",
		},
		"the token endpoint": {
			&mdm.Error{Op: "Exchange", HTTPStatus: 400, OAuth: "invalid_grant", Message: "AADSTS50155: no"},
			diagnose.Diagnosis{Op: "Exchange", HTTPStatus: 400, Protocol: "OAuth invalid_grant", HRESULT: 0x80190190, Symbol: "HTTP_E_STATUS_BAD_REQUEST", Message: "AADSTS50155: no"},
			"OAuth invalid_grant",
		},
		"an answer that is no envelope": {
			&mdm.Error{Op: "Discover", HTTPStatus: 200, Err: errors.New("no SOAP envelope")},
			diagnose.Diagnosis{Op: "Discover", HTTPStatus: 200, HRESULT: 0x801900C8},
			"no SOAP envelope. The server",
		},
		"the network": {
			step(provision.StepDiscover, &drs.Error{Op: "Discover", URL: "https://drs.test/", Err: refused}),
			diagnose.Diagnosis{Step: "discover", Op: "Discover", URL: "https://drs.test/", HRESULT: 0x80072EFD, Symbol: "WININET_E_CANNOT_CONNECT", Retryable: true},
			"connection refused (0x80072EFD",
		},
		"the network, without a package": {refused, diagnose.Diagnosis{HRESULT: 0x80072EFD, Symbol: "WININET_E_CANNOT_CONNECT", Retryable: true}, "connection refused"},
		"the network, in a way of its own": {
			&url.Error{Op: "Get", URL: "https://a.test/", Err: errors.New("malformed HTTP response")},
			diagnose.Diagnosis{HRESULT: 0x80072F78, Symbol: "WININET_E_INVALID_SERVER_RESPONSE", Retryable: true},
			"malformed",
		},
		"the state":            {&provision.Error{Err: fmt.Errorf("%w: of another TPM", provision.ErrState)}, diagnose.Diagnosis{HRESULT: 0x8007000D, Symbol: "ERROR_INVALID_DATA"}, "remove it to provision the device again"},
		"a file":               {&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, diagnose.Diagnosis{HRESULT: 0x80070005, Symbol: "ERROR_ACCESS_DENIED"}, "administrator"},
		"canceled":             {step(provision.StepEK, context.Canceled), diagnose.Diagnosis{Step: "ek", HRESULT: 0x80004004, Symbol: "E_ABORT"}, "canceled (0x80004004"},
		"out of time":          {step("something", context.DeadlineExceeded), diagnose.Diagnosis{Step: "something", HRESULT: 0x800705B4, Symbol: "ERROR_TIMEOUT"}, "ERROR_TIMEOUT"},
		"not in the TPM":       {&attest.Error{Op: "ReadNV", Err: attest.ErrNotFound}, diagnose.Diagnosis{Op: "ReadNV", HRESULT: 0x80070490, Symbol: "ERROR_NOT_FOUND"}, "not in the TPM"},
		"a proof":              {&attest.Error{Op: "Verify", Err: attest.ErrProof}, diagnose.Diagnosis{Op: "Verify", HRESULT: 0x80090032, Symbol: "NTE_VALIDATION_FAILED"}, "proof"},
		"a capability":         {&scep.Error{Op: "PKCSReq", FailInfo: scep.NoFailInfo, Err: scep.ErrCapability}, diagnose.Diagnosis{Op: "PKCSReq", HRESULT: 0x80070032, Symbol: "ERROR_NOT_SUPPORTED"}, "capability"},
		"ours, without a code": {&mdm.Error{Op: "Discover", Err: errors.New("odd")}, diagnose.Diagnosis{Op: "Discover"}, "odd"},
		"joined":               {errors.Join(errors.New("first"), busy, integrity), diagnose.Explain(busy), "GetCACaps"},
	} {
		t.Run(name, func(t *testing.T) {
			got := diagnose.Explain(c.err)
			if got.Remedy == "" {
				t.Error("no remedy")
			}
			line := got.String()
			if !strings.Contains(line, c.in) || strings.ContainsAny(line, "\n\r\x1b") {
				t.Errorf("String: %s\nwant in it: %s", line, c.in)
			}
			got.Remedy, got.Cause, c.want.Remedy, c.want.Cause = "", "", "", ""
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// What the caller did, or what has no code, is not explained with the remedy of a code
// that was chosen for it.
func TestOwnWords(t *testing.T) {
	busy := &scep.Error{Op: "GetCACaps", URL: "https://ca.test/scep", HTTPStatus: 503, FailInfo: scep.NoFailInfo}
	for name, c := range map[string]struct {
		err       error
		in, notIn string
		retry     bool
	}{
		"canceled":                 {context.Canceled, "Ctrl-C", "Wait", false},
		"canceled in a step":       {step(provision.StepEK, context.Canceled), "Ctrl-C", "Wait", false},
		"canceled in a client":     {&mdm.Error{Op: "Discover", Err: &url.Error{Op: "Get", URL: "https://a.test/", Err: context.Canceled}}, "Ctrl-C", "DNS", false},
		"deadline":                 {context.DeadlineExceeded, "llow more time", "physical TPM", false},
		"deadline in a step":       {step(provision.StepAIK, context.DeadlineExceeded), "llow more time", "physical TPM", false},
		"deadline in a client":     {&drs.Error{Op: "Discover", Err: &url.Error{Op: "Get", URL: "https://a.test/", Err: context.DeadlineExceeded}}, "llow more time", "DNS", false},
		"deadline after a refusal": {errors.Join(context.DeadlineExceeded, busy), "The service is busy", "llow more time", true},
		"invented":                 {step(provision.StepEK, errors.New("unknown step")), "Read the cause", "KB50", false},
		"invented by a package":    {&mdm.Error{Op: "Discover", Err: errors.New("odd")}, "Read the cause", "KB50", false},
		"given":                    {foreignFail{}, "Read the cause", "KB50", false},
		"no file":                  {&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, "Check the name of the file", "Windows", false},
		"not a folder":             {&fs.PathError{Op: "open", Path: "x/y", Err: syscall.ENOTDIR}, "", "Windows", false},
		"scheme":                   {&url.Error{Op: "Get", URL: "ftp://a.test/", Err: errors.New("unsupported protocol scheme")}, "", "Windows", false},
	} {
		d := diagnose.Explain(c.err)
		if !strings.Contains(d.Remedy, c.in) || strings.Contains(d.Remedy, c.notIn) || d.Retryable != c.retry {
			t.Errorf("%s: %s, retryable %t", name, d.Remedy, d.Retryable)
		}
	}
	if d := diagnose.Explain(errors.Join(context.DeadlineExceeded, busy)); d.URL != busy.URL || d.HTTPStatus != 503 {
		t.Errorf("the last attempt is lost: %+v", d)
	}
}

// A foreignFail has the code that says nothing.
type foreignFail struct{}

func (foreignFail) Error() string   { return "failed" }
func (foreignFail) HRESULT() uint32 { return 0x80004005 }

func step(s provision.Step, err error) error { return &provision.Error{Step: s, Err: err} }

// What is not known stays empty, and nothing makes Diagnose fail.
func TestDiagnoseOdd(t *testing.T) {
	if d := diagnose.Explain(nil); d != (diagnose.Diagnosis{}) || d.String() != "" {
		t.Errorf("nil: %+v", d)
	}
	if d := diagnose.Explain(errors.New("plain")); d != (diagnose.Diagnosis{Cause: "plain"}) || d.String() != "plain" {
		t.Errorf("plain: %+v, %s", d, d)
	}
	if d := diagnose.Explain(errors.New("two\nlines\x1b[31m")); d.String() != "two lines [31m" {
		t.Errorf("lines: %q", d.String())
	}
	deep := error(&drs.Error{Op: "Join"})
	for range 1000 {
		deep = fmt.Errorf("%w", deep)
	}
	for _, err := range []error{
		(*aik.Error)(nil), step("ek", (*ekcert.Error)(nil)), &aik.Error{}, &ekcert.Error{}, &attest.Error{}, &scep.Error{}, &drs.Error{}, &mdm.Error{},
		&provision.Error{}, errors.Join(nil, nil), deep,
		panics{},
	} {
		_ = diagnose.Explain(err).String()
	}
}

// An error whose methods fail.
type panics struct{ error }

func (p panics) HRESULT() uint32 { return uint32(len(p.Error())) }

// Another package's error is asked by its methods.
type foreign uint32

func (foreign) Error() string     { return "foreign" }
func (f foreign) HRESULT() uint32 { return uint32(f) }
func (foreign) Retryable() bool   { return true }
func (foreign) Remedy() string    { return "Do this." }

func TestDiagnoseForeign(t *testing.T) {
	got := diagnose.Explain(step(provision.StepKeys, foreign(0x80284012)))
	want := diagnose.Diagnosis{
		Step: "keys", HRESULT: 0x80284012, Symbol: "TBS_E_ACCESS_DENIED", Retryable: true, Cause: "foreign", Remedy: "Do this.",
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	text, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(text), `"symbol":"TBS_E_ACCESS_DENIED"`) || strings.Contains(string(text), "httpStatus") {
		t.Errorf("%s, %v", text, err)
	}
}

// A code that nobody knows is printed as it is, as is one of the TPM's maker.
func TestDiagnoseUnknown(t *testing.T) {
	if got := diagnose.Explain(foreign(0x12345678)).Symbol; got != "" {
		t.Error(got)
	}
	err := &attest.Error{Op: "TPM2_Create", RC: 0x501, Err: errors.New("of its maker")}
	if d := diagnose.Explain(err); d.Protocol != "TPM_RC 0x501" || d.Symbol != "" || !strings.Contains(d.Remedy, "TPM 2.0") {
		t.Errorf("%+v", d)
	}
}

// A file that is cut off is not a connection that was, and a web page or a refused redirect
// has a remedy whichever client met it.
func TestCauses(t *testing.T) {
	for name, c := range map[string]struct {
		err           error
		remedy, notIn string
		code          uint32
	}{
		"a file":        {fmt.Errorf("har: %w", io.ErrUnexpectedEOF), "cut off: take it again", "proxy", 0x8007000D},
		"a connection":  {&url.Error{Op: "Get", URL: "https://a.test/", Err: io.ErrUnexpectedEOF}, "a.test, or a proxy or firewall on the way, cut the connection.", "file", 0x80072EFF},
		"refused":       {refused, "Check the address and the port, and that the service runs.", "busy", 0x80072EFD},
		"refused, drs":  {&drs.Error{Op: "Discover", URL: "https://ca.test/", Err: refused}, "Check the address and the port, and that the service runs.", "busy", 0x80072EFD},
		"unknown root":  {&scep.Error{Op: "GetCACert", URL: "https://ca.test/", Err: &url.Error{Op: "Get", URL: "https://ca.test/", Err: x509.UnknownAuthorityError{}}}, "Trust the root of ca.test", "clock", 0x80072F8F},
		"renewal":       {&scep.Error{Op: "RenewalReq", HTTPStatus: 200, FailInfo: scep.BadRequest}, "does not allow any", "challenge password", 0},
		"a 503 to wait": {&scep.Error{Op: "GetCACaps", URL: "https://ca.test/", HTTPStatus: 503, RetryAfter: time.Hour}, "run again in 1 h.", "", 0x801901F7},
	} {
		d := diagnose.Explain(c.err)
		if !strings.Contains(d.Remedy, c.remedy) || c.notIn != "" && strings.Contains(d.Remedy, c.notIn) || d.HRESULT != c.code {
			t.Errorf("%s: %v", name, d)
		}
	}
	// The code alone says the same as the error.
	for code, want := range map[string]string{"0x80072EFD": "Check the address and the port, and that the service runs.", "0x80072F7C": "sign in there", "0x80180012": "exempt the host from TLS inspection"} {
		if m := diagnose.Decode(code); len(m) == 0 || !strings.Contains(m[0].Remedy, want) {
			t.Errorf("%s: %v", code, m)
		}
	}
}
