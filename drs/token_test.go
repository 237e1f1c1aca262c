package drs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
)

func TestTokenIsNotShown(t *testing.T) {
	const secret = "s3cret"
	var log bytes.Buffer
	v := drs.DeviceToken{Token: secret}
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", v.Token)
	shown := log.String() + fmt.Sprint(v.Token) + fmt.Sprintf("%s %q %v %+v %#v %x %d", v.Token, v.Token, v, v, v, v.Token, v.Token)
	if strings.Contains(shown, secret) || strings.Contains(shown, fmt.Sprintf("%x", secret)) || !strings.Contains(shown, "[token]") {
		t.Errorf("got %s", shown)
	}
	if b, err := json.Marshal(v); err == nil {
		t.Errorf("marshaled to %s", b)
	}
	if string(v.Token) != secret {
		t.Error("a conversion does not give the value")
	}
}

// A token without a nonce keeps that of the attestation, and no token changes nothing.
func TestSetTokenWithoutNonce(t *testing.T) {
	req := &drs.Request{Attestation: &drs.Attestation{Nonce: []byte("n")}}
	req.SetToken(nil)
	req.SetToken(&drs.DeviceToken{Token: "t", Bearer: true})
	if string(req.Attestation.Nonce) != "n" || req.Token != "t" {
		t.Errorf("%+v", req)
	}
	before := req.Attestation
	req.Attributes = map[string]string{"a": "1"}
	req.SetToken(&drs.DeviceToken{Token: "u", Nonce: []byte("m")})
	if string(req.Attestation.Nonce) != "m" || string(before.Nonce) != "n" || req.Ticket != "u" || len(req.Attributes) != 1 {
		t.Errorf("%+v", req)
	}
	req.SetToken(&drs.DeviceToken{Attributes: map[string]string{"a": "2", "b": "2"}})
	if req.Attributes["a"] != "1" || req.Attributes["b"] != "2" {
		t.Errorf("%v", req.Attributes)
	}
}
