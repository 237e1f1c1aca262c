package drstest

import (
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// readProof reads the attestation of a join. Its first bytes tell the form.
func (s *Server) readProof(j *join) (*proof, error) {
	b := j.AttestationData
	if len(b) < 4 {
		return nil, fmt.Errorf("it has %d bytes", len(b))
	}
	switch {
	case b[0] == '{':
		return readBundle(b)
	case string(b[:4]) == "KADS":
		return s.readKADS(j, b, nil)
	case string(b[:4]) == "KAST":
		return s.readKAST(j, b)
	case binary.BigEndian.Uint32(b) == tpmGenerated:
		return nil, errors.New("a statement without a signature proves nothing")
	}
	return nil, errors.New("it is neither JSON nor KADS nor KAST")
}

// readKAST reads a KAST: the creation statement of the attestation key, signed by that key, and
// a KADS.
func (s *Server) readKAST(j *join, b []byte) (*proof, error) {
	k, err := wcce.ParseKAST(b)
	if err != nil {
		return nil, err
	}
	id, err := wcce.ParseIDBinding(k.IDBinding)
	if err != nil {
		return nil, err
	}
	key, err := attest.PublicKey(id.PublicArea)
	if err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	made := &attest.Statement{PublicArea: id.PublicArea, CreationData: id.CreationData, Attest: id.Attest, Signature: id.Signature}
	if err := made.Verify(key, nil); err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	return s.readKADS(j, k.KeyAttestation, id.PublicArea)
}

// readKADS reads a KADS, which certifies one key; the token must be bound to the other. It does
// not have the nonce, and has the attestation key only within a KAST. What is missing is that of
// the token's challenge.
func (s *Server) readKADS(j *join, b, aikArea []byte) (*proof, error) {
	k, err := wcce.ParseKADS(b)
	if err != nil {
		return nil, err
	}
	blob, err := wcce.ParsePCPKey(k.KeyBlob)
	if err != nil {
		return nil, err
	}
	if j.token == nil {
		return nil, errors.New("it certifies one key, and no device token is bound to the other one")
	}
	p := &proof{aikArea: aikArea, keys: make(map[string]*certified)}
	s.mu.Lock()
	if t, ok := s.tickets.Get(j.token.ID); ok {
		p.Nonce = t.nonce
		if p.aikArea == nil {
			p.aikArea = t.aikArea
		}
	}
	s.mu.Unlock()
	pub, err := attest.PublicKey(blob.PublicArea)
	if err != nil {
		return nil, err
	}
	var usage string
	switch {
	case sameKey(pub, j.encryptTo()) && j.token.Confirm["jkt"] != "":
		usage = "transport"
	case sameKey(pub, j.device) && j.token.TransportKey != "":
		usage = "device"
	default:
		return nil, errors.New("it certifies another key, or the token is not bound to the other one")
	}
	sig, err := p.signature(k.Signature)
	if err != nil {
		return nil, err
	}
	p.keys[usage] = &certified{area: blob.PublicArea, statement: &attest.Statement{PublicArea: blob.PublicArea, Attest: k.Attest, Signature: sig}}
	return p, nil
}

// signature returns a TPMT_SIGNATURE. A plain RSA signature becomes one with SHA-256.
func (p *proof) signature(sig []byte) ([]byte, error) {
	key, err := attest.PublicKey(p.aikArea)
	if err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	if k, ok := key.(*rsa.PublicKey); ok && len(sig) == k.Size() {
		out := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, algRSASSA), algSHA256)
		return append(out, sized(sig)...), nil
	}
	return sig, nil
}
