package aiktest

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"time"

	"github.com/whiteglove/whiteglove/internal/judge"
	"github.com/whiteglove/whiteglove/internal/wcce"
	"github.com/whiteglove/whiteglove/scep/sceptest"
)

// A pending is a challenge that has not been answered.
type pending struct {
	secret  []byte
	context []byte
	expires time.Time
	device  wcce.Device
	name    []byte // subjectAltName of the endorsement certificate
}

// expiry is the default of Server.Expiry.
const expiry = 5 * time.Minute

// badAnswer is the message for a wrong answer. The words of the real service are not
// known.
const badAnswer = "Challenge answer cannot be verified, rejecting request."

// challenge checks a request and returns the challenge for it.
func (a *authority) challenge(req *sceptest.Request) ([]byte, error) {
	csr, err := wcce.ParseCSR(req.CSR)
	if err != nil {
		return nil, refuse("CSR", badRequest, err)
	}
	id, err := a.identify(req, csr)
	if err != nil {
		return nil, err
	}
	key, err := checkStatement(csr)
	if err != nil {
		return nil, err
	}
	secret, tach, err := judge.Challenge(id.key, key.binding)
	if err != nil {
		return nil, refuse("challenge", badEK, err)
	}
	tach.Opaque = key.opaque
	p := &pending{secret: secret, device: id.device, name: id.name, expires: a.server.now().Add(a.server.expiry())}
	if err := a.spoil(p, id.key, key, tach); err != nil {
		return nil, err
	}
	req.Data = p
	return p.content(tach, a.server.commits(TruncatedTACH))
}

// expiry returns s.Expiry or its default.
func (s *Server) expiry() time.Duration {
	if s.Expiry == 0 {
		return expiry
	}
	return s.Expiry
}

// content returns the challenge in the form of the wire, with a new context.
func (p *pending) content(tach *wcce.TACH, truncated bool) ([]byte, error) {
	var state [16]byte
	_, _ = rand.Read(state[:]) // never fails
	var err error
	if p.context, err = wcce.MarshalContext(state[:]); err != nil {
		return nil, err
	}
	blob, err := tach.Marshal()
	if err != nil {
		return nil, err
	}
	if truncated {
		blob = blob[:len(blob)-1]
	}
	return (&wcce.Challenge{TACH: blob, Context: p.context}).Marshal()
}

// checkAnswer checks the answer to a challenge. The SCEP server has checked that it
// belongs to the transaction of the challenge, has the same signer, and is the first
// answer, right or wrong.
func (a *authority) checkAnswer(req *sceptest.Request, content []byte) error {
	p, ok := req.Data.(*pending)
	if !ok {
		return refuse("answer", badAnswer, errUnchallenged)
	}
	if a.server.now().After(p.expires) {
		return refuse("answer", badAnswer, errExpired)
	}
	answer, err := wcce.ParseAnswer(content)
	if err != nil {
		return refuse("answer", badRequest, err)
	}
	if !bytes.Equal(answer.Context, p.context) {
		return refuse("answer", badAnswer, errContext)
	}
	secret, err := req.Decrypt(answer.Secret)
	if err != nil {
		return refuse("answer", badAnswer, err)
	}
	if subtle.ConstantTimeCompare(secret, p.secret) != 1 {
		return refuse("answer", badAnswer, errSecret)
	}
	return nil
}
