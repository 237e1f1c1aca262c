package attest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// A session is a salted session. It implements tpm2.Session.
//
// go-tpm's own sessions do not fit. Their attributes are fixed, while the answer of
// TPM2_Sign cannot be encrypted and those of other commands should be. They cut an
// authorization value at its first zero byte. And their policy sessions cannot
// serve other commands between two policies.
//
// The kept session is a policy session, because that can also satisfy the
// endorsement key's policy; an HMAC session would need a second session for that.
// As long as no policy command has run in it, a policy session does the same as an
// HMAC session that authorizes nothing: an HMAC with the salted session key over
// command and answer, and parameter encryption (TCG Part 1, 19 and 21). The empty
// authorization values of keys are sent as passwords.
type session struct {
	handle      tpm2.TPMHandle
	alg         uint16 // hash
	key         []byte // session key, empty if not salted
	auth        []byte // authorization value of what an HMAC session authorizes
	of          string // what that is
	nonceCaller []byte
	nonceTPM    []byte
	attrs       tpm2.TPMASession
}

const nonceSize = 16

// startSession starts a session of the given type, salted to salt unless that is
// nil. A policy session stays until it is flushed; an HMAC session serves one
// command.
func (t *TPM) startSession(ctx context.Context, salt *object, typ tpm2.TPMSE, alg uint16) (*session, error) {
	cmd := tpm2.StartAuthSession{
		TPMKey:      tpm2.TPMRHNull,
		Bind:        tpm2.TPMRHNull,
		NonceCaller: tpm2.TPM2BNonce{Buffer: make([]byte, nonceSize)},
		SessionType: typ,
		Symmetric:   tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull},
		AuthHash:    tpm2.TPMIAlgHash(alg),
	}
	if _, err := rand.Read(cmd.NonceCaller.Buffer); err != nil {
		return nil, err
	}
	var secret []byte
	if salt != nil {
		var err error
		if secret, cmd.EncryptedSalt.Buffer, err = newSalt(salt.area); err != nil {
			return nil, &Error{Op: "TPM2_StartAuthSession", Err: err}
		}
		cmd.TPMKey = salt.named()
		cmd.Symmetric = tpm2.TPMTSymDef{
			Algorithm: tpm2.TPMAlgAES,
			KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
			Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
		}
	}
	rsp, err := run(ctx, t, cmd)
	if err != nil {
		return nil, err
	}
	s := &session{
		handle:      tpm2.TPMHandle(rsp.SessionHandle.HandleValue()),
		alg:         alg,
		nonceCaller: cmd.NonceCaller.Buffer,
		nonceTPM:    rsp.NonceTPM.Buffer,
	}
	s.attrs.ContinueSession = typ == tpm2.TPMSEPolicy
	if len(s.nonceTPM) < nonceSize {
		t.stray = append(t.stray, s.handle)
		return nil, &Error{Op: "TPM2_StartAuthSession", Err: errors.New("nonce of the TPM is too short")}
	}
	if len(secret) > 0 {
		h := hashOf(alg)
		s.key = kdfa(h, secret, "ATH", s.nonceTPM, s.nonceCaller, h.Size()*8)
	}
	return s, nil
}

// startSalted starts a session that is salted to a storage key. There are TPMs that
// refuse this with TPM_RC_VALUE for the RSA key that Windows has made; the P-256 key of
// the null hierarchy is taken then. The objects in use are not evicted for it.
func (t *TPM) startSalted(ctx context.Context, salt *object, typ tpm2.TPMSE, use ...*object) (s *session, err error) {
	start := func() error {
		return t.withSlots(ctx, salt.borrows(), func() error {
			s, err = t.startSession(ctx, salt, typ, algSHA256)
			return err
		}, append(use, salt)...)
	}
	a, err := parseArea(salt.area)
	isRSA := err == nil && a.typ == algRSA
	if !isRSA || !t.noRSASalt {
		if err := start(); !isRSA || !hasRC(err, tpm2.TPMRCValue) {
			return s, err
		}
		t.noRSASalt = true
	}
	if salt, err = t.nullKey(ctx, append(use, salt)...); err != nil {
		return nil, err
	}
	return s, start()
}

// newSalt returns a random secret, and the secret encrypted to the key with public
// area b.
func newSalt(b []byte) (secret, encrypted []byte, err error) {
	a, err := storageKey(b)
	if err != nil {
		return nil, nil, err
	}
	return a.newSeed(labelSecret)
}

// protect returns the kept session, set up to encrypt the first parameter of the
// command and, if answer is true, that of the answer. If there is no session, it
// starts one that is salted to parent. The objects in use are not evicted for it.
func (t *TPM) protect(ctx context.Context, parent *object, answer bool, use ...*object) (*session, error) {
	if t.session == nil {
		s, err := t.startSalted(ctx, parent, tpm2.TPMSEPolicy, use...)
		if err != nil {
			return nil, err
		}
		t.session = s
	}
	t.session.attrs.Decrypt, t.session.attrs.Encrypt = true, answer
	return t.session, nil
}

// Init implements tpm2.Session.
func (s *session) Init(transport.TPM) error { return nil }

// CleanupFailure implements tpm2.Session.
func (s *session) CleanupFailure(transport.TPM) error { return nil }

// NonceTPM implements tpm2.Session.
func (s *session) NonceTPM() tpm2.TPM2BNonce { return tpm2.TPM2BNonce{Buffer: s.nonceTPM} }

// NewNonceCaller implements tpm2.Session.
func (s *session) NewNonceCaller() error {
	s.nonceCaller = make([]byte, nonceSize)
	_, err := rand.Read(s.nonceCaller)
	return err
}

// Authorize implements tpm2.Session (TCG Part 1, 19.6).
func (s *session) Authorize(cc tpm2.TPMCC, parms, addNonces []byte, names []tpm2.TPM2BName, _ int) (*tpm2.TPMSAuthCommand, error) {
	h := hashOf(s.alg).New()
	putU32(h, uint32(cc))
	for _, n := range names {
		h.Write(n.Buffer)
	}
	h.Write(parms)
	return &tpm2.TPMSAuthCommand{
		Handle:        s.handle,
		Nonce:         tpm2.TPM2BNonce{Buffer: s.nonceCaller},
		Attributes:    s.attrs,
		Authorization: tpm2.TPM2BData{Buffer: s.mac(h.Sum(nil), s.nonceCaller, s.nonceTPM, addNonces, s.attrs)},
	}, nil
}

// Validate implements tpm2.Session.
func (s *session) Validate(rc tpm2.TPMRC, cc tpm2.TPMCC, parms []byte, _ []tpm2.TPM2BName, _ int, auth *tpm2.TPMSAuthResponse) error {
	h := hashOf(s.alg).New()
	putU32(h, uint32(rc))
	putU32(h, uint32(cc))
	h.Write(parms)
	want := s.mac(h.Sum(nil), auth.Nonce.Buffer, s.nonceCaller, nil, auth.Attributes)
	if !hmac.Equal(want, auth.Authorization.Buffer) {
		return errors.New("answer has a wrong HMAC: it was changed on its way")
	}
	s.nonceTPM = auth.Nonce.Buffer
	return nil
}

// mac computes the HMAC of a command or an answer.
func (s *session) mac(pHash, newer, older, extra []byte, attrs tpm2.TPMASession) []byte {
	auth := s.auth
	for len(auth) > 0 && auth[len(auth)-1] == 0 { // Part 1, 19.6.5: without trailing zeros
		auth = auth[:len(auth)-1]
	}
	m := hmac.New(hashOf(s.alg).New, append(s.key[:len(s.key):len(s.key)], auth...))
	for _, b := range [][]byte{pHash, newer, older, extra, {attributeByte(attrs)}} {
		m.Write(b)
	}
	return m.Sum(nil)
}

// attributeByte returns the encoding of a TPMA_SESSION.
func attributeByte(a tpm2.TPMASession) (b byte) {
	for i, set := range []bool{a.ContinueSession, a.AuditExclusive, a.AuditReset, false, false, a.Decrypt, a.Encrypt, a.Audit} {
		if set {
			b |= 1 << i
		}
	}
	return b
}

// IsEncryption implements tpm2.Session.
func (s *session) IsEncryption() bool { return s.attrs.Encrypt }

// IsDecryption implements tpm2.Session.
func (s *session) IsDecryption() bool { return s.attrs.Decrypt }

// Encrypt implements tpm2.Session.
func (s *session) Encrypt(parameter []byte) error {
	return s.cfb(parameter, s.nonceCaller, s.nonceTPM, true)
}

// Decrypt implements tpm2.Session.
func (s *session) Decrypt(parameter []byte) error {
	return s.cfb(parameter, s.nonceTPM, s.nonceCaller, false)
}

// Handle implements tpm2.Session.
func (s *session) Handle() tpm2.TPMHandle { return s.handle }

// cfb encrypts or decrypts b in place with AES-128-CFB (TCG Part 1, 21.3). A session
// that encrypts never authorizes an object with an authorization value, so the key
// is derived from the session key alone.
func (s *session) cfb(b, newer, older []byte, encrypt bool) error {
	keyIV := kdfa(hashOf(s.alg), s.key, "CFB", newer, older, 256)
	block, err := aes.NewCipher(keyIV[:16])
	if err != nil {
		return err
	}
	cfb(block, keyIV[16:], b, encrypt)
	return nil
}

// cfb encrypts or decrypts b in place by full-block cipher feedback, which is
// deprecated in the standard library. It changes iv.
func cfb(block cipher.Block, iv, b []byte, encrypt bool) {
	for len(b) > 0 {
		block.Encrypt(iv, iv)
		n := min(len(iv), len(b))
		for i, in := range b[:n] {
			b[i] ^= iv[i]
			if encrypt {
				in = b[i]
			}
			iv[i] = in // the ciphertext
		}
		b = b[n:]
	}
}

// putU32 writes v to h in big-endian.
func putU32(h hash.Hash, v uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	h.Write(b[:])
}

// sessionFor returns the kept session as protect does, for a command that uses k and
// the loaded objects in use. A new session is salted to the parent of k.
func (t *TPM) sessionFor(ctx context.Context, k *Key, answer bool, use ...*object) (*session, error) {
	if t.session != nil {
		return t.protect(ctx, nil, answer)
	}
	parent, err := t.parent(ctx, k.parent, use...)
	if err != nil {
		return nil, err
	}
	return t.protect(ctx, parent, answer, use...)
}
