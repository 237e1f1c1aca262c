package omadm

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/syncml"
	"github.com/whiteglove/whiteglove/mdm"
)

// maxDigests is how many challenges the device answers in one session.
const maxDigests = 2

// A digestState is the state of the authentication by digest in one session
// (OMA DM Security 1.2).
type digestState struct {
	nonce   []byte
	active  bool // messages carry credentials, which the account has
	answers int  // challenges that were answered
}

// credentials returns the credentials of the next message and the name they are
// for, or nil if the message carries none.
func (d *digestState) credentials(a *mdm.Auth) (*syncml.Cred, string) {
	if !d.active {
		return nil, ""
	}
	meta := syncml.Meta{Format: "b64", Type: syncml.TypeMD5}
	return &syncml.Cred{Meta: meta, Data: syncml.Digest(a.Name, string(a.Secret), d.nonce)}, a.Name
}

// answer reads the status of the device's message and the challenge in it, if
// there is one. It reports whether the message must be sent again.
func (d *digestState) answer(a *mdm.Auth, code int, chal *syncml.Meta) (bool, error) {
	wanted := code == syncml.StatusUnauthorized || code == syncml.StatusNoCredential
	refused := &StatusError{syncml.SyncHdr, code}
	switch {
	case chal == nil:
	case !strings.EqualFold(chal.Type, syncml.TypeMD5) && (a != nil || wanted):
		return false, fmt.Errorf("%w: it asks for an authentication other than a digest, of type %.40q, and devices have %s only", refused, chal.Type, syncml.TypeMD5)
	case a == nil && wanted:
		return false, fmt.Errorf("%w: it asks for a digest, and the account has no APPAUTH of level APPSRV to make one with", refused)
	case a != nil:
		nonce, err := base64.StdEncoding.DecodeString(chal.NextNonce)
		if err != nil {
			return false, errors.New("the server's nonce is not base64")
		}
		d.nonce, d.active = nonce, true
	}
	if code == syncml.StatusAuthAccepted {
		d.active = false // not needed for the rest of the session
	}
	if !wanted || chal == nil || d.answers == maxDigests {
		return false, nil
	}
	d.answers++
	return true, nil
}
