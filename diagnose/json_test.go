package diagnose_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/diagnose"
)

// A Diagnosis in JSON has what people look up: codes as Windows prints them, times in
// seconds, and the error in a sentence.
func TestDiagnosisJSON(t *testing.T) {
	for want, d := range map[string]diagnose.Diagnosis{
		`{"retryable":false}`: {},
		`{"error":"enroll: Enroll https://mdm.test: HTTP status 503: \"busy\": no (0x80180014 MENROLL_E_DEVICENOTSUPPORTED; setup screen 0x81039023); may pass after 1.5s",` +
			`"step":"enroll","op":"Enroll","url":"https://mdm.test","httpStatus":503,"symbol":"MENROLL_E_DEVICENOTSUPPORTED","retryable":true,"message":"busy","cause":"no","remedy":"Wait.",` +
			`"hresult":"0x80180014","screen":"0x81039023","retryAfter":1.5}`: {
			Step: "enroll", Op: "Enroll", URL: "https://mdm.test", HTTPStatus: 503, HRESULT: 0x80180014, Symbol: "MENROLL_E_DEVICENOTSUPPORTED", Screen: 0x81039023,
			Retryable: true, RetryAfter: 1500 * time.Millisecond, Message: "busy", Cause: "no", Remedy: "Wait.",
		},
	} {
		for _, v := range []any{d, &d} {
			if got, err := json.Marshal(v); err != nil || string(got) != want {
				t.Errorf("got  %s, %v\nwant %s", got, err, want)
			}
		}
	}
}
