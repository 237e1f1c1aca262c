package drstest

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	goattest "github.com/google/go-attestation/attest"

	"github.com/whiteglove/whiteglove/attest"
)

// The first two fields of a TPMS_ATTEST of TPM2_Certify (TCG TPM 2.0 Library Part 2,
// TPM_GENERATED and TPM_ST).
const (
	tpmGenerated = 0xFF544347 // the TPM made it
	attestByCert = 0x8017     // TPM_ST_ATTEST_CERTIFY
)

// A bundle is the JSON form of an attestation, version 1 (drs.FormBundle).
type bundle struct {
	V     int    `json:"v"`
	Alg   string `json:"alg"`
	Nonce []byte `json:"nonce"`
	AIK   []byte `json:"aik"`
	Keys  []struct {
		Usage     string `json:"usage"`
		Public    []byte `json:"public"`
		Attest    []byte `json:"attest"`
		Signature []byte `json:"signature"`
		Creation  []byte `json:"creation"`
	} `json:"keys"`
}

// A proof is an attestation during its checks.
type proof struct {
	bundle
	aikArea []byte                // public area of the attestation key
	aik     crypto.PublicKey      // attestation key
	cert    *x509.Certificate     // of aik; nil if certificates are not checked
	keys    map[string]*certified // by usage: both, or one with KADS and KAST
}

// A certified key is a key of a join with the statement about it.
type certified struct {
	area      []byte
	attested  *certifyInfo
	statement *attest.Statement
}

// checkAttestation makes the ten checks of an attestation in order; see the package
// documentation.
func (s *Server) checkAttestation(j *join) error {
	p, err := s.readProof(j)
	if err != nil {
		return noJoin(subAttestation, "attestation: %w", err)
	}
	for i, c := range []struct {
		subcode string
		check   func(*join, *proof) error
	}{
		{subAIK, s.checkAIKCertificate},
		{subAIK, checkAIK},
		{subAttestation, checkSignatures},
		{subAttestation, checkStatements},
		{subAttestation, checkNames},
		{subAttestation, checkAttributes},
		{subAttestation, checkKeys},
		{subAttestation, s.checkNonce},
		{subAttestation, s.checkActivated},
		{subAttestation, s.checkRecord},
	} {
		err := c.check(j, p)
		if no := (*refused)(nil); errors.As(err, &no) {
			return no
		}
		if err != nil {
			return noJoin(c.subcode, "attestation: check %d: %w", i+1, err)
		}
	}
	if err := p.secondOpinion(); err != nil {
		return noJoin(subAttestation, "attestation: go-attestation: %w", err)
	}
	name, err := attest.Name(p.aikArea)
	if err != nil {
		return noJoin(subAttestation, "attestation: %w", err)
	}
	j.level, j.aikName = s.level(j, p, hex.EncodeToString(name)), hex.EncodeToString(name)
	return nil
}

// level returns the Object.AttestationLevel of an attestation.
func (s *Server) level(j *join, p *proof, aikName string) int {
	if p.cert == nil {
		return 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Check 10 compared the endorsement key of the token. Without a token, it was
	// compared when the device joined with this attestation key before.
	if o := s.byAIK(aikName); j.token != nil || o != nil && o.ZTDID != "" {
		return 3
	}
	return 2
}

// readBundle reads a bundle. It has one key for each usage.
func readBundle(b []byte) (*proof, error) {
	p := &proof{keys: make(map[string]*certified)}
	if err := json.Unmarshal(b, &p.bundle); err != nil {
		return nil, err
	}
	if p.V != 1 || p.Alg != "sha256" || len(p.Keys) != 2 {
		return nil, fmt.Errorf("version %d, algorithm %q, %d keys", p.V, p.Alg, len(p.Keys))
	}
	var err error
	if p.aikArea, err = unsized(p.AIK); err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	for _, k := range p.Keys {
		area, err := unsized(k.Public)
		if err != nil {
			return nil, fmt.Errorf("%s key: %w", k.Usage, err)
		}
		st := &attest.Statement{PublicArea: area, Attest: k.Attest, Signature: k.Signature}
		p.keys[k.Usage] = &certified{area: area, statement: st}
	}
	if p.keys["device"] == nil || p.keys["transport"] == nil {
		return nil, errors.New("not one device key and one transport key")
	}
	return p, nil
}

// checkAIKCertificate is check 1: chain, validity and usage of the attestation
// key's certificate.
func (s *Server) checkAIKCertificate(j *join, p *proof) error {
	if s.AIKRoots == nil {
		return nil
	}
	var err error
	p.cert, err = s.checkAIKChain(j.AikCertificate, j.AikCertificateChain)
	return err
}

// checkAIK is check 2: the certificate is for the attestation key, and that key can only
// sign what its TPM made.
func checkAIK(_ *join, p *proof) error {
	var err error
	if p.aik, err = checkAIKArea(p.aikArea); err != nil {
		return err
	}
	if p.cert != nil && !sameKey(p.aik, p.cert.PublicKey) {
		return errors.New("certificate is for another attestation key")
	}
	return nil
}

// checkSignatures is check 3: the attestation key signed the statements.
func checkSignatures(_ *join, p *proof) error {
	for usage, k := range p.keys {
		if err := checkSignature(p.aik, k.statement.Attest, k.statement.Signature); err != nil {
			return fmt.Errorf("%s key: %w", usage, err)
		}
	}
	return nil
}

// checkStatements is check 4: the TPM made the statements with TPM2_Certify, for this join.
func checkStatements(j *join, p *proof) error {
	for usage, k := range p.keys {
		var err error
		if k.attested, err = readCertify(k.statement.Attest); err != nil {
			return fmt.Errorf("%s key: %w", usage, err)
		}
		if subtle.ConstantTimeCompare(k.attested.extraData, bind(usage, p.Nonce, j.CertificateRequest.Data, j.keyData())) != 1 {
			return fmt.Errorf("%s key: statement is not for this join", usage)
		}
	}
	return nil
}

// bind returns the qualifying data that a statement must have.
func bind(usage string, nonce, csr, blob []byte) []byte {
	request, key := sha256.Sum256(csr), sha256.Sum256(blob)
	text := append([]byte("drs-attest-v1\x00"), usage...)
	text = binary.BigEndian.AppendUint32(append(text, 0), uint32(len(nonce)))
	text = append(append(append(text, nonce...), request[:]...), key[:]...)
	sum := sha256.Sum256(text)
	return sum[:]
}

// checkNames is check 5: each statement is for the key that comes with it.
func checkNames(_ *join, p *proof) error {
	for usage, k := range p.keys {
		name, err := attest.Name(k.area)
		if err != nil {
			return fmt.Errorf("%s key: %w", usage, err)
		}
		if !bytes.Equal(name, k.attested.name) {
			return fmt.Errorf("%s key: statement is for another key", usage)
		}
	}
	return nil
}

// checkAttributes is check 6: both keys were made in the TPM, cannot leave it and have the
// right usage.
func checkAttributes(_ *join, p *proof) error {
	purposes := map[string]uint32{"device": attrSign, "transport": attrDecrypt}
	for usage, k := range p.keys {
		purpose := purposes[usage]
		a, err := attest.Attributes(k.area)
		if err != nil {
			return fmt.Errorf("%s key: %w", usage, err)
		}
		if a&attrInside != attrInside || a&attrRestricted != 0 || a&purpose == 0 {
			return fmt.Errorf("%s key: attributes 0x%08X", usage, a)
		}
	}
	return nil
}

// checkKeys is check 7: the certified keys are those of the request.
func checkKeys(j *join, p *proof) error {
	wanted := map[string]crypto.PublicKey{"device": j.device, "transport": j.encryptTo()}
	for usage, k := range p.keys {
		want := wanted[usage]
		pub, err := attest.PublicKey(k.area)
		if err != nil {
			return fmt.Errorf("%s key: %w", usage, err)
		}
		if !sameKey(pub, want) {
			return fmt.Errorf("%s key: the certified key is not that of the request", usage)
		}
	}
	return nil
}

// checkNonce is check 8: the nonce is that of the token's challenge, or one of the
// registration service that is unused. The latter is used up when the join is committed.
func (s *Server) checkNonce(j *join, p *proof) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var t *ticket
	if j.token != nil {
		t, _ = s.tickets.Get(j.token.ID)
	}
	if t != nil && subtle.ConstantTimeCompare(p.Nonce, t.nonce) == 1 {
		return nil
	}
	if s.drsNonces.valid(string(p.Nonce), s.now()) {
		j.drsNonce = string(p.Nonce)
		return nil
	}
	return errors.New("nonce is unknown, used or expired")
}

// checkActivated is check 9: the attestation key is the one that the challenge of the device
// token proved. A join with a user's token alone or with a ticket of IssueTicket has no such
// challenge; the key then counts as the device's if it attested a join of the device before.
func (s *Server) checkActivated(j *join, p *proof) error {
	if j.token == nil || j.token.Source != "" {
		return nil
	}
	name, err := attest.Name(p.aikArea)
	if err != nil {
		return err
	}
	if base64.RawURLEncoding.EncodeToString(name) != j.token.AIKName {
		return errors.New("the token is for another attestation key")
	}
	return nil
}

// checkRecord is check 10: the endorsement key of the token is that of the
// device's hardware record.
func (s *Server) checkRecord(j *join, _ *proof) error {
	if j.token == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byZTDID(j.token.ZTDID)
	if o == nil {
		return errMissing
	}
	if j.token.Subject != "ek:"+base64.RawURLEncoding.EncodeToString(o.EK[:]) {
		return errors.New("the token's endorsement key is not that of the hardware record")
	}
	return nil
}

// secondOpinion verifies each statement with go-attestation and with package attest.
func (p *proof) secondOpinion() error {
	for usage, k := range p.keys {
		st := k.statement
		params := goattest.CertificationParameters{Public: st.PublicArea, CreateAttestation: st.Attest, CreateSignature: st.Signature}
		if err := params.Verify(goattest.VerifyOpts{Public: p.aik, Hash: crypto.SHA256}); err != nil {
			return fmt.Errorf("%s key: %w", usage, err)
		}
		if err := st.Verify(p.aik, k.attested.extraData); err != nil {
			return fmt.Errorf("%s key: %w", usage, err)
		}
	}
	return nil
}
