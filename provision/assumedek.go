package provision

import (
	"context"
	"crypto/rsa"
	"errors"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/ekcert"
)

// rsaCertificate is the NV index of the certificate of the RSA 2048 endorsement key (TCG
// EK Credential Profile, section 2.2.1.4).
const rsaCertificate = 0x01C00002

// assumeEK reads the certificate of the usual endorsement key without asking the TPM for
// that key, which saves commands and lets the key be made, if it is not persistent, while
// the CA of the attestation key is at work. It sets r.EK to the key of the certificate. Its
// result is nil if findCertificate has to look at the keys themselves.
//
// Nothing is believed of the key before StepAIK: the TPM opens the CA's credential only if
// it has the private key, and answers only to the name of the right key; see
// [attest.DefaultEK]. So the key is only assumed if this run does that step itself. If the
// TPM has another key, certifyAIK looks at the keys after all.
func (r *Run) assumeEK(ctx context.Context) (*ekcert.Certificate, error) {
	p := r.Provisioner
	if p.EnrollEK || p.SelectEK != nil || !r.takes(StepAIK) || p.Do[StepAIK] != nil || len(r.State.AIKCertificates) > 0 {
		return nil, nil
	}
	der, err := p.TPM.ReadNV(ctx, rsaCertificate)
	if err != nil {
		return nil, final(ctx, err)
	}
	read, err := ekcert.Parse(der)
	if err != nil {
		return nil, nil
	}
	if key, ok := read.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() != 2048 {
		return nil, nil
	}
	ek, err := attest.DefaultEK(read.PublicKey)
	if err != nil {
		return nil, nil
	}
	cert, err := p.EKCert.Find(ctx, readNV{p.TPM, der}, "", ek.Public)
	if err != nil {
		return nil, final(ctx, err)
	}
	r.EK, r.assumed = ek, true
	return cert, nil
}

// final returns err if there is no use in looking further: ctx has ended, or the TPM does
// not answer. Otherwise it returns nil.
func final(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, attest.ErrNoAnswer) {
		return err
	}
	return nil
}

// A readNV is the NV memory of a TPM of which one index has been read.
type readNV struct {
	ekcert.NVReader
	der []byte // at rsaCertificate
}

// ReadNV implements [ekcert.NVReader].
func (n readNV) ReadNV(ctx context.Context, index uint32) ([]byte, error) {
	if index == rsaCertificate {
		return n.der, nil
	}
	return n.NVReader.ReadNV(ctx, index)
}

// prepareEK makes ready the endorsement key that id uses, which may only be assumed, and
// says when the TPM has room for the device's keys.
func (r *Run) prepareEK(ctx context.Context, ek *attest.EK) *attest.EK {
	if own, err := r.Provisioner.TPM.PrepareEK(ctx, ek, r.AIK); err == nil {
		ek = own
	}
	if ek.Handle != 0 {
		r.reach(tpmFree)
	}
	return ek
}

// otherEK looks at the endorsement keys after the TPM did not have the one that was
// assumed, and reports whether there is another to try: err is why.
func (r *Run) otherEK(ctx context.Context, err error) (bool, error) {
	if !r.assumed || !errors.Is(err, attest.ErrOtherEK) {
		return false, err
	}
	r.assumed = false
	r.debug("endorsement key", "assumed", err)
	cert, err := r.findCertificate(ctx)
	if err != nil {
		return false, err
	}
	return true, r.acceptEK(ctx, cert)
}

// reviseEK does what otherEK does for an earlier run, which may have ended before that: it
// looks at the endorsement keys again if the state is of this TPM by its attestation key,
// and nobody has certified that. err is why the endorsement key of the state cannot be used.
func (r *Run) reviseEK(ctx context.Context, err error) error {
	if !errors.Is(err, ErrState) || r.State.AIK == "" || len(r.State.AIKCertificates) > 0 || r.State.joined() {
		return err
	}
	if _, kerr := r.attestationKey(ctx); kerr != nil {
		return err
	}
	cert, ferr := r.findCertificate(ctx)
	if ferr != nil {
		return ferr
	}
	return r.acceptEK(ctx, cert)
}
